"""Explore: the given request step by step, and every feasible route and stage outcome of its process, in the core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from placet.audit.reasons import why_of
from placet.engine.state import Decision, State
from placet.plan.plan import Plan
from simulation.report.costs import actions_of
from simulation.report.result import (
    Branch,
    Prediction,
    Simulation,
    chain_of,
    milliseconds,
    path_of,
    plain,
    refusals_of,
    worst_sla,
)
from simulation.run.driver import Course
from simulation.scenario.routes import MOST_VISITS, Route, Ways, conditions_of
from simulation.scenario.scenario import PreparedScenario, Scenario, prepare, unsound
from simulation.scenario.script import Habits, Move, habitual
from simulation.scenario.witnesses import Witnesses
from simulation.world.assumptions import assumptions_of, warnings_of
from simulation.world.payloads import called_in, input_errors, payload_errors, payload_warnings
from simulation.world.world import Foreseen

Tell = Callable[[dict[str, Any]], None]

MOST_BRANCH_ENTRIES = 2000  # of one branch
# How long people take where a branch comes about only if they are quick, and act one after the other.
HURRY = timedelta(minutes=1)


@dataclass(kw_only=True)
class Outcomes:
    """People who make each node come out as wanted, visit by visit; whatever is not spoken of is approved."""

    plan: Plan
    results: Sequence[tuple[str, str]]
    habits: Habits
    held: frozenset[str] = frozenset()  # nodes at which nobody acts
    in_turn: bool = False  # whether people wait until what stands before in `results` has come about
    supposed: Mapping[str, Any] = field(default_factory=dict)  # values that what is made up takes, see Answers
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._wanted: dict[str, list[str]] = {}
        for node, result in self.results:
            self._wanted.setdefault(node, []).append(result)
        self._visits: dict[str, list[tuple[int, int]]] = {}
        self._active: set[tuple[str, int, int]] = set()
        self._over: Counter[str] = Counter()  # visits that have ended, by node

    def next(self, state: State, now: datetime) -> Move | None:
        """Return what happens next."""
        return min(self._moves(state, now), key=lambda m: m.at, default=None)

    def acted(self, move: Move) -> None:
        """Take note that a move was made."""
        self.done[move.mark] = 1

    def _turn(self, state: State) -> str | None:
        """Return the node that people wait for or act at; None where none of those that are spoken of is waited for."""
        active = {(run.node, run.round, run.first) for run in state.stages}
        active |= {(on.node, on.visit, 0) for ons in (state.waits, state.actions, state.children) for on in ons}
        self._over.update(node for node, _, _ in self._active - active)
        self._active = active
        waited_for = {node for node, _, _ in active}
        before: Counter[str] = Counter()
        for node, _ in self.results:
            before[node] += 1
            if node in waited_for and before[node] > self._over[node]:
                return node
        return None

    def _moves(self, state: State, now: datetime) -> Iterator[Move]:
        turn = self._turn(state) if self.in_turn else None
        for run in state.stages:
            if turn is not None and run.node != turn:
                continue
            result = self._result(run.node, (run.round, run.first))
            stage = self.plan.nodes[run.node].asked
            if stage is None or result not in {"approved", "rejected"} or run.node in self.held:
                continue
            for task in state.tasks_of(run):
                person = next(iter(task.people), None)
                if task.status == "open" and task.node == run.node and person is not None:
                    at = max(self.habits.moment(self.plan, stage, task), now)
                    decision: Decision = "approve" if result == "approved" else "reject"
                    node, supposed = self.plan.nodes[task.node], self.supposed
                    yield from habitual(
                        self.done, node, task, person=person, decision=decision, at=at, supposed=supposed
                    )

    def _result(self, node: str, visit: tuple[int, int]) -> str:
        visits = self._visits.setdefault(node, [])
        if visit not in visits:
            visits.append(visit)
        wanted = self._wanted.get(node, [])
        number = visits.index(visit)
        return wanted[number] if number < len(wanted) else "approved"


def explore(question: Scenario, *, tell: Tell | None = None) -> Simulation:
    """Simulate a request and explore its process; never raises for what is wrong with the question's content.

    `tell` is called with each branch as it is found.
    """
    begun = perf_counter()
    prepared, errors = prepare(question)
    if prepared is None:
        return unsound("explore", question, errors)
    foreseen = prepared.foresee()
    course = foreseen.course
    called = tuple(called_in(foreseen))
    broken = [*payload_errors(prepared.blueprint, called, prepared.given)]
    invented = warnings_of(foreseen, question.script)
    branches, edges, carried = _branches(prepared, tell, broken, invented)
    took = perf_counter() - begun
    warnings = [
        *prepared.warnings,
        *about(course),
        *_cut(edges, carried),
        *payload_warnings(prepared.blueprint, called),
        *invented,
    ]
    return simulation_of(
        "explore",
        prepared,
        course,
        branches=branches,
        errors=broken,
        warnings=warnings,
        statistics={
            "branches": len(branches),
            "infeasible": edges.infeasible,
            "solver_asked": edges.witnesses.asked,
            "seconds": round(took, 6),
            "branches_per_second": round(len(branches) / took) if took else None,
        },
    )


def simulation_of(
    mode: str,
    prepared: PreparedScenario,
    course: Course,
    *,
    branches: Sequence[Branch] = (),
    errors: Sequence[dict[str, Any]] = (),
    warnings: Sequence[str] = (),
    statistics: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
    predicted: Prediction | None = None,
) -> Simulation:
    """Return the answer of a simulation whose given request took this course."""
    question = prepared.question
    predicted = predicted or prepared.predict(course)
    return Simulation(
        mode=mode,
        template=prepared.plan.name,
        version=prepared.plan.version,
        digest=prepared.plan.digest,
        requester=question.requester,
        input=prepared.given,
        outcome=course.state.outcome,
        end=course.state.status,
        stopped=course.stopped,
        execution_path=path_of(course),
        approval_chain=chain_of(course),
        branch_explorations=tuple(branches),
        predicted_duration_ms=predicted.p50_ms,
        predicted_duration=predicted,
        refused=refusals_of(course),
        withheld=withheld_by(course),
        cost=prepared.cost(course),
        validation_errors=tuple(errors),
        warnings=tuple(dict.fromkeys(warnings)),
        statistics=statistics or {},
        extra=extra or {},
    )


def withheld_by(course: Course) -> dict[str, int]:
    """Count what a request would have done outside: the notices by event, and the actions by name."""
    counts = Counter(notice.event for notice in course.notices)
    counts.update(f"action {name}" for name in actions_of(course.entries))
    return dict(sorted(counts.items()))


def _branches(
    prepared: PreparedScenario, tell: Tell | None, broken: list[dict[str, Any]], invented: list[str]
) -> tuple[list[Branch], Ways, int]:
    """Explore every way; what payloads break there is added to `broken`, where that does not name the place yet.

    So is to `invented` what is made up on the branches, each place once.
    """
    supposed: set[str] = set()
    question = prepared.question
    witnesses = Witnesses(
        prepared.plan,
        conditions_of(prepared.plan),
        given=prepared.given,
        people=prepared.persons,
        world=prepared.world,
        seconds=question.seconds,
    )
    edges = Ways(plan=prepared.plan, witnesses=witnesses, most=question.most_branches)
    habits = prepared.habits()
    branches: list[Branch] = []
    seen: set[tuple[Any, ...]] = set()
    carried = 0
    end = perf_counter() + question.seconds
    for route in edges.routes():
        if perf_counter() > end:
            edges.stopped_at = len(branches)
            break
        held = frozenset(p.id for p in prepared.plan.nodes.values() if not route.late.isdisjoint(p.frames))

        def run(route: Route, held: frozenset[str], *, in_turn: bool) -> Foreseen:
            players = Outcomes(
                plan=prepared.plan,
                results=route.results,
                habits=Habits(after=HURRY) if in_turn else habits,
                held=held,
                in_turn=in_turn,
                supposed=_supposed(prepared.plan, route),
            )
            return prepared.foresee(players, given=route.witness, most_entries=MOST_BRANCH_ENTRIES)

        foreseen, hurried = run(route, held, in_turn=False), False
        course = foreseen.course
        if not _follows(prepared.plan, route, course):
            # Branches run side by side: at people's usual pace another may be first than on this route.
            quick = run(route, held, in_turn=True)
            if _follows(prepared.plan, route, quick.course):
                foreseen, course, hurried = quick, quick.course, True
            elif course.stopped is None:
                carried += 1  # what comes first settles something by itself, so that this cannot come about
                if _not_joined(route, course):
                    continue
        if any(witnesses.timed(wish) for wish in route.wishes) and not _taken(route, course):
            edges.timed += 1
            continue
        settled = tuple(_settled(course))
        key = (tuple(wish.key for wish in route.wishes), *_came_to(course), course.state.outcome)
        if key in seen:
            continue
        seen.add(key)
        branch = _branch(prepared, route, course, settled, number=len(branches) + 1, hurried=hurried)
        branches.append(branch)
        broken += input_errors(prepared.blueprint, called_in(foreseen), route.witness, broken)
        supposed |= {f"{one.node}: {one.variable}" for one in assumptions_of(foreseen, ()) if one.variable is not None}
        if tell is not None:
            tell({"branch": plain(branch)})
    if supposed:
        named = ", ".join(sorted(supposed)[:20])
        invented.append(f"on the branches these are made up, as each of them needs it: {named}")
    return branches, edges, carried


def _supposed(plan: Plan, route: Route) -> dict[str, Any]:
    """Return what a route needs of the variables that actions, events and sub-processes set on it."""
    read = {n for wish in route.wishes if wish.expression is not None for n in wish.expression.names}
    return {name: route.witness.get(name) for name in plan.set_outside if name in read}


def _branch(
    prepared: PreparedScenario,
    route: Route,
    course: Course,
    settled: Sequence[dict[str, str]],
    *,
    number: int,
    hurried: bool,
) -> Branch:
    ended = course.state.status != "pending"
    return Branch(
        id=f"branch-{number}",
        route=route.nodes,
        path_condition=route.condition,
        conditions=route.taken,
        witness=route.witness,
        witness_from=route.witness_from,
        results=tuple({"node": node, "result": result} for node, result in route.results),
        outcomes=tuple(settled),
        outcome=course.state.outcome,
        approval_chain=chain_of(course),
        predicted_duration_ms=milliseconds(course.duration) if ended else None,
        sla_state=worst_sla(course),
        steps=len(course.entries),
        stopped=course.stopped,
        hurried=hurried,
        cost=prepared.cost(course),
    )


def _follows(plan: Plan, route: Route, course: Course) -> bool:
    """Whether a course came about as its route has it: stages, joins, and the end."""
    if course.stopped is not None:
        return True  # as far as it came
    wanted = Counter(
        (stage.name, result) for node, result in route.results if (stage := plan.nodes[node].stage) is not None
    )
    last = plan.nodes.get(route.nodes[-1])
    ended = last is None or course.state.outcome == last.outcome
    settled = Counter((s["stage"], s["result"]) for s in _settled(course))
    return ended and not wanted - settled and not _not_joined(route, course)


def _taken(route: Route, course: Course) -> bool:
    """Whether the decisions of a course came out as on its route."""
    came = Counter((entry.detail["node"], entry.detail["to"]) for entry in course.entries if entry.kind == "routed")
    return came == Counter((taken["node"], taken["to"]) for taken in route.taken)


def _not_joined(route: Route, course: Course) -> bool:
    """Whether other branches arrived at a join than on the route."""
    came = Counter(
        (entry.detail["node"], frozenset(entry.detail["arrived"])) for entry in course.entries if entry.kind == "joined"
    )
    return bool(Counter(route.joined) - came)


def _came_to(course: Course) -> Iterator[tuple[str, str]]:
    """List what the nodes of a course came to, by which two branches are told apart."""
    for entry in course.entries:
        detail = entry.detail
        if entry.kind == "stage_settled":
            yield entry.stage or "", str(detail.get("result"))
        elif entry.kind == "joined":
            yield detail["node"], ",".join(sorted(detail["arrived"]))
        elif entry.kind in {"waited", "child_ended", "action_run", "action_failed"}:
            yield detail["node"], str(detail.get("result") or detail.get("outcome") or entry.kind)


def _settled(course: Course) -> Iterator[dict[str, str]]:
    for entry in course.entries:
        if entry.kind == "stage_settled":
            yield {"stage": entry.stage or "", "result": str(entry.detail.get("result"))}


def about(course: Course) -> Iterator[str]:
    """Say what is worth a warning in the given request's course."""
    if course.state.status == "failed":
        why = next((why_of(e.detail) for e in reversed(course.entries) if e.kind == "failed"), "")
        yield f"the process itself fails: {why}"
    if course.stopped == "waiting":
        yield "the request waits for ever: nobody decides what is open"
    elif course.stopped == "horizon":
        yield f"the request is still open after {course.duration.days} days"
    elif course.stopped == "entries":
        yield f"the simulation was stopped after {len(course.entries)} entries"
    elif course.stopped == "unknown":
        yield f"what happens next is not known: {course.why}"
    for entry in course.entries:
        if entry.kind == "approver_missing":
            yield f"{entry.stage}: {why_of(entry.detail)}"
    for act in course.acts:
        if act.refused:
            yield f"{type(act.event).__name__.lower()} was refused: {act.refused}"


def _cut(edges: Ways, carried: int) -> Iterator[str]:
    """Say what was left out of the exploration, and why."""
    if edges.stopped_at is not None:
        yield f"only the first {edges.stopped_at} branches were explored; there are more"
    if edges.cut_loops:
        names = ", ".join(sorted(edges.cut_loops))
        yield f"loops were followed {MOST_VISITS} times and then cut: back to {names}"
    if edges.cut_long:
        yield f"{edges.cut_long} routes were too long and cut"
    if edges.unknown:
        names = ", ".join(dict.fromkeys(edges.unknown[:20]))
        yield f"no input was found in time that takes {names}, nor a proof that there is none"
    if edges.timed:
        yield (
            f"{edges.timed} routes hang on the moment at which a node is come to, and do not come about in a request "
            'that begins now; "starts_at" looks at another moment'
        )
    if carried:
        yield f"{carried} outcomes cannot come about: what comes before settles them by itself"

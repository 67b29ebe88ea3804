"""Explore: simulate the given request step by step, and every feasible route and stage outcome of its process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

from placet.audit.reasons import why_of
from placet.plan.plan import Plan
from placet.sentences import sentence
from simulation.modes.following import (
    as_far_as,
    depends_on_conditions_alone,
    ended_early,
    follows,
    settled_in,
    took_edges,
)
from simulation.report.costs import actions_of
from simulation.report.result import (
    Branch,
    PathStep,
    Prediction,
    SimulationResult,
    chain_of,
    json_value,
    milliseconds,
    path_of,
    refusals_of,
    worst_sla,
)
from simulation.run.driver import Trace
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.prepared_scenario import PreparedScenario, invalid_result, prepare
from simulation.scenario.routes import MOST_VISITS, Route, RouteSearch, conditions_of
from simulation.scenario.scenario import Scenario
from simulation.scenario.witnesses import WitnessSearch
from simulation.world.assumptions import assumptions_of, warnings_of
from simulation.world.payloads import checked_calls, input_errors, payload_errors, payload_warnings
from simulation.world.route_people import RoutePeople
from simulation.world.world import SimulatedRun

Tell = Callable[[dict[str, Any]], None]

MOST_BRANCH_ENTRIES = 2000  # of one branch
# The response time on a route that occurs only if people decide quickly, one after the other.
HURRY = timedelta(minutes=1)
Note = Callable[[Branch, Trace], None]
BranchKey = tuple[tuple[str, ...], str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]
"""The route of a branch, its condition, the results of its nodes, and those of its stages."""


def explore(scenario: Scenario, *, tell: Tell | None = None) -> SimulationResult:
    """Simulate a request and explore its process; problems of the scenario are in the result and raise nothing.

    `tell` is called with each branch as it is found.
    """
    started = perf_counter()
    prepared, errors = prepare(scenario)
    if prepared is None:
        return invalid_result("explore", scenario, errors)
    simulated = prepared.simulate()
    trace = simulated.trace
    called = tuple(checked_calls(simulated))
    payload_faults = [*payload_errors(prepared.blueprint, called, prepared.given)]
    assumption_warnings = warnings_of(simulated, scenario.script)

    def note(branch: Branch, _: Trace) -> None:
        if tell is not None:
            tell({"branch": json_value(branch)})

    branches, search, witnesses, missed = _branches(prepared, note, payload_faults, assumption_warnings)
    took = perf_counter() - started
    warnings = [
        *prepared.warnings,
        *trace_warnings(trace),
        *_cut(search, missed),
        *payload_warnings(prepared.blueprint, called),
        *assumption_warnings,
    ]
    return simulation_of(
        "explore",
        prepared,
        trace,
        branches=branches,
        errors=payload_faults,
        warnings=warnings,
        statistics={
            "branches": len(branches),
            "infeasible": search.infeasible,
            "solver_asked": witnesses.solver_calls,
            "seconds": round(took, 6),
            "branches_per_second": round(len(branches) / took) if took else None,
        },
    )


def path_of_branch(scenario: Scenario, taken: BranchKey) -> tuple[PathStep, ...] | None:
    """Explore again, and return the path of the branch with this key; None where it is not found any more."""
    prepared, _ = prepare(scenario)
    found: list[tuple[PathStep, ...]] = []
    if prepared is not None:

        def note(branch: Branch, trace: Trace) -> None:
            if not found and key_of(json_value(branch)) == taken:
                found.append(path_of(trace))

        _branches(prepared, note, [], [])
    return found[0] if found else None


def traces_of_branches(scenario: Scenario) -> tuple[list[tuple[Branch, Trace]], tuple[str, ...]]:
    """Explore a process; return its branches with their traces, and warnings about what was left out.

    Raises BlueprintInvalid and InputInvalid.
    """
    prepared = PreparedScenario(scenario)
    found: list[tuple[Branch, Trace]] = []
    _, search, _, missed = _branches(prepared, lambda branch, trace: found.append((branch, trace)), [], [])
    return found, tuple(_cut(search, missed))


@dataclass(kw_only=True)
class Missed:
    """Counts of the routes whose simulation did not take them, which are no branches."""

    impossible: int = 0  # whatever the input is
    refused: int = 0
    elsewhere: int = 0
    why: str = ""  # something was refused

    def note(self, plan: Plan, trace: Trace) -> None:
        """Count a route by the trace of its simulation."""
        refused = next((applied.refused for applied in trace.applied_events if applied.refused is not None), None)
        if refused is not None:
            self.refused += 1
            self.why = self.why or refused
        elif trace.stopped is None and depends_on_conditions_alone(plan):
            self.impossible += 1  # an earlier result decides this one
        else:
            self.elsewhere += 1


def key_of(branch: Mapping[str, Any]) -> BranchKey:
    """Return what tells a branch, as JSON values, from the others of its exploration."""
    results = tuple((one["node"], one["result"]) for one in branch["results"])
    settled = tuple((one["stage"], one["result"]) for one in branch["outcomes"])
    return tuple(branch["route"]), branch["path_condition"], results, settled


def simulation_of(
    mode: str,
    prepared: PreparedScenario,
    trace: Trace,
    *,
    branches: Sequence[Branch] = (),
    errors: Sequence[dict[str, Any]] = (),
    warnings: Sequence[str] = (),
    statistics: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
    predicted: Prediction | None = None,
) -> SimulationResult:
    """Return the result of a simulation whose given request has this trace."""
    scenario = prepared.scenario
    predicted = predicted or prepared.predict(trace)
    return SimulationResult(
        mode=mode,
        template=prepared.plan.name,
        version=prepared.plan.version,
        digest=prepared.plan.digest,
        requester=scenario.requester,
        input=prepared.given,
        outcome=trace.state.outcome,
        end=trace.state.status,
        stopped=trace.stopped,
        execution_path=path_of(trace),
        approval_chain=chain_of(trace),
        branch_explorations=tuple(branches),
        predicted_duration_ms=predicted.p50_ms,
        predicted_duration=predicted,
        refused=refusals_of(trace),
        withheld=withheld_by(trace),
        cost=prepared.cost(trace),
        validation_errors=tuple(errors),
        warnings=tuple(dict.fromkeys(warnings)),
        statistics=statistics or {},
        extra=extra or {},
    )


def withheld_by(trace: Trace) -> dict[str, int]:
    """Count the notifications by event and the actions by name that a real request would have sent and run."""
    counts = Counter(notification.event for notification in trace.notifications)
    counts.update(f"action {name}" for name in actions_of(trace.entries))
    return dict(sorted(counts.items()))


def _branches(
    prepared: PreparedScenario, note: Note, payload_faults: list[dict[str, Any]], assumption_warnings: list[str]
) -> tuple[list[Branch], RouteSearch, WitnessSearch, Missed]:
    """Explore every route; `note` is called with each branch as it is found, and its trace.

    Errors of action inputs on the branches are added to `payload_faults`, and a warning about the values that are
    assumed there to `assumption_warnings`.
    """
    required_values: set[str] = set()
    scenario = prepared.scenario
    witnesses = WitnessSearch(
        prepared.plan,
        conditions_of(prepared.plan),
        variables=prepared.variables,
        given=prepared.given,
        people=prepared.persons,
        context=prepared.expression_context,
        seconds=scenario.seconds,
    )
    search = RouteSearch(plan=prepared.plan, witnesses=witnesses, most=scenario.most_branches)
    approver_model = prepared.approver_model()
    branches: list[Branch] = []
    seen: set[tuple[Any, ...]] = set()
    missed = Missed()
    end = perf_counter() + scenario.seconds
    for route in search.routes():
        if perf_counter() > end:
            search.stopped_at = len(branches)
            break
        blocked = frozenset(
            p.id for p in prepared.plan.nodes.values() if not route.unused_branches.isdisjoint(p.frames)
        )

        def run(route: Route, blocked: frozenset[str], *, in_turn: bool) -> SimulatedRun:
            event_source = RoutePeople(
                plan=prepared.plan,
                results=route.results,
                approver_model=ApproverModel(after=HURRY) if in_turn else approver_model,
                blocked=blocked,
                in_turn=in_turn,
                required_values=_required_values(prepared.plan, route),
            )
            return prepared.simulate(event_source, given=route.witness, most_entries=MOST_BRANCH_ENTRIES)

        simulated, hurried = run(route, blocked, in_turn=False), False
        trace = simulated.trace
        if not follows(prepared.plan, route, trace) and trace.stopped is None:
            # Branches run in parallel: with usual response times others may arrive first than on this route.
            quick = run(route, blocked, in_turn=True)
            if follows(prepared.plan, route, quick.trace):
                simulated, trace, hurried = quick, quick.trace, True
        if not follows(prepared.plan, route, trace):
            timed = any(witnesses.depends_on_time(constraint) for constraint in route.constraints)
            if timed and not took_edges(route, trace):
                search.time_dependent += 1
                continue
            if not ended_early(prepared.plan, route, trace):
                missed.note(prepared.plan, trace)
                continue
            route = as_far_as(prepared.plan, route, trace)  # noqa: PLW2901 - the rest of it was not simulated
        settled = tuple(settled_in(trace))
        key = (tuple(constraint.key for constraint in route.constraints), *_node_results(trace), trace.state.outcome)
        if key in seen:
            continue
        seen.add(key)
        branch = _branch(prepared, route, trace, settled, number=len(branches) + 1, hurried=hurried)
        branches.append(branch)
        payload_faults += input_errors(prepared.blueprint, checked_calls(simulated), route.witness, payload_faults)
        required_values |= {
            f"{one.node}: {one.variable}" for one in assumptions_of(simulated, ()) if one.variable is not None
        }
        note(branch, trace)
    if required_values:
        named = ", ".join(sorted(required_values)[:20])
        assumption_warnings.append(
            sentence("on the branches, these values were assumed as each branch needs them: {named}", named=named)
        )
    return branches, search, witnesses, missed


def _required_values(plan: Plan, route: Route) -> dict[str, Any]:
    """Return the values that a route needs of variables that actions, events and sub-processes set."""
    read = {
        n for constraint in route.constraints if constraint.expression is not None for n in constraint.expression.names
    }
    return {name: route.witness.get(name) for name in plan.set_outside if name in read}


def _branch(
    prepared: PreparedScenario,
    route: Route,
    trace: Trace,
    settled: Sequence[dict[str, str]],
    *,
    number: int,
    hurried: bool,
) -> Branch:
    ended = trace.state.status != "pending"
    return Branch(
        id=f"branch-{number}",
        route=route.nodes,
        path_condition=route.condition,
        conditions=route.taken,
        witness=route.witness,
        witness_from=route.witness_from,
        results=tuple({"node": node, "result": result} for node, result in route.results),
        outcomes=tuple(settled),
        outcome=trace.state.outcome,
        approval_chain=chain_of(trace),
        predicted_duration_ms=milliseconds(trace.duration) if ended else None,
        sla_state=worst_sla(trace),
        steps=len(trace.entries),
        stopped=trace.stopped,
        hurried=hurried,
        cost=prepared.cost(trace),
    )


def _node_results(trace: Trace) -> Iterator[tuple[str, str]]:
    """List the results of the nodes of a trace, which distinguish two branches."""
    for entry in trace.entries:
        detail = entry.detail
        if entry.kind == "stage_settled":
            yield entry.stage or "", str(detail.get("result"))
        elif entry.kind == "joined":
            yield detail["node"], ",".join(sorted(detail["arrived"]))
        elif entry.kind in {"waited", "child_ended", "action_run", "action_failed"}:
            yield detail["node"], str(detail.get("result") or detail.get("outcome") or entry.kind)


def trace_warnings(trace: Trace) -> Iterator[str]:
    """List the warnings about a trace."""
    if trace.state.status == "failed":
        why = next((why_of(e.detail) for e in reversed(trace.entries) if e.kind == "failed"), "")
        yield sentence("the process fails: {why}", why=why)
    if trace.stopped == "waiting":
        yield sentence("the request waits forever: nobody decides its open tasks")
    elif trace.stopped == "horizon":
        yield sentence("the request is still open after {days} days", days=trace.duration.days)
    elif trace.stopped == "entries":
        yield sentence("the simulation was stopped after {count} entries", count=len(trace.entries))
    elif trace.stopped == "unknown":
        yield sentence("what happens next is not known: {why}", why=trace.why)
    for entry in trace.entries:
        if entry.kind == "approver_missing":
            yield sentence("{stage}: {why}", stage=entry.stage, why=why_of(entry.detail))
    for applied in trace.applied_events:
        if applied.refused:
            yield sentence(
                "{name} was refused: {refused}", name=type(applied.event).__name__.lower(), refused=applied.refused
            )


def _cut(search: RouteSearch, missed: Missed) -> Iterator[str]:
    """List the warnings about what was left out of the exploration, and why."""
    if search.stopped_at is not None:
        yield sentence(
            "only the first {stopped_at} branches were explored; there are more", stopped_at=search.stopped_at
        )
    if search.cut_loops:
        names = ", ".join(sorted(search.cut_loops))
        yield sentence(
            "loops back to {names} were followed {most_visits} times and then cut", names=names, most_visits=MOST_VISITS
        )
    if search.cut_long:
        yield sentence("{cut_long} routes were too long and were cut", cut_long=search.cut_long)
    if search.unknown:
        names = ", ".join(dict.fromkeys(search.unknown[:20]))
        yield sentence("no input that takes {names} was found in time, and none was proven impossible", names=names)
    if search.time_dependent:
        yield sentence(
            "{time_dependent} routes depend on the time at which a node is reached, and are not taken by a "
            'request that begins now; set "starts_at" to explore another time',
            time_dependent=search.time_dependent,
        )
    if missed.impossible:
        yield sentence(
            "{preempted} outcomes cannot occur: an earlier result already decides them", preempted=missed.impossible
        )
    if missed.refused:
        yield sentence(
            "{count} routes could not be simulated: what they need of a form or an event was refused ({why})",
            count=missed.refused,
            why=missed.why,
        )
    if missed.elsewhere:
        yield sentence(
            "{count} routes could not be simulated: with the values that were tried, something else happened first or "
            "decided otherwise",
            count=missed.elsewhere,
        )

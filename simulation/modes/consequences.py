"""Consequences: what a decision on an open task leads to, found by letting the request go on from its live state.

The core applies the decision to a copy of the state, in virtual time; nothing is recorded, sent or run. What follows at
once is certain. Until when the request then takes is a forecast: everybody who is asked approves, after their stage's
usual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from placet.audit.chain import Entry
from placet.directory import Directory
from placet.engine import machine
from placet.engine.events import Decide
from placet.engine.state import Decision, State
from placet.errors import InputInvalid, Refused
from placet.expressions import Expression
from placet.plan.graph import Node
from placet.plan.plan import Plan
from simulation.run.driver import HORIZON, PlannedEvent, Trace, UnknownNextEvent, resume
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.samples import sample_decision
from simulation.world.answers import LATENCY, answers_for
from simulation.world.scripted_people import ScriptedPeople
from simulation.world.signatures import signed
from simulation.world.world import SimulatedRun, World

DECISIONS: tuple[Decision, ...] = ("approve", "reject", "request_changes", "abstain")
# Results of actions that follow one another before somebody is asked; what comes after so many is left out.
MOST_IN_TURN = 20
MOST_ENTRIES = 2_000
# Of work for all decisions together: the tasks that are looked at, in all steps, and one for each step.
MOST_WORK = 2_000
FORM = "What follows depends on what is entered into the form."
PEOPLE = "Who is asked next depends on an answer that is not known yet."
ANSWER = "What follows depends on an answer that is not known yet."
PROCESS = "A sub-process begins, and its result is not known yet."
SLOW = "Working it out would take too long."
# Entries of a node that reads values and goes on alike whatever they are.
_PASSES_ON = frozenset({"action_started", "action_run", "informed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStage:
    """A stage that opens next, and the people whom it asks; a queue has none of its own, and names its people."""

    stage: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffects:
    """An action that would run, and what it changes outside."""

    action: str
    side_effects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What one decision leads to.

    `outcome` is given where the request ends with it. `forecast_end` is None where the request waits for its requester,
    or for something whose end is unknown. `assumed` are the nodes whose answers nobody knows yet and that what is said
    here rests on.
    """

    settles: bool
    next: tuple[NextStage, ...]
    outcome: str | None
    forecast_end: datetime | None
    side_effects: tuple[SideEffects, ...]
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Why nothing can be said of a decision."""

    reason: str


class TooSlow(Exception):
    """Working a consequence out takes more than it may."""


@dataclass(slots=True)
class Bound:
    """How much may still be worked out: so much work, and only while `in_time` says that there is time left."""

    work: int = MOST_WORK
    in_time: Callable[[], bool] = lambda: True

    def spend(self, work: int) -> None:
        """Take work from what is left; raises TooSlow where nothing is."""
        self.work -= work
        if self.work < 0 or not self.in_time():
            raise TooSlow


def consequences(
    plan: Plan,
    state: State,
    decision: Decide,
    *,
    now: datetime,
    directory: Directory,
    usual: Mapping[str, float],
    bound: Bound,
) -> dict[Decision, Consequence | Unavailable]:
    """Return what each decision of a person on a task leads to; raises what the core refuses all of them with.

    `decision` names the person and the task. `directory` holds everybody whom the process names, as of now; `usual` are
    usual response times by stage, in seconds of working time. What `bound` leaves no room for is unavailable.
    """
    task = state.task(decision.task_id)
    node = plan.nodes[task.node] if task is not None else None
    stage = node.asked if node is not None else None
    found: dict[Decision, Consequence | Unavailable] = {}
    refusals: list[Refused] = []
    for one in DECISIONS:
        asks = node is not None and one == "approve" and stage is not None and stage.form is not None
        event = Decide(
            by=decision.by,
            task_id=decision.task_id,
            decision=one,
            comment="…" if stage is not None and one in stage.comment_required else None,
            form=sample_decision(node, {}) if asks and node is not None else None,
            revision=state.revision,
            stands_in=decision.stands_in,
        )
        event = signed(event, stage, now)
        future = _Future(plan=plan, state=state, now=now, directory=directory, usual=usual, bound=bound)
        try:
            machine.check(plan, state, event, now)
            sets = asks and node is not None and bool(node.output)
            found[one] = Unavailable(reason=FORM) if sets else future.after(event)
        except InputInvalid as error:
            # A form that nobody has filled in yet is no fault of the reader's.
            found[one] = Unavailable(reason=FORM if asks else error.message)
        except Refused as error:
            refusals.append(error)
            found[one] = Unavailable(reason=error.message)
        except UnknownNextEvent as error:
            found[one] = Unavailable(reason=error.why)
        except TooSlow:
            found[one] = Unavailable(reason=SLOW)
    if len(refusals) == len(DECISIONS):
        raise refusals[0]
    return found


@dataclass(kw_only=True)
class _Future:
    """The way on from a state, in virtual time."""

    plan: Plan
    state: State
    now: datetime
    directory: Directory
    usual: Mapping[str, float]
    bound: Bound

    def after(self, event: Decide) -> Consequence:
        """Return what follows; raises TooSlow, and UnknownNextEvent where that depends on what is not known yet."""
        soon, world = self._soon(event)
        entries = soon.entries
        if _follows_assumed(self.plan, entries, world.assumed_values):
            raise UnknownNextEvent(ANSWER)
        ended = soon.state.status != "pending"
        returned = event.decision == "request_changes"
        task = self.state.task(event.task_id)
        stage = task.stage if task is not None else None
        end = soon.state.ended_at if ended else None if returned else self._end(soon)
        return Consequence(
            settles=any(entry.kind == "stage_settled" and entry.stage == stage for entry in entries),
            next=() if ended else _asked(entries),
            outcome=(soon.state.outcome or soon.state.status) if ended else None,
            forecast_end=end,
            side_effects=self._side_effects(entries),
            assumed=tuple(dict.fromkeys(node for node, *_ in world.assumed_values)),
        )

    def _soon(self, event: Decide) -> tuple[Trace, SimulatedRun]:
        """Go on until the decision stands, and the actions that it starts have ended, with those that these start."""
        world = self._world(ApproverModel(decision=None))
        source = _Deciding(plan=self.plan, event=event, others=world, before=self.state, at=self.now, bound=self.bound)
        trace = self._run(self.state, source, now=self.now)
        decided = trace.state.task(event.task_id)
        if trace.why and decided is not None and decided.provisional:
            raise UnknownNextEvent(trace.why)  # before the decision stands, something else happens that nobody knows
        return trace, world.simulated(trace)

    def _end(self, soon: Trace) -> datetime | None:
        model = ApproverModel(delay=lambda stage, _: self.usual.get(stage.name))
        source = _Bounded(others=self._world(model), bound=self.bound)
        now = max((self.now, *(entry.at for entry in soon.entries[-1:])))
        return self._run(soon.state, source, now=now).state.ended_at

    def _world(self, model: ApproverModel) -> World:
        people = ScriptedPeople(plan=self.plan, approver_model=model)
        return World(plan=self.plan, people=people, run_child=_unknown, answers=answers_for(self.plan))

    def _run(self, state: State, source: _Bounded, *, now: datetime) -> Trace:
        return resume(
            self.plan,
            state,
            source,
            start=self.now,
            now=now,
            read_directory=self._read,
            horizon=HORIZON,
            most_entries=MOST_ENTRIES,
        )

    def _read(self, _: tuple[str, ...], given: Mapping[str, object]) -> Directory:
        if self.plan.asked(dict(given)) != self.plan.asked(self.state.input):
            raise UnknownNextEvent(PEOPLE)
        return self.directory

    def _side_effects(self, entries: Sequence[Entry]) -> tuple[SideEffects, ...]:
        names = dict.fromkeys(str(entry.detail.get("action")) for entry in entries if entry.kind == "action_started")
        specs = ((name, self.plan.actions.get(name)) for name in names)
        return tuple(
            SideEffects(action=name, side_effects=tuple(spec.side_effects)) for name, spec in specs if spec is not None
        )


@dataclass(kw_only=True)
class _Bounded:
    """An event source: others, for as long as work and time are left."""

    others: World
    bound: Bound

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event of the others; raises TooSlow."""
        self.bound.spend(1 + len(state.tasks))
        return self.others.next(state, now)

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        self.others.note_applied(planned)


@dataclass(kw_only=True)
class _Deciding(_Bounded):
    """An event source: the decision first, then what others do, until nothing that follows from it is left to wait for.

    The run stops with UnknownNextEvent and no reason where it has come that far.
    """

    plan: Plan
    event: Decide
    before: State
    at: datetime
    given: bool = field(default=False, init=False)
    results: int = field(default=0, init=False)
    waited: dict[tuple[str, int], datetime] = field(default_factory=dict, init=False)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the decision, or the next event of the others; raises TooSlow."""
        if not self.given:  # whatever others do, and whether that is known
            self.bound.spend(1 + len(state.tasks))
            return PlannedEvent(at=self.at, event=self.event, mark=("decides",))
        planned = super().next(state, now)
        due = machine.next_due(self.plan, state)
        moments = [max(one, now) for one in (due, planned.at if planned is not None else None) if one is not None]
        if not moments or min(moments) > self._until(state, now):
            raise UnknownNextEvent("")
        return planned

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        if planned.mark == ("decides",):
            self.given = True
        else:
            self.results += 1
            super().note_applied(planned)

    def _until(self, state: State, now: datetime) -> datetime:
        """Return until when something happens that follows from the decision alone; `now` where nothing is left."""
        for call in state.actions:
            if call not in self.before.actions:
                span = LATENCY[self.plan.actions[call.action].latency_class]
                self.waited.setdefault((call.node, call.visit), now + span)
        running = [self.waited[call.node, call.visit] for call in state.actions if call not in self.before.actions]
        decided = state.task(self.event.task_id)
        undo_until = decided.undo_until if decided is not None else None
        if undo_until is not None:
            running.append(undo_until)  # it has no effect before it stands
        return max(running, default=now) if self.results < MOST_IN_TURN else self.at


def _follows_assumed(plan: Plan, entries: Sequence[Entry], assumed_values: Sequence[tuple[str, str, str, Any]]) -> bool:
    """Say whether an assumed value, or one that was computed of it, has led the request where it went."""
    assumed: dict[str, set[str]] = {}
    for name, variable, *_ in assumed_values:
        assumed.setdefault(name, set()).add(variable)
    doubtful: set[str] = set()  # variables, by now
    for entry in entries:
        node = _node_of(plan, entry)
        if node is None:
            continue
        read = {name for expression in _led_by(node, entry) for name in expression.names}
        if entry.kind in _PASSES_ON:
            if entry.kind == "action_run":
                doubtful -= node.sources.keys()
                doubtful |= assumed.get(node.id, set()) or (node.sources.keys() if read & doubtful else set())
        elif read & doubtful:
            return True
        elif entry.kind == "waited":
            doubtful |= assumed.get(node.id, set())
    return False


def _node_of(plan: Plan, entry: Entry) -> Node | None:
    """Return the node that an entry is about, also the one at which the request failed."""
    why = entry.detail.get("why")
    name = entry.detail.get("node") or (why.get("node") if isinstance(why, Mapping) else None)
    if name is None and entry.kind in {"task_opened", "approver_missing"}:
        name = next((node for node, stage in plan.stages_by_node.items() if stage.name == entry.stage), None)
    return plan.nodes.get(str(name))


def _led_by(node: Node, entry: Entry) -> Sequence[Expression]:
    """Return the expressions that were evaluated for an entry: of a decision, those up to the one that held."""
    if entry.kind != "routed" or node.hit_policy != "first":
        return node.expressions
    evaluated: list[Expression] = []
    for edge in node.edges:
        if edge.condition is not None:
            evaluated.append(edge.condition)
            if edge.condition.source == entry.detail.get("condition"):
                break
    return evaluated


def _asked(entries: Sequence[Entry]) -> tuple[NextStage, ...]:
    """Return the stages in which tasks opened, each with the people whom these ask."""
    found: dict[str, dict[str, None]] = {}
    for entry in entries:
        if entry.kind == "task_opened" and entry.stage is not None:
            people = found.setdefault(entry.stage, {})
            assignee = entry.detail.get("assignee")
            people |= dict.fromkeys([assignee] if assignee else entry.detail.get("candidates") or [])
    return tuple(NextStage(stage=stage, people=tuple(people)) for stage, people in found.items())


def _unknown(*_: Any) -> SimulatedRun | None:
    raise UnknownNextEvent(PROCESS)

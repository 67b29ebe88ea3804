"""Consequences: what a decision on an open task leads to, found by letting the request go on from its live state.

The core applies the decision to a copy of the state, in virtual time; nothing is recorded, sent or run. What follows at
once is certain. Until when the request then takes is a forecast: everybody who is asked approves, after their stage's
usual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from placet.audit.chain import Entry
from placet.directory import Directory
from placet.engine import machine
from placet.engine.events import Decide
from placet.engine.state import Decision, State
from placet.errors import InputInvalid
from placet.plan.plan import Plan
from simulation.run.driver import HORIZON, EventSource, PlannedEvent, Trace, UnknownNextEvent, resume
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.samples import sample_decision
from simulation.world.answers import LATENCY, answers_for
from simulation.world.scripted_people import ScriptedPeople
from simulation.world.world import SimulatedRun, World

DECISIONS: tuple[Decision, ...] = ("approve", "reject", "request_changes")
# Actions that follow one another before somebody is asked; what comes after so many is left out.
MOST_IN_TURN = 20
MOST_ENTRIES = 2_000
FORM = "What follows depends on what is entered into the form."
PEOPLE = "Who is asked next depends on an answer that is not known yet."
PROCESS = "A sub-process begins, and its result is not known yet."
SLOW = "Working it out would take too long."


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
    """Working a consequence out takes longer than it may."""


def consequences(
    plan: Plan,
    state: State,
    decision: Decide,
    *,
    now: datetime,
    directory: Directory,
    usual: Mapping[str, timedelta],
    in_time: Callable[[], bool],
) -> dict[Decision, Consequence | Unavailable]:
    """Return what each decision of a person on a task leads to; raises what the core refuses all of them with.

    `decision` names the person and the task. `directory` holds everybody whom the process names, as of now; `usual` are
    usual response times by stage. `in_time` says whether there is time left: without any, what is left is unavailable.
    """
    task = state.task(decision.task_id)
    node = plan.nodes[task.node] if task is not None else None
    stage = node.asked if node is not None else None
    found: dict[Decision, Consequence | Unavailable] = {}
    for one in DECISIONS:
        comment = "…" if stage is not None and one in stage.comment_required else None
        form = sample_decision(node, {}) if node is not None and one == "approve" else None
        event = Decide(
            by=decision.by,
            task_id=decision.task_id,
            decision=one,
            comment=comment,
            form=form,
            stands_in=decision.stands_in,
        )
        if form and node is not None and node.output:
            machine.check(plan, state, event, now)
            found[one] = Unavailable(reason=FORM)
            continue
        future = _Future(plan=plan, state=state, now=now, directory=directory, usual=usual, in_time=in_time)
        try:
            machine.check(plan, state, event, now)
            found[one] = future.after(event)
        except InputInvalid as error:
            found[one] = Unavailable(reason=error.message)
        except UnknownNextEvent as error:
            found[one] = Unavailable(reason=error.why)
        except TooSlow:
            found[one] = Unavailable(reason=SLOW)
    return found


@dataclass(kw_only=True)
class _Future:
    """The way on from a state, in virtual time."""

    plan: Plan
    state: State
    now: datetime
    directory: Directory
    usual: Mapping[str, timedelta]
    in_time: Callable[[], bool]

    def after(self, event: Decide) -> Consequence:
        soon, world = self._soon(event)
        entries = soon.entries
        ended = soon.state.status != "pending"
        returned = event.decision == "request_changes"
        task = self.state.task(event.task_id)
        stage = task.stage if task is not None else None
        end = soon.state.ended_at if ended else None if returned else self._end(event)
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
        nobody = ApproverModel(decision=None)
        span = timedelta(0)
        for _ in range(MOST_IN_TURN):
            trace, world = self._run(event, nobody, horizon=span)
            decided = trace.state.task(event.task_id)
            running = [call for call in trace.state.actions if call not in self.state.actions]
            if decided is not None and decided.undo_until is not None:
                span = decided.undo_until - self.now  # it has no effect before it stands
            elif running:
                span += max(LATENCY[self.plan.actions[call.action].latency_class] for call in running)
            else:
                break
        return trace, world

    def _end(self, event: Decide) -> datetime | None:
        model = ApproverModel(delay=lambda stage, _: self.usual.get(stage.name))
        trace, _ = self._run(event, model, horizon=HORIZON)
        return trace.state.ended_at

    def _run(self, event: Decide, model: ApproverModel, *, horizon: timedelta) -> tuple[Trace, SimulatedRun]:
        people = ScriptedPeople(plan=self.plan, approver_model=model)
        world = World(
            plan=self.plan,
            people=_Deciding(event=event, others=people, at=self.now, in_time=self.in_time),
            run_child=_unknown,
            answers=answers_for(self.plan),
        )
        trace = resume(
            self.plan,
            self.state,
            world,
            start=self.now,
            now=self.now,
            read_directory=self._read,
            horizon=horizon,
            most_entries=MOST_ENTRIES,
        )
        return trace, world.simulated(trace)

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
class _Deciding:
    """An event source: the decision first, then what others do."""

    event: Decide
    others: EventSource
    at: datetime
    in_time: Callable[[], bool]
    given: bool = field(default=False, init=False)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the decision, or the next event of the others; raises TooSlow."""
        if not self.in_time():
            raise TooSlow
        if not self.given:
            return PlannedEvent(at=self.at, event=self.event, mark=("decides",))
        return self.others.next(state, now)

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        if planned.mark == ("decides",):
            self.given = True
        else:
            self.others.note_applied(planned)


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

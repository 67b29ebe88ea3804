"""Recorded people: the people of a real request, who act as they did then, in a simulation of that request.

A person without a recorded period in a stage, or whose task stays open longer than their recorded period, is unknown:
then the run stops, or the approver model decides in their place. Somebody who stood in for another person acts again
where they stand in for the same person in the simulation (simulation.world.stand_ins).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from placet.engine import machine
from placet.engine.events import (
    Actor,
    AddApprover,
    Claim,
    Decide,
    Delegate,
    Event,
    Extend,
    Reassign,
    Release,
    Resubmit,
    Withdraw,
)
from placet.engine.state import State, Task
from placet.plan.plan import Plan
from simulation.report.comparison import TOLERANCE
from simulation.run.driver import PlannedEvent, UnknownNextEvent
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.script import ScriptLine, concerns
from simulation.world.recorded_decisions import AssignmentPeriod, RecordedDecisions, TaskEvent
from simulation.world.recorded_values import form_as_sent, values_as_sent
from simulation.world.scripted_people import ScriptedPeople, decision_events
from simulation.world.signatures import signed
from simulation.world.stand_ins import stands_in


@dataclass(kw_only=True)
class RecordedPeople:
    """An event source: the people of a real request, as recorded. Use a new one for each run.

    Script `lines` replace the recorded decisions on the tasks that they concern. `fallback` is the approver model for
    people of whom nothing is known; without one the run stops there, as unknown.
    """

    plan: Plan
    recorded_decisions: RecordedDecisions
    lines: Sequence[ScriptLine] = ()
    fallback: ApproverModel | None = None
    assumed: set[tuple[str, str]] = field(default_factory=set)  # (stage, person) whom the approver model decided for

    def __post_init__(self) -> None:
        self._remaining: dict[tuple[str, str], list[AssignmentPeriod]] = {}
        forms = {stage.name: stage.form for stage in self.plan.stages if stage.form is not None}
        for period in reversed(self.recorded_decisions.periods):
            sent = _as_sent(period, forms.get(period.stage))
            self._remaining.setdefault((period.stage, period.person), []).append(sent)
        self._periods: dict[tuple[str, str, tuple[int, int]], tuple[datetime, AssignmentPeriod | None]] = {}
        self._unassigned: dict[tuple[Any, ...], tuple[Task, str, TaskEvent]] = {}  # by mark
        self._claimants: dict[str, str] = {}  # by task, who claimed it last
        self._done: dict[tuple[Any, ...], int] = {}
        # By task: whether it is claimed, and how often it was released.
        self._queue_returns: dict[str, tuple[bool, int]] = {}
        silent = ApproverModel(decision=None)
        self._scripted = ScriptedPeople(plan=self.plan, lines=self.lines, approver_model=silent)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the next event; raises UnknownNextEvent where it is not recorded and there is no fallback."""
        for task in state.tasks:
            if task.candidates:
                was_claimed, releases = self._queue_returns.get(task.id, (False, 0))
                self._queue_returns[task.id] = (
                    task.assignee is not None,
                    releases + (was_claimed and task.assignee is None),
                )
        planned_events = list(self._planned_events(state, now))
        if self.lines and (scripted := self._scripted.next(state, now)) is not None:
            planned_events.append(scripted)
        earliest = min(planned_events, key=lambda m: m.at, default=None)
        if earliest is None:
            return self._fallback_event(state, now)
        if (
            isinstance(earliest.event, Withdraw)
            and (unknown := self._unknown_before(state, earliest.at, now)) is not None
        ):
            if self.fallback is None:
                raise UnknownNextEvent(unknown)
            return min((earliest, *self._fallback_events(state, now)), key=lambda m: m.at)
        return earliest

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied."""
        self._done[planned.mark] = 1
        if planned.mark in self._unassigned:
            self._take_unassigned(*self._unassigned.pop(planned.mark))
        if isinstance(planned.event, Claim):
            self._claimants[planned.event.task_id] = planned.event.by.person
        self._scripted.note_applied(planned)

    def _planned_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        returned = min((s.returned_at for s in state.stages if s.returned_at is not None), default=None)
        for index, request_event in enumerate(self.recorded_decisions.request_events):
            since = state.started_at if request_event.round is None else returned
            if since is None or request_event.round not in {None, state.round}:
                continue
            if ("request_event", index) not in self._done:
                at = max(since + request_event.after, now)
                yield PlannedEvent(
                    at=at, event=_for_this_request(request_event.event, state), mark=("request_event", index)
                )
        if returned is not None:
            index = state.round - 1
            if index < len(self.recorded_decisions.resubmissions):
                request_event = self.recorded_decisions.resubmissions[index]
                mark = ("resubmit", index)
                if mark not in self._done:
                    event = self._resubmission(request_event.event)
                    yield PlannedEvent(at=max(returned + request_event.after, now), event=event, mark=mark)
            return
        for task in state.tasks:
            if task.status != "open" or any(concerns(line, task) for line in self.lines):
                continue
            for person in task.people:
                since, period = self._period(task, person, now)
                if period is not None:
                    yield from self._period_events(task, person, since, period, now)
            yield from self._unassigned_events(state, task, now)

    def _resubmission(self, event: Event) -> Event:
        """Return a recorded resubmission with its input as it was sent."""
        if not isinstance(event, Resubmit) or event.input is None:
            return event
        return replace(event, input=values_as_sent(self.plan.variables, event.input))

    def _period(self, task: Task, person: str, now: datetime) -> tuple[datetime, AssignmentPeriod | None]:
        key = (task.id, person, self._assignment_number(task, person))
        if key not in self._periods:
            remaining = self._remaining.get((task.stage, person))
            period = remaining.pop() if remaining else None
            # Who joined a queue after it opened acted from its opening on, by the record.
            joined = period is not None and period.unassigned and person in task.candidates
            self._periods[key] = (task.opened_at if joined else now, period)
        return self._periods[key]

    def _unassigned_events(self, state: State, task: Task, now: datetime) -> Iterator[PlannedEvent]:
        """Plan the events of people who are not on the task, and may act on it by then as they did in the record."""
        for (stage, person), remaining in self._remaining.items():
            if stage != task.stage or person in task.people or not remaining or not remaining[-1].unassigned:
                continue
            recorded = remaining[-1].events[0]
            at = max(task.opened_at + recorded.after, now)
            if not stands_in(self.plan, state, task, recorded, person=person, at=at):
                continue
            mark = ("unassigned", task.id, person, len(remaining))
            self._unassigned[mark] = (task, person, recorded)
            yield PlannedEvent(at=at, event=self._event_for(task, person, recorded, at), mark=mark)

    def _take_unassigned(self, task: Task, person: str, recorded: TaskEvent) -> None:
        """Use up a period that began without an assignment; after a claim, the rest of it follows."""
        period = self._remaining[task.stage, person].pop()
        key = (task.id, person, self._assignment_number(task, person))
        self._periods[key] = (task.opened_at, period)
        if not _claims_first(task, person, recorded):
            self._done["task_event", *key, 0] = 1

    def _assignment_number(self, task: Task, person: str) -> tuple[int, int]:
        """Number the assignments of a person to a task: by how often it was released, and how often it came to them.

        An escalation may assign a task to a person again; a claim continues the period that began in the queue.
        """
        claimed = task.assignee is not None and task.assignee == self._claimants.get(task.id)
        count = task.held_by.count(person) - (claimed and task.assignee == person)
        if task.candidates and (task.assignee is None or claimed):
            return self._queue_returns[task.id][1], count
        return -1, max(1, count)

    def _period_events(
        self, task: Task, person: str, since: datetime, period: AssignmentPeriod, now: datetime
    ) -> Iterator[PlannedEvent]:
        for index, recorded in enumerate(period.events):
            mark: tuple[Any, ...] = ("task_event", task.id, person, self._assignment_number(task, person), index)
            if mark in self._done:
                continue
            if _claims_first(task, person, recorded):
                mark = (*mark, "claim")
            if mark not in self._done:
                event = self._event_for(task, person, recorded, now)
                yield PlannedEvent(at=max(since + recorded.after, now), event=event, mark=mark)
            return  # one event at a time

    def _fallback_event(self, state: State, now: datetime) -> PlannedEvent | None:
        """Let time pass while the recorded periods last; after that use the fallback, or raise UnknownNextEvent."""
        waiting = [
            (self._known_until(task, person, now), task, person)
            for task in state.tasks
            if task.status == "open" and not any(concerns(line, task) for line in self.lines)
            for person in task.people
        ]
        if not waiting:
            if any(s.returned_at is not None for s in state.stages):
                if self.fallback is None:
                    raise UnknownNextEvent("the requester was never asked to change the request")
                by = Actor(person=state.requester)
                mark = ("resubmit", state.round)
                return None if mark in self._done else PlannedEvent(at=now, event=Resubmit(by=by), mark=mark)
            return None
        known_until, task, person = min(waiting, key=lambda w: w[0])
        due = machine.next_due(self.plan, state)
        if due is not None and due <= known_until:
            return None
        if self.fallback is None:
            raise UnknownNextEvent(f"what {person} does in {task.stage} is not known")
        return min(self._fallback_events(state, now), key=lambda m: m.at, default=None)

    def _unknown_before(self, state: State, moment: datetime, now: datetime) -> str | None:
        """Say whose unknown decisions could have ended the request before `moment`; None where there are none.

        A stage waits where one of its people is known not to have decided until then.
        """
        for run in state.stages:
            if run.returned_at is not None:
                continue
            known_until_by_person = [
                (self._known_until(task, person, now), person)
                for task in state.tasks_of(run)
                if task.node == run.node and task.status == "open"
                if not any(concerns(line, task) for line in self.lines)
                for person in task.people
            ]
            if known_until_by_person and max(known_until_by_person)[0] + TOLERANCE < moment:
                stage = self.plan.stages_by_node.get(run.node)
                name = stage.name if stage is not None else run.node
                return f"what {max(known_until_by_person)[1]} does in {name} is not known"
        return None

    def _known_until(self, task: Task, person: str, now: datetime) -> datetime:
        since, period = self._period(task, person, now)
        return since if period is None else since + period.duration

    def _fallback_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        approver_model = self.fallback
        if approver_model is None or approver_model.decision is None:
            return
        for task in state.tasks:
            stage = self.plan.nodes[task.node].asked
            person = next(iter(task.people), None)
            if task.status == "open" and stage is not None and person is not None:
                self.assumed.add((task.stage, person))
                # The assumed decision takes the modelled response time, counted from the end of the recorded period.
                span = approver_model.decision_time(self.plan, stage, task) - task.opened_at
                at = max(self._known_until(task, person, now) + span, now)
                yield from decision_events(
                    self.plan, self._done, task, person=person, decision=approver_model.decision, at=at
                )

    def _event_for(self, task: Task, person: str, recorded: TaskEvent, at: datetime) -> Event:
        event = _event_for(task, person, recorded)
        return signed(event, self.plan.nodes[task.node].asked, at) if isinstance(event, Decide) else event


def _as_sent(period: AssignmentPeriod, form: dict[str, Any] | None) -> AssignmentPeriod:
    """Return a period with the forms of its decisions as they were sent; `form` is the schema of its stage's."""
    if form is None:
        return period
    events = tuple(
        replace(event, form=form_as_sent(form, event.form)) if event.form is not None else event
        for event in period.events
    )
    return replace(period, events=events)


def _claims_first(task: Task, person: str, recorded: TaskEvent) -> bool:
    """Say whether a recorded decision needs a claim first: the task waits in a queue here, and did not then."""
    in_queue = task.assignee is None and bool(task.candidates) and person not in task.delegates
    return recorded.kind == "decide" and in_queue


def _event_for(task: Task, person: str, recorded: TaskEvent) -> Event:
    by = Actor(person=person)
    if recorded.kind == "claim" or _claims_first(task, person, recorded):
        return Claim(by=by, task_id=task.id)
    if recorded.kind == "decide":
        return Decide(
            by=by,
            task_id=task.id,
            decision=recorded.decision,
            comment=recorded.comment,
            form=recorded.form,
            # Not the recorded one: another process, or another script, may count other revisions, and people decide
            # as recorded whatever the request has become.
            revision=task.revision,
            via=recorded.via,
            stands_in=person not in task.people,  # as the service says it of everybody else
        )
    if recorded.kind == "release":
        return Release(by=by, task_id=task.id)
    if recorded.kind == "delegate":
        return Delegate(by=by, task_id=task.id, to=recorded.to or "", keep=recorded.keep, reason=recorded.comment)
    actor = Actor(person=recorded.by, admin=True) if recorded.by else by
    if recorded.kind == "add":
        return AddApprover(by=actor, task_id=task.id, to=recorded.to or "", reason=recorded.comment or "(erased)")
    return Reassign(by=actor, task_id=task.id, to=recorded.to or "", reason=recorded.comment)


def _for_this_request(event: Event, state: State) -> Event:
    """Return an event with its task id changed to that of the simulated request."""
    if isinstance(event, Extend) and event.task_id is not None:
        return replace(event, task_id=f"{state.request_id}.{event.task_id.rpartition('.')[2]}")
    return event

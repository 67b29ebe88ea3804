"""The people of a simulated request, who act as a script and an approver model say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from placet.engine.bound_action import exact_numbers
from placet.engine.events import (
    Actor,
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    Event,
    Extend,
    Reassign,
    Release,
    Remind,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.engine.state import Decision, Question, State, Task
from placet.plan.plan import Plan
from simulation.run.driver import PlannedEvent
from simulation.scenario.approver_model import WITHOUT_DEADLINE, ApproverModel
from simulation.scenario.samples import sample_decision
from simulation.scenario.script import BESIDE, ON_TASKS, OUTSIDE, ScriptLine, concerns, is_about
from simulation.world.signatures import signed


@dataclass(kw_only=True)
class ScriptedPeople:
    """An event source: the people of one simulated request. Use a new one for each run.

    With `in_order` a line waits until those before it were used as often as they can be; what systems do has no order.
    """

    plan: Plan
    lines: Sequence[ScriptLine] = ()
    approver_model: ApproverModel = field(default_factory=ApproverModel)
    in_order: bool = False
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the earliest event from now on; of events at the same time, the one of the first line."""
        earliest: PlannedEvent | None = None
        for planned in self._planned_events(state, now):
            if earliest is None or planned.at < earliest.at:
                earliest = planned
        return earliest

    def note_applied(self, planned: PlannedEvent) -> None:
        """Note that an event was applied, or refused: it is not planned again."""
        self.done[planned.mark] = self.done.get(planned.mark, 0) + 1
        if len(planned.mark) > 1:
            self.done[planned.mark[:1]] = self.done.get(planned.mark[:1], 0) + 1

    def unused_lines(self) -> Iterator[str]:
        """List warnings about the lines that were never used."""
        for index, line in enumerate(self.lines):
            if line.do in {"wait", *OUTSIDE} or (index,) in self.done:
                continue
            why = "nothing that it applies to occurred"
            if line.do == "claim_action":
                why = "the request was not approved, or its action was claimed before"
            if line.person is not None and line.do in ON_TASKS | BESIDE:
                why = f"{line.person} never had a task" + (f" of {line.on}" if line.on else "")
            yield f"line {index + 1} of the script was not used: {why}"

    def _planned_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        yield from self._claims(state, now)
        if state.claimable:
            return
        returned = [s.returned_at for s in state.stages if s.returned_at is not None]
        open_tasks = [t for t in state.tasks if t.status == "open"] if not returned else []
        for index, line in self._lines_now():
            if line.do not in OUTSIDE | {"claim_action"} and self.done.get((index,), 0) < line.at_most:
                yield from self._of_line(state, line, index, open_tasks, min(returned, default=None), now)
        for task in open_tasks:
            yield from self._default_decision(task, now)
        if (
            returned
            and not any(line.do == "resubmit" for line in self.lines)
            and self.approver_model.decision is not None
        ):
            at = min(returned) + (self.approver_model.after or timedelta(hours=WITHOUT_DEADLINE))
            mark = ("resubmit", state.round)
            if mark not in self.done:
                yield PlannedEvent(at=max(at, now), event=Resubmit(by=Actor(person=state.requester)), mark=mark)

    def _lines_now(self) -> Iterator[tuple[int, ScriptLine]]:
        """Yield the lines that can be used now, with their indexes."""
        for index, line in enumerate(self.lines):
            yield index, line
            if self.in_order and line.do not in {"wait", *OUTSIDE} and self.done.get((index,), 0) < line.at_most:
                return

    def _claims(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        """Yield the claims of the request's action, those that count from the approval once there is one."""
        for index, line in self._lines_now():
            action = state.action
            if line.do != "claim_action" or action is None or self.done.get((index,), 0) >= line.at_most:
                continue
            if line.at_hours is not None:
                at = state.started_at + timedelta(hours=line.at_hours)
            elif state.claimable and state.ended_at is not None:
                at = state.ended_at + timedelta(hours=line.after_hours or 0)
            else:
                continue
            if line.parameters is not None:
                action = replace(action, parameters=exact_numbers(line.parameters, ""))
            by = Actor(person=line.person or state.requester)
            yield PlannedEvent(at=max(at, now), event=ClaimAction(by=by, digest=action.digest), mark=(index,))

    def _of_line(  # noqa: PLR0917 - a line and where the request stands
        self,
        state: State,
        line: ScriptLine,
        index: int,
        open_tasks: Sequence[Task],
        returned_at: datetime | None,
        now: datetime,
    ) -> Iterator[PlannedEvent]:
        if line.do == "undo":
            for task in state.tasks:
                if task.provisional and (index, task.id) not in self.done and is_about(line, task):
                    yield self._undo(state, line, index, task, now)
        elif line.do in ON_TASKS | BESIDE:
            for task in open_tasks:
                if (index, task.id) not in self.done and is_about(line, task):
                    yield from self._on_task(state, line, index, task, now)
        elif line.do == "answer_question":
            for question in state.open_questions:
                if (index, question.n) not in self.done:
                    yield self._answer(state, line, index, question, now)
        elif line.do != "resubmit" or returned_at is not None:
            yield from self._on_request(state, line, index, returned_at, now)

    def _on_task(self, state: State, line: ScriptLine, index: int, task: Task, now: datetime) -> Iterator[PlannedEvent]:
        if line.do == "wait":
            return
        person = line.person or task.assignee or next(iter(task.people), None)
        operator = line.do in {"reassign", "release"}
        if person is None or not (person in task.people or operator or line.at_hours is not None):
            return
        at = max(self._event_time(state, line, task), now)
        if line.do == "decide" and task.assignee is None and person in task.candidates:
            mark = ("claim", task.id, person)
            if mark not in self.done:
                yield PlannedEvent(at=at, event=Claim(by=Actor(person=person), task_id=task.id), mark=mark)
            return
        event = _task_event(line, task, person)
        if isinstance(event, Decide):
            event = signed(event, self.plan.nodes[task.node].asked, at)
        yield PlannedEvent(at=at, event=event, mark=(index, task.id))

    def _undo(self, state: State, line: ScriptLine, index: int, task: Task, now: datetime) -> PlannedEvent:
        at = (task.decided_at or now) + timedelta(hours=line.after_hours or 0)
        if line.at_hours is not None:
            at = state.started_at + timedelta(hours=line.at_hours)
        event = Undo(by=Actor(person=line.person or task.decided_by or ""), task_id=task.id)
        return PlannedEvent(at=max(at, now), event=event, mark=(index, task.id))

    def _answer(self, state: State, line: ScriptLine, index: int, question: Question, now: datetime) -> PlannedEvent:
        at = question.asked_at + timedelta(hours=line.after_hours or 0)
        if line.at_hours is not None:
            at = state.started_at + timedelta(hours=line.at_hours)
        by = Actor(person=line.person or state.requester)
        event = AnswerQuestion(by=by, n=question.n, text=line.comment or "")
        return PlannedEvent(at=max(at, now), event=event, mark=(index, question.n))

    def _on_request(
        self, state: State, line: ScriptLine, index: int, returned_at: datetime | None, now: datetime
    ) -> Iterator[PlannedEvent]:
        if line.at_hours is not None:
            at = state.started_at + timedelta(hours=line.at_hours)
        else:
            at = (returned_at or state.started_at) + timedelta(hours=line.after_hours or 0)
        event = _request_event(line, state)
        yield PlannedEvent(
            at=max(at, now), event=event, mark=(index, state.round) if line.do == "resubmit" else (index,)
        )

    def _event_time(self, state: State, line: ScriptLine, task: Task) -> datetime:
        if line.at_hours is not None:
            return state.started_at + timedelta(hours=line.at_hours)
        if line.after_hours is not None or line.do in BESIDE:
            return task.opened_at + timedelta(hours=line.after_hours or 0)
        stage = self.plan.nodes[task.node].asked
        return self.approver_model.decision_time(self.plan, stage, task) if stage is not None else task.opened_at

    def _default_decision(self, task: Task, now: datetime) -> Iterator[PlannedEvent]:
        stage = self.plan.nodes[task.node].asked
        decision = self.approver_model.decision_on(task)
        if decision is None or stage is None or any(concerns(line, task) for line in self.lines):
            return
        person = next(iter(task.people), None)
        if person is None:
            return
        at = max(self.approver_model.decision_time(self.plan, stage, task), now)
        yield from decision_events(self.plan, self.done, task, person=person, decision=decision, at=at)


def decision_events(
    plan: Plan,
    done: Mapping[tuple[Any, ...], int],
    task: Task,
    *,
    person: str,
    decision: Decision,
    at: datetime,
    required_values: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[PlannedEvent]:
    """Yield the next event of a person who decides a task: a claim, if the task is in a queue, else the decision.

    `required_values` are values that the form has to set variables to (see sample_decision).
    """
    actor = Actor(person=person)
    if task.assignee is None and person in task.candidates:
        mark = ("claim", task.id, person)
        if mark not in done:
            yield PlannedEvent(at=at, event=Claim(by=actor, task_id=task.id), mark=mark)
        return
    mark = ("decision", task.id, person)
    if mark in done:
        return
    node = plan.nodes[task.node]
    form = sample_decision(node, required_values, plan.variables) if decision == "approve" else None
    stage = node.asked
    comment = "simulated" if stage is not None and decision in stage.comment_required else None
    event = Decide(
        by=actor,
        task_id=task.id,
        decision=decision,
        form=form,
        comment=comment,
        revision=task.revision,
        via="simulation",
    )
    event = signed(event, stage, at)
    yield PlannedEvent(at=at, event=event, mark=mark)


def _task_event(line: ScriptLine, task: Task, person: str) -> Event:
    by = Actor(person=person)
    if line.do == "reassign":
        return Reassign(by=Actor(person=person, admin=True), task_id=task.id, to=line.to or "", reason=line.comment)
    if line.do == "delegate":
        return Delegate(by=by, task_id=task.id, to=line.to or "", reason=line.comment)
    if line.do == "add_approver":
        away = person not in task.people
        return AddApprover(by=by, task_id=task.id, to=line.to or "", reason=line.comment or "", stands_in=away)
    if line.do == "ask":
        return AskQuestion(by=by, task_id=task.id, text=line.comment or "")
    if line.do == "claim":
        return Claim(by=by, task_id=task.id)
    if line.do == "release":
        return Release(by=Actor(person=person, admin=True), task_id=task.id)
    return Decide(
        by=by,
        task_id=task.id,
        decision=line.decision or "approve",
        comment=line.comment,
        form=line.form,
        revision=task.revision,
        via="simulation",
        stands_in=person not in task.people,  # as the service says it of everybody else
    )


def _request_event(line: ScriptLine, state: State) -> Event:
    person = line.person or state.requester
    if line.do == "comment":
        return Comment(by=Actor(person=person), text=line.comment or "")
    if line.do == "resubmit":
        return Resubmit(by=Actor(person=person), input=line.input, title=line.title, comment=line.comment)
    if line.do == "remind":
        return Remind(by=Actor(person=person))
    if line.do == "extend":
        return Extend(by=Actor(person=person, admin=True), seconds=(line.hours or 0) * 3600, reason=line.comment)
    how: Literal["withdrawn", "cancelled"] = "withdrawn" if line.do == "withdraw" else "cancelled"
    return Withdraw(by=Actor(person=person, admin=how == "cancelled"), how=how, reason=line.comment)

"""Scripts: what people do in a simulated request, as JSON lines, and the cast that acts them out.

A line is `{"on": stage, "by": person, "after_hours": 3, "decision": "approve", "comment": …, "form": …}`: whoever has a
task of that stage (or that person alone) decides it so many hours after it was opened. `{"at_hours": 5, …}` names the
moment instead, counted from the start of the request. `do` is what is done: `decide` (the default), `comment`,
`withdraw`, `cancel`, `resubmit`, `reassign`, `delegate`, `claim`, `release`, `extend`, or `wait` (nothing: the stage
is left alone). Of what is not run a line says what comes of it: an action will `answer` (with an `output`) or `fail`,
an outside event will `happen`, or `wait` and not come (simulation.world.answers). Whatever no line speaks of is done
as the `Habits` say: by default everyone approves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from placet.definition.assignees import person_id
from placet.definition.fields import Hours, HoursFromZero, Model
from placet.engine.events import (
    Actor,
    Claim,
    Comment,
    Decide,
    Delegate,
    Event,
    Extend,
    Reassign,
    Release,
    Resubmit,
    Withdraw,
)
from placet.engine.state import Decision, State, Task
from placet.errors import InputInvalid
from placet.plan.calendar import add_hours
from placet.plan.graph import Node, Stage
from placet.plan.plan import Plan
from simulation.scenario import aliases
from simulation.scenario.approver_model import SampledApprovers
from simulation.scenario.samples import sample_decision

MOST_LINES = 1000
# What somebody takes to act where neither a script, nor history, nor a deadline says so; in working hours.
WITHOUT_DEADLINE = 1.0
RULE = "an approver takes half of the stage's SLA in working time, or one working hour where it has none"

Text = Annotated[str, Field(min_length=1, max_length=300)]
_ON_TASKS = {"decide", "reassign", "delegate", "claim", "release", "wait"}
OUTSIDE = {"answer", "fail", "happen"}  # what nobody of the organisation does


class ScriptLine(Model):
    """One line of a script."""

    do: Literal[
        "decide",
        "comment",
        "withdraw",
        "cancel",
        "resubmit",
        "reassign",
        "delegate",
        "claim",
        "release",
        "extend",
        "wait",
        "answer",
        "fail",
        "happen",
    ] = "decide"
    on: Text | None = None
    by: Text | None = None
    at_hours: HoursFromZero | None = None
    after_hours: HoursFromZero | None = None
    decision: Decision | None = None
    comment: Annotated[str, Field(max_length=10_000)] | None = None
    form: dict[str, Any] | None = None
    to: Text | None = None
    hours: Hours | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None  # with which it is resubmitted
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    times: Annotated[int, Field(ge=1, le=1000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_standard_names(cls, raw: Any) -> Any:
        return aliases.standard_line(raw)

    @model_validator(mode="after")
    def _is_consistent(self) -> ScriptLine:
        if self.at_hours is not None and self.after_hours is not None:
            raise ValueError('give "at_hours" or "after_hours", not both')
        if self.do == "decide" and self.decision is None:
            raise ValueError('a line that decides needs a "decision": approve, reject, request_changes or abstain')
        if self.do in {"reassign", "delegate"} and self.to is None:
            raise ValueError(f'a line that does "{self.do}" needs "to", a person')
        if self.do == "extend" and self.hours is None:
            raise ValueError('a line that extends needs "hours"')
        if self.do in OUTSIDE and self.on is None:
            raise ValueError(f'a line that does "{self.do}" needs "on": the node, the action or the event')
        if self.do in {"answer", "fail"} and self.at_hours is not None:
            raise ValueError('what an action comes to is timed by "after_hours", from when it begins')
        if self.output is not None and self.do not in {"answer", "happen"}:
            raise ValueError('"output" is what an action answers or an event brings: "do": "answer" or "happen"')
        if self.do == "comment" and not (self.comment and self.by):
            raise ValueError('a line that comments needs "by" and "comment"')
        return self

    @property
    def person(self) -> str | None:
        """The id of whoever acts, where the line names one."""
        return person_id(self.by) if self.by else None

    @property
    def at_most(self) -> int:
        """How often the line is acted out: asking for changes and speaking once, deciding for every task."""
        if self.times is not None:
            return self.times
        once = self.at_hours is not None or self.do not in {"decide", "resubmit", "wait", "claim", *OUTSIDE}
        return 1 if once or self.decision == "request_changes" else 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """One thing that somebody will do: when, and the event."""

    at: datetime
    event: Event
    mark: tuple[Any, ...] = ()  # by what the cast knows that it has been done


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverModel:
    """What people do where no script speaks of it.

    `decision` None leaves tasks alone. `after` is the time a decision takes, `delay` a function of (stage, task) that
    gives it instead (drawn from history); without either the rule in RULE holds. `draws` are of sampled approvers: what
    they decide, and how long it takes them.
    """

    decision: Decision | None = "approve"
    after: timedelta | None = None
    delay: Callable[[Stage, Task], timedelta | None] | None = None
    sampled_approvers: SampledApprovers | None = None

    def decision_on(self, task: Task) -> Decision | None:
        """Return what somebody decides, or None where the task is left alone."""
        return self.decision if self.sampled_approvers is None else self.sampled_approvers.decision(task)

    def decision_time(self, plan: Plan, stage: Stage, task: Task) -> datetime:
        """Return when somebody decides this task."""
        if self.after is not None:
            return task.opened_at + self.after
        delay = self.delay if self.sampled_approvers is None else self.sampled_approvers.delay
        drawn = delay(stage, task) if delay is not None else None
        if drawn is not None:
            return task.opened_at + drawn
        seconds = stage.sla.total_seconds() / 2 if stage.sla is not None else WITHOUT_DEADLINE * 3600
        if self.sampled_approvers is not None:
            seconds *= self.sampled_approvers.pace(task)
        return add_hours(plan.calendar, task.opened_at, seconds)


@dataclass(kw_only=True)
class ScriptedPeople:
    """The people of one simulated request: asked again and again what happens next. Use one for each run."""

    plan: Plan
    lines: Sequence[ScriptLine] = ()
    approver_model: ApproverModel = field(default_factory=ApproverModel)
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def next(self, state: State, now: datetime) -> PlannedEvent | None:
        """Return the earliest thing that somebody does from now on; the line that stands first wins a tie."""
        earliest: PlannedEvent | None = None
        for planned in self._planned_events(state, now):
            if earliest is None or planned.at < earliest.at:
                earliest = planned
        return earliest

    def note_applied(self, planned: PlannedEvent) -> None:
        """Take note that a move was made, whether or not it was refused: it is not made again."""
        self.done[planned.mark] = self.done.get(planned.mark, 0) + 1
        if len(planned.mark) > 1:
            self.done[planned.mark[:1]] = self.done.get(planned.mark[:1], 0) + 1

    def unused_lines(self) -> Iterator[str]:
        """Say which lines were never acted out, and why: whoever wrote them expects that they were."""
        for index, line in enumerate(self.lines):
            if line.do in {"wait", *OUTSIDE} or (index,) in self.done:
                continue
            why = "what it speaks of never came up"
            if line.person is not None and line.do in _ON_TASKS:
                why = f"{line.person} never had a task" + (f" of {line.on}" if line.on else "")
            yield f"line {index + 1} of the script was never acted out: {why}"

    def _planned_events(self, state: State, now: datetime) -> Iterator[PlannedEvent]:
        returned = [s.returned_at for s in state.stages if s.returned_at is not None]
        open_tasks = [t for t in state.tasks if t.status == "open"] if not returned else []
        for index, line in enumerate(self.lines):
            if line.do in OUTSIDE or self.done.get((index,), 0) >= line.at_most:
                continue
            if line.do in _ON_TASKS:
                for task in open_tasks:
                    if (index, task.id) not in self.done and concerns(line, task):
                        yield from self._on_task(state, line, index, task, now)
            elif line.do != "resubmit" or returned:
                yield from self._on_request(state, line, index, min(returned, default=None), now)
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
        yield PlannedEvent(at=at, event=_task_event(line, task, person), mark=(index, task.id))

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
        if line.after_hours is not None:
            return task.opened_at + timedelta(hours=line.after_hours)
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
        yield from decision_events(self.done, self.plan.nodes[task.node], task, person=person, decision=decision, at=at)


def decision_events(
    done: Mapping[tuple[Any, ...], int],
    node: Node,
    task: Task,
    *,
    person: str,
    decision: Decision,
    at: datetime,
    required_values: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[PlannedEvent]:
    """Yield what leads to this decision: claiming the task first where it waits in a queue.

    `supposed` are values that variables need which the form of the decision sets.
    """
    actor = Actor(person=person)
    if task.assignee is None and person in task.candidates:
        mark = ("claim", task.id, person)
        if mark not in done:
            yield PlannedEvent(at=at, event=Claim(by=actor, task_id=task.id), mark=mark)
        return
    mark = ("habit", task.id, person)
    if mark in done:
        return
    form = sample_decision(node, required_values) if decision == "approve" else None
    stage = node.asked
    comment = "simulated" if stage is not None and decision in stage.comment_required else None
    event = Decide(by=actor, task_id=task.id, decision=decision, form=form, comment=comment, via="simulation")
    yield PlannedEvent(at=at, event=event, mark=mark)


def parse_script(raw: object) -> tuple[ScriptLine, ...]:
    """Read a script from JSON values; raises InputInvalid with every fault by JSON Pointer."""
    try:
        return _LINES.validate_python(aliases.script_lines(raw))
    except ValidationError as error:
        problems = tuple(
            aliases.problem_of(fault, raw, fields={"": tuple(ScriptLine.model_fields)}, at="script")
            for fault in error.errors(include_url=False, include_context=False)
        )
        message = 'The script cannot be read; each line is an object such as {"on": stage, "decision": "approve"}.'
        raise InputInvalid(message, problems=problems) from None


def people_named(lines: Sequence[ScriptLine]) -> list[str]:
    """List the people whom a script names, by id."""
    named = (who for line in lines for who in (line.by, line.to) if who)
    return list(dict.fromkeys(person_id(who) for who in named))


_LINES = TypeAdapter(Annotated[tuple[ScriptLine, ...], Field(max_length=MOST_LINES)])


def concerns(line: ScriptLine, task: Task) -> bool:
    """Whether a line says what happens to a task, so that nothing else does."""
    if line.do not in _ON_TASKS:
        return False
    if line.on is not None:
        return line.on in {task.stage, task.node}
    return line.person is None or line.person in task.people


def _task_event(line: ScriptLine, task: Task, person: str) -> Event:
    by = Actor(person=person)
    if line.do == "reassign":
        return Reassign(by=Actor(person=person, admin=True), task_id=task.id, to=line.to or "", reason=line.comment)
    if line.do == "delegate":
        return Delegate(by=by, task_id=task.id, to=line.to or "", reason=line.comment)
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
        via="simulation",
    )


def _request_event(line: ScriptLine, state: State) -> Event:
    person = line.person or state.requester
    if line.do == "comment":
        return Comment(by=Actor(person=person), text=line.comment or "")
    if line.do == "resubmit":
        return Resubmit(by=Actor(person=person), input=line.input, title=line.title, comment=line.comment)
    if line.do == "extend":
        return Extend(by=Actor(person=person, admin=True), seconds=(line.hours or 0) * 3600, reason=line.comment)
    how: Literal["withdrawn", "cancelled"] = "withdrawn" if line.do == "withdraw" else "cancelled"
    return Withdraw(by=Actor(person=person, admin=how == "cancelled"), how=how, reason=line.comment)

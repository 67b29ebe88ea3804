"""Parse scripts: what people do in a simulated request, and what actions and outside events return, as JSON lines.

A line is `{"on": stage, "by": person, "after_hours": 3, "decision": "approve", "comment": …, "form": …}`: the person
who has a task of that stage decides it so many hours after it was opened. `by` restricts the line to one person.
`{"at_hours": 5, …}` counts from the start of the request instead. `do` is `decide` (the default), `comment`,
`withdraw`, `cancel`, `resubmit`, `reassign`, `delegate`, `claim`, `release`, `extend`, `undo` (its `after_hours` counts
from the decision), `add_approver`, `ask` (a question to the requester), `answer_question` (its `after_hours` counts
from the question), `remind`, `claim_action` (the approved action of the request, or one with other `parameters`; its
`after_hours` counts from the approval), or `wait` (the stage is left alone). Other lines set the results of what is not
run: an action will `answer` (with an `output`) or `fail`, an outside event will `happen`, or `wait` and never come
(simulation.world.answers). The approver model decides all other tasks (simulation.scenario.approver_model); by default
everyone approves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from placet.definition.assignees import person_id
from placet.definition.fields import Hours, HoursFromZero, Model
from placet.engine.state import Decision, Task
from placet.errors import InputInvalid
from simulation.scenario import aliases

MOST_LINES = 1000

Text = Annotated[str, Field(min_length=1, max_length=300)]
OtherAct = Literal[
    "comment",
    "withdraw",
    "cancel",
    "resubmit",
    "reassign",
    "delegate",
    "claim",
    "release",
    "undo",
    "extend",
    "add_approver",
    "ask",
    "answer_question",
    "remind",
    "claim_action",
    "wait",
    "answer",
    "fail",
    "happen",
]
"""What else than a decision a line is about."""
ON_TASKS = {"decide", "undo", "reassign", "delegate", "claim", "release", "wait"}
BESIDE = {"add_approver", "ask"}  # what whoever has a task does besides deciding it
OUTSIDE = {"answer", "fail", "happen"}  # lines about actions and events, not about people

_SAYS = {
    "add_approver": "why they are asked as well",
    "ask": "the question",
    "answer_question": "the answer",
}


class ScriptLine(Model):
    """One line of a script."""

    do: Literal["decide", OtherAct] = "decide"
    on: Text | None = None
    by: Text | None = None
    at_hours: HoursFromZero | None = None
    after_hours: HoursFromZero | None = None
    decision: Decision | None = None
    comment: Annotated[str, Field(max_length=10_000)] | None = None
    form: dict[str, Any] | None = None
    to: Text | None = None
    hours: Hours | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None  # the new title of a resubmission
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None  # those of the action that is claimed, in place of the approved ones
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
        if self.do in {"reassign", "delegate", "add_approver"} and self.to is None:
            raise ValueError(f'a line that does "{self.do}" needs "to", a person')
        if self.do == "extend" and self.hours is None:
            raise ValueError('a line that extends needs "hours"')
        if self.do in OUTSIDE and self.on is None:
            raise ValueError(f'a line that does "{self.do}" needs "on": the node, the action or the event')
        if self.do in {"answer", "fail"} and self.at_hours is not None:
            raise ValueError(
                'the result of an action is timed by "after_hours", from the start of the action; leave "at_hours" out'
            )
        if self.output is not None and self.do not in {"answer", "happen"}:
            raise ValueError('"output" needs "do": "answer" (for an action) or "do": "happen" (for an event)')
        if self.parameters is not None and self.do != "claim_action":
            raise ValueError('"parameters" needs "do": "claim_action": the claim of an action with these parameters')
        if self.do == "comment" and not (self.comment and self.by):
            raise ValueError('a line that comments needs "by" and "comment"')
        if self.do in _SAYS and not self.comment:
            raise ValueError(f'a line that does "{self.do}" needs "comment": {_SAYS[self.do]}')
        return self

    @property
    def person(self) -> str | None:
        """The id of the person who acts, where the line names one."""
        return person_id(self.by) if self.by else None

    @property
    def at_most(self) -> int:
        """How often the line applies: to one request for changes or comment, and to every task for other decisions."""
        if self.times is not None:
            return self.times
        once = self.at_hours is not None or self.do not in {"decide", "resubmit", "wait", "claim", *OUTSIDE}
        return 1 if once or self.decision == "request_changes" else 1_000_000


def parse_script(raw: object) -> tuple[ScriptLine, ...]:
    """Parse a script from JSON values; raises InputInvalid with the JSON Pointer of each problem."""
    try:
        return _LINES.validate_python(aliases.script_lines(raw))
    except ValidationError as error:
        problems = tuple(
            aliases.problem_of(fault, raw, fields={"": tuple(ScriptLine.model_fields)}, at="script")
            for fault in error.errors(include_url=False)
        )
        message = 'The script cannot be read; each line is an object such as {"on": stage, "decision": "approve"}.'
        raise InputInvalid(message, problems=problems) from None


def people_named(lines: Sequence[ScriptLine]) -> list[str]:
    """List the ids of the people whom a script names."""
    named = (who for line in lines for who in (line.by, line.to) if who)
    return list(dict.fromkeys(person_id(who) for who in named))


_LINES = TypeAdapter(Annotated[tuple[ScriptLine, ...], Field(max_length=MOST_LINES)])


def concerns(line: ScriptLine, task: Task) -> bool:
    """Whether a line applies to a task, so that the approver model does not decide it."""
    return line.do in ON_TASKS and is_about(line, task)


def is_about(line: ScriptLine, task: Task) -> bool:
    """Whether a task is of the stage and of the person that a line names."""
    if line.on is not None:
        return line.on in {task.stage, task.node}
    return line.person is None or line.person in task.people

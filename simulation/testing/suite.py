"""Suites: the format of scenario tests, which docs/blueprint-tests.md explains. A suite is about one blueprint.

A scenario is a request, what people and systems do with it (`steps`), and what has to come of it (`expect`). Steps are
lines of a script (simulation.scenario.script) with times as people write them, in the order in which they happen.
Nobody acts but who is in a step, unless `others` says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, ValidationError, model_validator

from placet.definition.assignees import person_id
from placet.definition.fields import Model
from placet.errors import InputInvalid, Problem
from placet.json_pointer import pointer_of
from placet.json_text import with_floats
from simulation.scenario import aliases
from simulation.scenario.asked_action import AskedAction
from simulation.scenario.script import OtherAct, ScriptLine
from simulation.testing.spans import Span

# A Monday morning in most of the world's time zones.
STARTS_AT = datetime(2026, 1, 12, 9, tzinfo=UTC)
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
STANDING = frozenset({"wait", "answer", "fail", "happen"})
"""Acts without a moment of their own: how systems answer, and which tasks are left alone."""
_DECISIONS = ("approve", "reject", "request_changes", "abstain")

Text = Annotated[str, Field(min_length=1, max_length=300)]
Reason = Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,60}$")]
Who = Annotated[tuple[Text, ...], Field(max_length=200)]
Act = Literal["approve", "reject", "request_changes", "abstain", OtherAct]


def _one_or_many(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


People = Annotated[Who, BeforeValidator(_one_or_many, json_schema_input_type=Text | Who)]
Times = Annotated[
    tuple[Span, ...],
    Field(max_length=1000),
    BeforeValidator(_one_or_many, json_schema_input_type=Span | tuple[Span, ...]),
]


class Told(Model):
    """Notifications that are expected: to whom, about the tasks of which stage, and when after the start.

    What is left out may be anything. With `at` each of these times has a notification, with `times` there are so many.
    """

    to: Text | None = None
    on: Text | None = None
    at: Times | None = None
    times: Annotated[int, Field(ge=1, le=10_000)] | None = None

    @property
    def event(self) -> str | None:
        """The event of the notification; None where its list says it."""
        return None


class Notified(Told):
    """A notification of any event that is expected."""

    of: Text  # the event

    @property
    def event(self) -> str | None:
        """The event of the notification."""
        return self.of


class Expected(Model):
    """What is expected at a time, or of the whole. What is left out is not looked at.

    `reminded` and `escalated` list all that there were up to then, and `open` and `skipped` all that there are.
    """

    outcome: Text | None = None
    status: Literal["pending", "completed", "withdrawn", "cancelled", "failed"] | None = None
    ended: Span | None = None  # how long after the start
    open: Annotated[dict[Text, People], Field(max_length=200)] | None = None
    stages: Annotated[dict[Text, Text], Field(max_length=200)] | None = None
    skipped: (
        Annotated[dict[Text, Text], Field(max_length=200)] | Annotated[tuple[Text, ...], Field(max_length=200)] | None
    ) = None
    reminded: Annotated[tuple[Told, ...], Field(max_length=200)] | None = None
    escalated: Annotated[tuple[Told, ...], Field(max_length=200)] | None = None
    notified: Annotated[tuple[Notified, ...], Field(max_length=200)] | None = None
    variables: Annotated[dict[Text, Any], Field(max_length=200)] | None = None
    actions: Annotated[tuple[Text, ...], Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _expects_something(self) -> Expected:
        if not self.model_fields_set:
            raise ValueError('nothing is expected here; write for example "outcome: approved"')
        return self


class Step(Model):
    """What somebody or something does, or only what is expected at a time.

    `at` counts from the start of the request, `after` from the moment from which a line of a script counts: the opening
    of the task, the return of the request, the question, the decision, the start of the action.
    """

    at: Span | None = None
    after: Span | None = None
    on: Text | None = None
    by: Text | None = None
    do: Act | None = None
    to: Text | None = None
    comment: Annotated[str, Field(max_length=10_000)] | None = None
    form: dict[str, Any] | None = None
    span: Span | None = None  # by how much a deadline is extended
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    times: Annotated[int, Field(ge=1, le=1000)] | None = None
    refused: Reason | None = None
    expect: Expected | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Step:
        if self.do is None:
            others = self.model_fields_set - {"at", "expect"}
            if self.expect is None or self.at is None or others:
                raise ValueError('say what is done ("do"), or what is expected at a time ("at" with "expect")')
            return self
        if self.is_standing and (self.refused is not None or self.expect is not None):
            raise ValueError(f'a step that does "{self.do}" has no moment of its own; expect it in another step')
        self.line()
        return self

    @property
    def is_standing(self) -> bool:
        """Whether the step says how systems answer or which tasks are left alone, whenever that comes."""
        return self.do in STANDING

    def line(self) -> ScriptLine | None:
        """Return the step as a line of a script; None for one that only expects. Raises ValueError."""
        if self.do is None:
            return None
        same = ("on", "by", "to", "comment", "form", "title", "input", "output", "parameters", "times")
        raw: dict[str, Any] = {name: value for name in same if (value := getattr(self, name)) is not None}
        if self.do in _DECISIONS:
            raw |= {"do": "decide", "decision": self.do}
        else:
            raw |= {"do": self.do}
        if self.span is not None:
            raw["hours"] = self.span / timedelta(hours=1)
        if self.at is not None:
            raw["at_hours"] = self.at / timedelta(hours=1)
        if self.after is not None:
            raw["after_hours"] = self.after / timedelta(hours=1)
        elif self.at is None and not self.is_standing:
            raw["after_hours"] = 0
        if not self.is_standing:
            raw.setdefault("times", 1)
        try:
            return ScriptLine.model_validate(raw)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise ValueError(str(fault["msg"]).removeprefix("Value error, ")) from None


class ScenarioTest(Model):
    """One scenario: a request, what is done with it, and what has to come of it."""

    __test__ = False  # for pytest, which takes such names for its own

    name: Text
    requester: Text
    title: Text | None = None
    input: dict[str, Any] | None = None
    action: AskedAction | None = None
    starts_at: Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)] | None = None
    others: Literal["wait", "approve"] = "wait"
    until: Span = timedelta(days=90)  # after which a request that is still open is no longer followed
    steps: Annotated[tuple[Step, ...], Field(max_length=500)] = ()
    refused: Reason | None = None  # the request is refused: nothing starts
    expect: Expected | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> ScenarioTest:
        if self.refused is not None and (self.steps or self.expect is not None):
            raise ValueError('a request that is refused has no steps and nothing else to expect; keep "refused" alone')
        if self.refused is None and self.expect is None and all(one.expect is None for one in self.steps):
            raise ValueError('nothing is expected of this scenario; add "expect", for example with an "outcome"')
        latest: tuple[timedelta, int] | None = None
        for number, step in enumerate(self.steps, 1):
            if step.at is None or step.is_standing:
                continue
            if latest is not None and step.at < latest[0]:
                raise ValueError(f"steps stand in the order in which they happen: step {number} is before {latest[1]}")
            latest = (step.at, number)
        return self

    @property
    def person(self) -> str:
        """The id of the requester."""
        return person_id(self.requester)


class Suite(Model):
    """A file of scenarios about one blueprint. Files are named as seen from the suite's folder."""

    blueprint: Text
    people: Text
    actions: Text | None = None  # the catalog's other actions
    processes: Annotated[tuple[Text, ...], Field(max_length=50)] = ()  # the blueprints of sub-processes
    starts_at: Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)] = STARTS_AT
    scenarios: Annotated[tuple[ScenarioTest, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _names_each_once(self) -> Suite:
        seen: set[str] = set()
        for one in self.scenarios:
            if one.name in seen:
                raise ValueError(f"two scenarios have the name {one.name!r}; name each once")
            seen.add(one.name)
        return self


def parse_suite(raw: object) -> Suite:
    """Parse a suite; raises InputInvalid with the JSON Pointer of each problem."""
    try:
        return Suite.model_validate(_without_decimals(raw))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)[:200]
        problems = tuple(
            Problem(pointer=pointer_of(loc), message=aliases.message_of(fault, _fields_at(loc)))
            for fault in faults
            for loc in [_written(fault["loc"])]
        )
        raise InputInvalid("The file cannot be read as a suite of scenarios.", problems=problems) from None


def _without_decimals(raw: Any) -> Any:
    """Return the document with floats for Decimals where no amounts are: inputs of requests stay exact."""
    if not isinstance(raw, dict) or not isinstance(raw.get("scenarios"), list):
        return with_floats(raw)
    kept = [
        {**one, "steps": with_floats(one.get("steps", []))} if isinstance(one, dict) else one
        for one in raw["scenarios"]
    ]
    return {**with_floats({name: value for name, value in raw.items() if name != "scenarios"}), "scenarios": kept}


def _written(loc: tuple[int | str, ...]) -> list[int | str]:
    """Return a location without the tags that pydantic puts into it for alternatives."""
    return [
        part for part in loc if not (isinstance(part, str) and part.startswith(("dict[", "tuple[", "constrained-")))
    ]


_INSIDE: dict[str, type[Model]] = {
    "scenarios": ScenarioTest,
    "steps": Step,
    "expect": Expected,
    "reminded": Told,
    "escalated": Told,
    "notified": Notified,
    "action": AskedAction,
}


def _fields_at(loc: list[int | str]) -> dict[str, tuple[str, ...]]:
    """Return the fields that there are where a field stands."""
    holder = next((part for part in reversed(loc[:-1]) if isinstance(part, str)), "")
    names = tuple(_INSIDE.get(holder, Suite).model_fields)
    return {"": names, **({str(loc[0]): names} if loc else {})}


@lru_cache(maxsize=1)
def suite_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the format, which docs/blueprint-tests.schema.json publishes."""
    schema = Suite.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Placet scenario tests", **schema}

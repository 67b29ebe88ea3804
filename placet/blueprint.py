"""A blueprint: the JSON that people write, export and import to describe an approval process.

The models check shape and ranges; what spans several places (dangling ids, unreachable nodes, types of conditions) is
`placet.check`'s to say. Field names are those of the published format (docs/blueprint.md).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from placet.almanac import CalendarSettings
from placet.errors import BlueprintInvalid, PlacetError, Problem
from placet.variables import Variable
from placet.who import parse_who

SEMVER = re.compile(r"^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$")
_YEARS_50 = 50 * 366 * 24


class Model(BaseModel):
    """The base of every part: frozen, and nothing unknown is taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _who(text: str) -> str:
    try:
        parse_who(text)
    except PlacetError as error:
        raise ValueError(error.message) from error
    return text


def _whole_number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("write a number")  # noqa: TRY004 - pydantic turns ValueError into a finding
    return value


WhoText = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_who)]
Hours = Annotated[float, BeforeValidator(_whole_number), Field(gt=0, le=_YEARS_50, allow_inf_nan=False)]
HoursFromZero = Annotated[float, BeforeValidator(_whole_number), Field(ge=0, le=_YEARS_50, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_whole_number), Field(ge=1, le=1000)]
Identifier = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*$")]
Outcome = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[a-z][a-z0-9_]*$")]
Title = Annotated[str, Field(min_length=1, max_length=200)]
JsonObject = dict[str, Any]


class WeightedApprover(Model):
    """An approver whose vote counts `weight` (whole number, 1 to 1000) towards a weight quorum."""

    who: WhoText
    weight: Count = 1


class Quorum(Model):
    """How many seats must approve: exactly one of `at_least` (seats), `percent` (of seats, rounded up), `weight`."""

    at_least: Count | None = None
    percent: Annotated[float, BeforeValidator(_whole_number), Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    weight: Count | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Quorum:
        if sum(v is not None for v in (self.at_least, self.percent, self.weight)) != 1:
            raise ValueError('give exactly one of "at_least", "percent" and "weight"')
        return self


class Sla(Model):
    """A stage's service level, in hours of the process's calendar."""

    target_hours: Hours
    warn_before_hours: HoursFromZero | None = None
    critical_hours: Hours | None = None


class EscalationLevel(Model):
    """One level of an explicit escalation: `after_hours` counts from the breach."""

    after_hours: HoursFromZero = 0
    to: WhoText
    action: Literal["reassign", "add", "notify"] = "reassign"


class Reminders(Model):
    """When open tasks are remembered: every so many hours, and so many hours before the deadline."""

    every_hours: Hours | None = None
    before_hours: Annotated[tuple[Hours, ...], Field(max_length=20)] = ()


class SeparationOfDuties(Model):
    """What one person may do in two stages of the same request."""

    repeat: Literal["allow", "carry", "forbid"] = "allow"


class Step(Model):
    """One approval stage: who approves, how many must, by when, and what happens when they do not."""

    stage_name: Title
    approvers: Annotated[tuple[WhoText | WeightedApprover, ...], Field(min_length=1, max_length=200)] = (
        "manager_of(requester)",
    )
    quorum: Literal["any", "all"] | Quorum = "any"
    rejection: Literal["any", "unreachable"] = "any"
    order: Literal["parallel", "sequential"] = "parallel"
    claim: bool = False
    assign: Literal["each", "least_loaded"] = "each"
    sla_hours: Hours | None = None
    sla: Sla | None = None
    warn_before_hours: HoursFromZero | None = None
    re_escalate_after_hours: Hours | None = None
    escalation_enabled: bool | None = None
    escalation_to: WhoText | None = None
    escalation: Annotated[tuple[EscalationLevel, ...], Field(min_length=1, max_length=50)] | None = None
    final: Literal["wait", "approve", "reject", "expire"] = "wait"
    reminders: Reminders | None = None
    form: JsonObject | None = None
    comment_required: Annotated[tuple[Literal["approve", "reject", "request_changes"], ...], Field(max_length=3)] = ()
    separation_of_duties: SeparationOfDuties | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Step:
        if self.sla_hours is not None and self.sla is not None:
            raise ValueError('give "sla_hours" or "sla", not both')
        if self.escalation_to is not None and self.escalation is not None:
            raise ValueError('give "escalation_to" or "escalation", not both')
        targets = self.escalation_to is not None or self.escalation is not None
        if self.escalation_enabled and not targets:
            raise ValueError('"escalation_enabled" needs "escalation_to" or "escalation"')
        if self.escalates and self.sla_hours is None and self.sla is None:
            raise ValueError('escalation starts at the breach, so give "sla_hours" or "sla"')
        if self.escalation is not None:
            after = [level.after_hours for level in self.escalation]
            if after != sorted(after):
                raise ValueError('the levels of "escalation" must be in the order of their "after_hours"')
        return self

    @property
    def escalates(self) -> bool:
        """Whether a breach escalates; on by default where a target is given."""
        if self.escalation_enabled is not None:
            return self.escalation_enabled
        return self.escalation_to is not None or self.escalation is not None


class Settings(Model):
    """What holds for the whole process unless a stage says otherwise."""

    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    calendar: CalendarSettings = "24x7"
    warn_before_hours: HoursFromZero = 2
    re_escalate_after_hours: Hours = 24
    separation_of_duties: SeparationOfDuties = SeparationOfDuties()
    max_rounds: Annotated[int, BeforeValidator(_whole_number), Field(ge=1, le=50)] = 5
    jitter_seconds: Annotated[float, BeforeValidator(_whole_number), Field(ge=0, le=3600, allow_inf_nan=False)] = 0


class _Node(Model):
    id: Identifier
    x: Annotated[float, Field(allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(allow_inf_nan=False)] | None = None
    name: Title | None = None


class TriggerNode(_Node):
    """Where a request begins; exactly one."""

    type: Literal["trigger"]


class ApprovalNode(_Node):
    """A stage: `step` is the stage_name of one of process_steps."""

    type: Literal["approval"]
    step: Title


class DecisionNode(_Node):
    """A branch: the first outgoing edge whose condition holds is taken, else the default."""

    type: Literal["decision"]


class TerminatorNode(_Node):
    """An end, with the outcome of the request."""

    type: Literal["terminator"]
    outcome: Outcome


Node = Annotated[TriggerNode | ApprovalNode | DecisionNode | TerminatorNode, Field(discriminator="type")]


class Edge(Model):
    """A way from one node to another: `on` an approval's result, or under a decision's `condition`."""

    source: Annotated[Identifier, Field(alias="from")]
    target: Annotated[Identifier, Field(alias="to")]
    on: Outcome | None = None
    condition: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    default: bool = False


class GraphSpec(Model):
    """Nodes and edges; layout x and y are kept."""

    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=500)]
    edges: Annotated[tuple[Edge, ...], Field(max_length=2000)]


class Blueprint(Model):
    """A whole process template."""

    name: Title
    version: Annotated[str, Field(max_length=100)]
    template_type: Annotated[str, Field(min_length=1, max_length=60)] = "approval"
    owner: WhoText | None = None
    description: Annotated[str, Field(max_length=4000)] | None = None
    variables: Annotated[tuple[Variable, ...], Field(max_length=200)] = ()
    settings: Settings = Settings()
    process_steps: Annotated[tuple[Step, ...], Field(max_length=300)] = ()
    graph_spec: GraphSpec | None = None

    @model_validator(mode="after")
    def _names_are_unique(self) -> Blueprint:
        if not SEMVER.match(self.version):
            raise ValueError(f'version {self.version!r} is not a semantic version; write for example "1.0.0"')
        if not self.process_steps and self.graph_spec is None:
            raise ValueError('give "process_steps", or a "graph_spec"')
        for what, names in (
            ("variable", [v.name for v in self.variables]),
            ("stage_name", [s.stage_name for s in self.process_steps]),
        ):
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{what} {twice[0]!r} is declared twice; give each its own name")
        return self


def parse_blueprint(raw: object) -> Blueprint:
    """Read a blueprint from JSON values; raises BlueprintInvalid with every fault of its shape, by JSON Pointer."""
    try:
        return Blueprint.model_validate(raw)
    except ValidationError as error:
        problems = tuple(_problem(e["loc"], e["msg"]) for e in error.errors(include_url=False, include_context=False))
        raise BlueprintInvalid(problems[0].message if len(problems) == 1 else None, problems=problems) from None


def canonical(blueprint: Blueprint) -> dict[str, Any]:
    """Return the blueprint as JSON values without defaults left unsaid: what is exported, stored and hashed."""
    return blueprint.model_dump(mode="json", by_alias=True, exclude_unset=True)


# Names of union members and validators that pydantic puts into a location, which are no part of the document.
_SYNTHETIC = re.compile(
    r"^(function-|tagged-union|WeightedApprover$|Quorum$|literal\[|str$|constrained-|WorkingHours$)"
)
_NODE_TYPES = {"trigger", "approval", "decision", "terminator"}


def _problem(location: tuple[int | str, ...], message: str) -> Problem:
    parts: list[str] = []
    for index, part in enumerate(location):
        text = str(part)
        if isinstance(part, str) and _SYNTHETIC.match(text):
            continue
        if index and text in _NODE_TYPES and isinstance(location[index - 1], int):
            continue
        parts.append(text.replace("~", "~0").replace("/", "~1"))
    return Problem(pointer="".join(f"/{p}" for p in parts), message=message.removeprefix("Value error, "))

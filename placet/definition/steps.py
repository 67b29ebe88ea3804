"""Steps and settings of a process: the approvers and deadlines of each stage, and the defaults of all stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Discriminator, Field, StrictBool, Tag, model_validator

from placet.definition.calendar_settings import CalendarSettings
from placet.definition.fields import (
    AssigneeText,
    Condition,
    Count,
    FormSchema,
    Hours,
    HoursFromZero,
    Model,
    Number,
    Title,
    shape,
)
from placet.definition.formats import OnChange
from placet.definition.json_schema.forms import has_words
from placet.sentences import sentence

DecisionLinks = Literal["off", "session", "bearer"]
"""What a link in a notification needs to decide: it decides never, in a session of its person, or by itself."""
MediaType = Annotated[str, Field(max_length=120, pattern=r"^[a-z0-9][a-z0-9.+-]*/([a-z0-9][a-z0-9.+-]*|\*)$")]

LONGEST_UNDO = 86_400  # seconds; a longer time to think again is a stage of its own


class WeightedApprover(Model):
    """An approver whose vote counts `weight` (whole number, 1 to 1000) towards a weight quorum."""

    who: AssigneeText
    weight: Count = 1


class ChosenApprover(Model):
    """Approvers that an expression chooses among the names in it, each with this weight."""

    expr: Condition
    weight: Count = 1


def _approver(value: Any) -> str:
    if isinstance(value, ChosenApprover) or (isinstance(value, dict) and "expr" in value):
        return "chosen"
    return shape(value)


# Told apart by their JSON type, so that a fault is reported once and for what was meant.
Approver = Annotated[
    Annotated[AssigneeText, Tag("text")]
    | Annotated[WeightedApprover, Tag("object")]
    | Annotated[ChosenApprover, Tag("chosen")],
    Discriminator(_approver),
]


class Quorum(Model):
    """How many seats must approve: exactly one of `at_least` (seats), `percent` (of seats, rounded up), `weight`."""

    at_least: Count | None = None
    percent: Annotated[float, Number, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    weight: Count | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Quorum:
        if sum(v is not None for v in (self.at_least, self.percent, self.weight)) != 1:
            raise ValueError('give exactly one of "at_least", "percent" and "weight"')
        return self


QuorumSetting = Annotated[
    Annotated[Literal["any", "all"], Tag("text")] | Annotated[Quorum, Tag("object")], Discriminator(shape)
]


class Sla(Model):
    """A stage's service level, in hours of the process's calendar."""

    target_hours: Hours
    warn_before_hours: HoursFromZero | None = None
    critical_hours: Hours | None = None


class EscalationLevel(Model):
    """One level of an explicit escalation: `after_hours` counts from the breach."""

    after_hours: HoursFromZero = 0
    to: AssigneeText
    action: Literal["reassign", "add", "notify"] = "reassign"


class Reminders(Model):
    """When people are reminded of open tasks: at an interval of hours, and some hours before the deadline."""

    every_hours: Hours | None = None
    before_hours: Annotated[tuple[Hours, ...], Field(max_length=20)] = ()


class SeparationOfDuties(Model):
    """Whether one person may decide two stages of the same request, or what an agent asks that acts for them."""

    repeat: Literal["allow", "carry", "forbid"] = "allow"
    agent_principal: Literal["allow", "forbid"] = "allow"


def _different(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a text that stands there twice, or that is blank."""
    for number, text in enumerate(texts):
        if not has_words(text):
            raise ValueError(
                sentence("reason {number} says nothing; write what the signature means", number=number + 1)
            )
        if text in texts[:number]:
            raise ValueError(sentence("{text!r} stands there twice; leave one out", text=text))
    return texts


def _true(value: bool) -> bool:
    """Refuse a signature of nobody in particular."""
    if not value:
        raise ValueError('a signature needs a fresh proof of who decides; write true, or leave "sign" out')
    return value


class Signing(Model):
    """How decisions of a stage are signed: with a fresh proof of who decides, and one of these reasons."""

    reauthenticate: Annotated[StrictBool, AfterValidator(_true), Field(json_schema_extra={"const": True})] = True
    reasons: Annotated[tuple[Title, ...], Field(min_length=1, max_length=20), AfterValidator(_different)]


class Step(Model):
    """One approval stage: who approves, how many must, by when, and what happens when they do not."""

    stage_name: Title
    approvers: Annotated[tuple[Approver, ...], Field(min_length=1, max_length=200)] = ("manager_of(requester)",)
    quorum: QuorumSetting = "any"
    rejection: Literal["any", "unreachable"] = "any"
    order: Literal["parallel", "sequential"] = "parallel"
    claim: bool = False
    ad_hoc: bool = True
    assign: Literal["each", "least_loaded"] = "each"
    sla_hours: Hours | None = None
    sla: Sla | None = None
    warn_before_hours: HoursFromZero | None = None
    re_escalate_after_hours: Hours | None = None
    escalation_enabled: bool | None = None
    escalation_to: AssigneeText | None = None
    escalation: Annotated[tuple[EscalationLevel, ...], Field(min_length=1, max_length=50)] | None = None
    final: Literal["wait", "approve", "reject", "expire"] = "wait"
    reminders: Reminders | None = None
    form: FormSchema | None = None
    undo_seconds: Annotated[float, Number, Field(ge=0, le=LONGEST_UNDO, allow_inf_nan=False)] = 0
    comment_required: Annotated[
        tuple[Literal["approve", "reject", "request_changes", "abstain"], ...], Field(max_length=4)
    ] = ()
    separation_of_duties: SeparationOfDuties | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    decision_links: DecisionLinks | None = None
    sign: Signing | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Step:
        if self.sla_hours is not None and self.sla is not None:
            raise ValueError('give "sla_hours" or "sla", not both')
        if self.escalation_to is not None and self.escalation is not None:
            raise ValueError('give "escalation_to" or "escalation", not both')
        targets = self.escalation_to is not None or self.escalation is not None
        if self.escalation_enabled and not targets:
            raise ValueError('"escalation_enabled" needs "escalation_to" or "escalation"')
        # Without the word "escalation_enabled", a target alone still says who stands in for approvers who are missing.
        if self.escalation_enabled and self.sla_hours is None and self.sla is None:
            raise ValueError('escalation starts at the breach, so give "sla_hours" or "sla"')
        if self.sign is not None and self.final == "approve":
            raise ValueError('a timeout signs nothing: with "sign", "final" cannot be "approve"; use "wait" or another')
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


def decision_links_by_stage(blueprint: Mapping[str, Any]) -> dict[str, DecisionLinks]:
    """Return what the stages of a stored blueprint say about links that decide, by name; many say nothing."""
    steps = blueprint.get("process_steps")
    return {
        step["stage_name"]: step["decision_links"]
        for step in (steps if isinstance(steps, list) else ())
        if isinstance(step, Mapping) and step.get("decision_links") in get_args(DecisionLinks) and "stage_name" in step
    }


def signing_stages(blueprint: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the stages of a stored blueprint whose decisions are signed."""
    steps = blueprint.get("process_steps")
    return frozenset(
        str(step.get("stage_name"))
        for step in (steps if isinstance(steps, list) else ())
        if isinstance(step, Mapping) and step.get("sign") is not None
    )


def strictest(*said: DecisionLinks | None) -> DecisionLinks:
    """Return what holds where the installation and a stage say different things: the stricter one."""
    order = get_args(DecisionLinks)
    return min((one for one in said if one is not None), key=order.index)


class AttachmentSettings(Model):
    """Which files a request may have: how many, how large (bytes each), of which media types (`image/*`; none: all)."""

    max_files: Annotated[int, Number, Field(ge=0, le=100)] = 20
    max_bytes: Annotated[int, Number, Field(ge=1, le=2**40)] | None = None
    types: Annotated[tuple[MediaType, ...], Field(max_length=50)] = ()


class ProcessSettings(Model):
    """The settings of the whole process, which a stage may override."""

    timezone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    calendar: CalendarSettings = "24x7"
    warn_before_hours: HoursFromZero = 2
    re_escalate_after_hours: Hours = 24
    separation_of_duties: SeparationOfDuties = SeparationOfDuties()
    max_rounds: Annotated[int, Number, Field(ge=1, le=50)] = 5
    jitter_seconds: Annotated[float, Number, Field(ge=0, le=3600, allow_inf_nan=False)] = 0
    on_change: OnChange | None = None
    immaterial: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=200)] = ()
    require_revision: bool = False
    attachments: AttachmentSettings = AttachmentSettings()
    amount: Annotated[str, Field(max_length=100)] | None = None  # the variable that requests are sorted by
    summary: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=10)] = ()  # shown in lists

"""The form of an SLA: its fields, and what was entered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection

from api.schemas.slas import SlaBody
from placet.errors import InputInvalid, NotFound, Problem
from service.slas.definitions import SlaFacts
from storage.queries.definitions import definitions as processes
from storage.tables.slas import WorkflowSla
from web.forms.fields import Field, written
from web.forms.reading import Entries
from web.languages import Wording
from web.slas.wording import exact, seconds_of
from web.views.words import marked

_LABELS: Final = {
    "name": marked("Name"),
    "stage": marked("What is measured"),
    "target_duration_seconds": marked("Target: it takes at most"),
    "warning_threshold_seconds": marked("Tell the owner after"),
    "critical_threshold_seconds": marked("Critically late after"),
    "slo_window_hours": marked("Window"),
    "slo_target_percentage": marked("Share that keeps the target"),
    "business_time": marked("Time that counts"),
}
_DURATIONS: Final = (
    "target_duration_seconds",
    "warning_threshold_seconds",
    "critical_threshold_seconds",
    "slo_window_hours",
)
_WRONG: Final = {
    "name": marked("Enter 1 to 200 characters."),
    "stage": marked("Choose the process or one of its stages."),
    "target_duration_seconds": marked("Enter a duration up to five years, such as 8 h or 1 d 12 h."),
    "warning_threshold_seconds": marked("Enter a duration up to five years, such as 8 h or 1 d 12 h."),
    "critical_threshold_seconds": marked("Enter a duration up to five years, such as 8 h or 1 d 12 h."),
    "slo_window_hours": marked("Enter a duration up to a year, such as 24 h or 7 d."),
    "slo_target_percentage": marked("Enter a percentage above 0, at most 100."),
}
_LATER: Final = marked("It must not be after the target.")
_SOONER: Final = marked("It must not be before the target.")
_WHOLE, _STAGE = "process", "stage:"  # how the form names what is measured
_TIMES: Final = (("false", marked("All time")), ("true", marked("Working time, by the calendar of the process")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an SLA measures: the process, and what of it can be chosen (None: it is fixed)."""

    process: str
    stages: tuple[str, ...] | None


def read_measured(connection: Connection, process: str) -> Measured:
    """Return what can be measured of a process; raises NotFound."""
    steps: Sequence[Any] = processes.find(connection, process).blueprint.get("process_steps") or ()
    names = [str(step["stage_name"]) for step in steps if isinstance(step, Mapping) and step.get("stage_name")]
    return Measured(process=process, stages=tuple(dict.fromkeys(names)))


def find_measured(connection: Connection, process: str) -> Measured | None:
    """Return what can be measured of a process; None where there is no such process."""
    try:
        return read_measured(connection, process)
    except NotFound:
        return None


def facts_of(row: WorkflowSla) -> SlaFacts:
    """Return what a stored SLA says."""
    return SlaFacts(**{name: getattr(row, name) for name in SlaFacts.__dataclass_fields__})


def sla_fields(
    measured: Measured, facts: SlaFacts | None, entries: Entries | None, wording: Wording
) -> tuple[Field, ...]:
    """Return the fields with what was entered, else with what there is, else with what is usual."""
    say = wording.say
    usual = {"stage": _WHOLE, "slo_window_hours": "24 h", "slo_target_percentage": "99", "business_time": "false"}
    there = _texts(facts, wording.decimal_sign) if facts is not None else usual

    def field(name: str, **more: Any) -> Field:
        value = there.get(name, "") if entries is None else entries.text(name)
        return Field(name=name, pointer=f"/{name}", label=say(_LABELS[name]), value=value, **more)

    fields = [field("name", widget="text", required=True, longest=200)]
    if measured.stages is not None:
        stages = ((_WHOLE, say("The whole process")), *((f"{_STAGE}{name}", name) for name in measured.stages))
        fields.append(field("stage", widget="choice", required=True, options=stages))
    fields += [
        field(
            "target_duration_seconds",
            widget="text",
            required=True,
            longest=50,
            help=say("Such as 30 min, 8 h or 1 d 12 h."),
        ),
        field(
            "warning_threshold_seconds",
            widget="text",
            longest=50,
            help=say("Before the target is missed; may be left empty."),
        ),
        field(
            "critical_threshold_seconds",
            widget="text",
            longest=50,
            help=say("Makes a breach of its own; may be left empty."),
        ),
        field("slo_target_percentage", widget="number", required=True, unit="%"),
        field(
            "slo_window_hours",
            widget="text",
            required=True,
            longest=50,
            help=say("How far back the share is counted, such as 24 h, 7 d or 28 d."),
        ),
    ]
    if measured.stages is not None:
        fields.append(
            field("business_time", widget="choice", required=True, options=tuple((k, say(word)) for k, word in _TIMES))
        )
    return tuple(fields)


def read_sla_form(entries: Entries, measured: Measured, before: SlaFacts | None, wording: Wording) -> SlaFacts:
    """Return the SLA that was entered; what it measures is as `before`. Raises InputInvalid with each wrong field."""
    sent: dict[str, Any] = {"name": entries.text("name"), "template": measured.process}
    wrong: dict[str, str] = {}
    for name in _DURATIONS:
        text = entries.text(name)
        seconds = seconds_of(text, wording.decimal_sign)
        if seconds is None and (text or name in {"target_duration_seconds", "slo_window_hours"}):
            wrong[name] = _WRONG[name]
        sent[name] = None if seconds is None else seconds / 3600 if name == "slo_window_hours" else seconds
    share = entries.number(entries.text("slo_target_percentage").removesuffix("%"))
    try:
        sent["slo_target_percentage"] = float(share)
    except ValueError:
        wrong["slo_target_percentage"] = _WRONG["slo_target_percentage"]
    if before is not None:
        sent |= {name: getattr(before, name) for name in ("stage", "business_time", "enabled")}
    else:
        chosen = entries.text("stage")
        sent |= {"stage": None, "business_time": entries.text("business_time") == "true"}
        if chosen != _WHOLE:
            sent["stage"] = next((one for one in measured.stages or () if chosen == f"{_STAGE}{one}".strip()), None)
            if sent["stage"] is None:
                wrong["stage"] = _WRONG["stage"]
    try:
        body = SlaBody.model_validate({name: value for name, value in sent.items() if name not in wrong or value})
    except ValidationError as error:
        places = {str(fault["loc"][0]) for fault in error.errors(include_url=False)}
        wrong |= {place: _WRONG[place] for place in places if place in _WRONG}
        if not wrong:
            raise
    else:
        wrong |= _wrong_order(body)
    if wrong:
        order = list(_LABELS)
        problems = tuple(
            Problem(pointer=f"/{name}", message=wording.say(wrong[name])) for name in sorted(wrong, key=order.index)
        )
        raise InputInvalid(problems[0].message, problems=problems)
    return body.facts()


def _wrong_order(body: SlaBody) -> dict[str, str]:
    found = {}
    if body.warning_threshold_seconds is not None and body.warning_threshold_seconds > body.target_duration_seconds:
        found["warning_threshold_seconds"] = _LATER
    if body.critical_threshold_seconds is not None and body.critical_threshold_seconds < body.target_duration_seconds:
        found["critical_threshold_seconds"] = _SOONER
    return found


def _texts(facts: SlaFacts, decimal_sign: str) -> dict[str, str]:
    values = asdict(facts)
    texts = {name: "" if values[name] is None else exact(values[name], decimal_sign) for name in _DURATIONS[:-1]}
    return texts | {
        "name": facts.name,
        "slo_window_hours": exact(facts.slo_window_hours * 3600, decimal_sign),
        "slo_target_percentage": written(facts.slo_target_percentage, decimal_sign),
        "business_time": "true" if facts.business_time else "false",
    }

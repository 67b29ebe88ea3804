"""Aliases: other names that specs and scripts may use for fields and values, mapped to the standard ones.

People who know blueprints and the rest of the API write `stage`, `approved` or `after_minutes`; each is accepted here.
An unknown name is refused with the nearest known one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from placet.definition.validation_messages import sentence_of
from placet.errors import Problem
from placet.json_pointer import pointer_of

SPEC_ALIASES = {
    "candidate": "blueprint",
    "candidate_version": "version",
    "decisions": "script",
    "process_template": "template",
    "request": "request_id",
    "requests": "request_ids",
    "template_id": "template",
    "template_name": "template",
    "values": "input",
    "variables": "input",
}
LINE_ALIASES = {
    "action": "do",
    "actor": "by",
    "approver": "by",
    "assignee": "by",
    "node": "on",
    "person": "by",
    "stage": "on",
    "stage_name": "on",
    "step": "on",
    "task": "on",
}
_DECISIONS = {
    "abstain": "abstain",
    "abstained": "abstain",
    "approved": "approve",
    "changes_requested": "request_changes",
    "reject": "reject",
    "rejected": "reject",
    "approve": "approve",
    "request_changes": "request_changes",
}
_NO_DECISION = {None, "expire", "expired", "ignore", "no_response", "none", "silent", "timeout", "wait"}
_DELAY = re.compile(r"\A(after|at|delay)_(seconds|minutes|hours|days)\Z")
_HOURS = {"seconds": Decimal(1) / 3600, "minutes": Decimal(1) / 60, "hours": Decimal(1), "days": Decimal(24)}
_EXAMPLES = {
    "": '{"on": "Manager Approval", "decision": "approve", "after_hours": 3}',
    "patch": '{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 8}',
    "prices": '{"currency": "EUR", "approver_hour": 80}',
    "sample": '{"seed": 7, "approve": 0.9}',
}
_MESSAGES = {
    "decimal_parsing": 'write a number, such as 80 or "80.50"',
    "dict_type": "write an object",
    "float_parsing": "write a number",
    "int_parsing": "write a whole number",
    "missing": "this field is required",
    "string_too_short": "write at least one character",
    "string_type": "write text, a string in quotes",
    "timezone_aware": "give the time zone too, such as 2026-01-31T09:00:00Z",
}
_MOST_LISTED = 12  # fields that a message lists


def standard_names(raw: Any) -> Any:
    """Return a spec with the standard field names; raises ValueError where a field is given under two names."""
    return _renamed(raw, SPEC_ALIASES) if isinstance(raw, dict) else raw


def script_lines(raw: Any) -> Any:
    """Return a script as a list of lines; `{"Manager Approval": "reject"}` becomes a line for each stage."""
    if not isinstance(raw, dict):
        return raw
    return [
        {"on": stage, **what} if isinstance(what, dict) else {"on": stage, "decision": what}
        for stage, what in raw.items()
    ]


def standard_line(raw: Any) -> Any:
    """Return a script line with the standard names; raises ValueError where a field is given under two names."""
    if not isinstance(raw, dict):
        return raw
    renamed: dict[str, Any] = {}
    for name, value in _renamed(raw, LINE_ALIASES).items():
        span = _DELAY.match(name)
        if span is not None:
            when = "at_hours" if span[1] == "at" else "after_hours"
            if when in renamed:
                raise ValueError(f'"{name}" and "{when}" mean the same; give one of them')
            renamed[when] = _hours(value, span[2])
        else:
            renamed[name] = value
    if renamed.get("do") in _DECISIONS and "decision" not in renamed:
        renamed["decision"] = renamed.pop("do")
    if "decision" in renamed and renamed.get("do", "decide") == "decide":
        wanted = renamed["decision"]
        if isinstance(wanted, str | None) and wanted in _NO_DECISION:
            return {
                **{k: v for k, v in renamed.items() if k not in {"decision", "after_hours", "at_hours"}},
                "do": "wait",
            }
        renamed["decision"] = _DECISIONS.get(wanted, wanted) if isinstance(wanted, str) else wanted
    return renamed


def problem_of(fault: Mapping[str, Any], raw: Any, *, fields: Mapping[str, Sequence[str]], at: str = "") -> Problem:
    """Return a fault that pydantic found as a problem, with the JSON Pointer into `raw` as its author wrote it.

    `fields` lists the field names that are allowed inside a top-level field; "" is for all other places.
    """
    place = [at] if at else []
    value = raw
    for part in fault["loc"]:
        name = part
        if isinstance(value, dict):
            if isinstance(part, int):  # a script written by stage
                name = list(value)[part]
            elif part not in value:
                written = {old for old, new in {**SPEC_ALIASES, **LINE_ALIASES}.items() if new == part}
                written |= {k for k in value if part in {"after_hours", "at_hours"} and _DELAY.match(str(k))}
                name = next((k for k in value if k in written), part)
        place.append(name)
        value = value.get(name) if isinstance(value, dict) else _item(value, part)
    return Problem(pointer=pointer_of(place), message=message_of(fault, fields))


def message_of(fault: Mapping[str, Any], fields: Mapping[str, Sequence[str]]) -> str:
    """Return what a fault that pydantic found, with its context, means; `fields` as in `problem_of`."""
    if fault["type"] == "extra_forbidden":
        names = fields.get(str(fault["loc"][0]) if len(fault["loc"]) > 1 else "", fields[""])
        near = get_close_matches(str(fault["loc"][-1]), names, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; the fields are {', '.join(names[:_MOST_LISTED])}"
        return f"this field does not exist here{hint}"
    if fault["type"] in {"model_type", "model_attributes_type", "dataclass_type"}:
        return f"write an object, such as {_EXAMPLES.get(str(fault['loc'][0]) if fault['loc'] else '', _EXAMPLES[''])}"
    if fault["type"] in {"tuple_type", "list_type"}:
        return "write a list"
    return _MESSAGES.get(fault["type"]) or sentence_of(fault)


def _renamed(raw: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for name, value in raw.items():
        standard = words.get(name, name)
        if standard in renamed:
            raise ValueError(f'"{name}" and "{standard}" mean the same; give one of them')
        renamed[standard] = value
    return renamed


def _hours(value: Any, unit: str) -> Any:
    if unit == "hours" or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    return float(Decimal(str(value)) * _HOURS[unit])


def _item(value: Any, part: Any) -> Any:
    return value[part] if isinstance(value, list | tuple) and isinstance(part, int) and part < len(value) else None

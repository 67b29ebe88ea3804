"""The map of a log: which column is the case, the activity, the time, the person."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from insight.event_logs.bounds import MOST_ATTRIBUTES
from insight.event_logs.refusal import unknown_column
from insight.event_logs.times import LONGEST_FORMAT, check_format
from insight.event_logs.xes import OF_CASE
from placet.definition.validation_messages import sentence_of
from placet.errors import InputInvalid, Problem
from placet.json_pointer import pointer_of
from placet.json_text import read_json

Column = Annotated[str, Field(min_length=1, max_length=500)]

# Names of columns as systems write them, best first; words are compared without case and separators.
_KNOWN: Final[dict[str, tuple[str, ...]]] = {
    "case": (
        "caseconceptname", "caseid", "case", "casenumber", "caseno", "processinstanceid", "processinstance", "traceid",
        "trace", "requestid", "request", "ticketid", "ticket", "orderid", "applicationid", "documentid", "id",
    ),
    "activity": (
        "conceptname", "activity", "activityname", "task", "taskname", "event", "eventname", "step", "stepname",
        "action", "status", "state",
    ),
    "timestamp": (
        "timetimestamp", "timestamp", "completetimestamp", "endtimestamp", "time", "datetime", "date", "at", "endtime",
        "completed", "completedat", "eventtime", "starttimestamp", "starttime",
    ),
    "person": (
        "orgresource", "resource", "person", "user", "username", "userid", "performer", "actor", "assignee",
        "employee", "originator",
    ),
    "lifecycle": ("lifecycletransition", "lifecycle", "transition", "eventtype"),
}  # fmt: skip
_NUMBERS_OR_COURSES: Final = re.compile(
    r"(?i)(^|[^a-z])(id|uuid|guid|nr|no|variant|variant.index|variant.id|creator|index)$|(?i:number)$|Id$|ID$"
)
_REQUIRED: Final = ("case", "activity", "timestamp")


class ColumnMap(BaseModel):
    """Which columns of a log mean what; `attributes` are kept as the fields of a request.

    `timestamp_format` is how times are written, by the directives of strptime; None for ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Column
    activity: Column
    timestamp: Column
    timestamp_format: Annotated[str, Field(min_length=1, max_length=LONGEST_FORMAT)] | None = None
    person: Column | None = None
    lifecycle: Column | None = None
    attributes: Annotated[tuple[Column, ...], Field(max_length=MOST_ATTRIBUTES)] = ()

    def described(self) -> dict[str, Any]:
        """Return the map as JSON values, without what is not mapped."""
        return self.model_dump(mode="json", exclude_none=True)


def read_map(text: str) -> Any:
    """Read a map from JSON text, for `parse_map`; raises InputInvalid with the place of the fault in `/map`."""
    try:
        return read_json(text.encode(errors="surrogatepass"))
    except InputInvalid as error:
        problems = tuple(Problem(pointer=f"/map{one.pointer}", message=one.message) for one in error.problems)
        raise InputInvalid(problems=problems) from error


def parse_map(raw: object) -> ColumnMap:
    """Read a map from JSON values; raises InputInvalid with the place of each fault in `/map`."""
    try:
        mapped = ColumnMap.model_validate(raw)
    except ValidationError as error:
        problems = tuple(
            Problem(pointer=f"/map{pointer_of([str(part) for part in fault['loc']])}", message=sentence_of(fault))
            for fault in error.errors(include_url=False)[:50]
        )
        raise InputInvalid(problems=problems) from None
    if mapped.timestamp_format is not None:
        check_format(mapped.timestamp_format)
    return mapped


def resolved(mapped: ColumnMap, columns: Collection[str]) -> ColumnMap:
    """Return the map with the names of columns as the file has them; raises InputInvalid for one that is not there.

    In XES the case is found on the trace: `concept:name` then means `case:concept:name`. Another name that only traces
    have is found there too.
    """
    here = frozenset(columns)

    def find(pointer: str, name: str, *, of_case: bool = False) -> str:
        names = (OF_CASE + name, name) if of_case else (name, OF_CASE + name)
        found = next((one for one in names if one in here), None)
        if found is None:
            raise unknown_column(pointer, name, columns)
        return found

    return ColumnMap(
        case=find("/map/case", mapped.case, of_case=True),
        activity=find("/map/activity", mapped.activity),
        timestamp=find("/map/timestamp", mapped.timestamp),
        timestamp_format=mapped.timestamp_format,
        person=None if mapped.person is None else find("/map/person", mapped.person),
        lifecycle=None if mapped.lifecycle is None else find("/map/lifecycle", mapped.lifecycle),
        attributes=tuple(find(f"/map/attributes/{n}", name) for n, name in enumerate(mapped.attributes)),
    )


def proposed(columns: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Propose a map by the names of columns and their first values; what is not certain is left out.

    A column with one value says nothing, and one that numbers something or names the whole course of a case explains
    nothing: neither is an attribute.
    """
    plain = {re.sub(r"[\W_]", "", name.lower()): name for name in reversed(list(columns))}
    found: dict[str, Any] = {}
    for role, names in _KNOWN.items():
        taken = set(found.values())
        known = next((plain[name] for name in names if name in plain and plain[name] not in taken), None)
        if known is not None:
            found[role] = known
    taken = set(found.values())
    useful = [name for name, values in columns.items() if len(values) > 1 and not _NUMBERS_OR_COURSES.search(name)]
    found["attributes"] = [name for name in useful if name not in taken][:MOST_ATTRIBUTES]
    return found


def complete(proposal: Mapping[str, Any]) -> bool:
    """Say whether a proposed map names all that a log needs."""
    return all(proposal.get(role) for role in _REQUIRED)

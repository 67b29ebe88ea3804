"""Preview a log, and assemble it into parts: heavy work on what somebody sent, for the pool of processes.

What it is given and returns is pickled; files go by their paths.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from insight.event_logs.cases import CaseEvent, Facts, LoggedCase, Part, Sorter, parts_of
from insight.event_logs.column_map import ColumnMap, complete, parse_map, proposed, resolved
from insight.event_logs.course import course_of
from insight.event_logs.labels import Seen, is_machine, labels_of
from insight.event_logs.reading import Event, EventReader, Head, head_of, moment_text
from insight.event_logs.stages import StageFigures
from placet.errors import InputInvalid
from placet.sentences import sentence

_FIRST_CASES = 5
_FIRST_EVENTS = 50  # of each
_EXAMPLES = 3
_LENGTH: Final = 8  # bytes of each number before a part


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What became of a log; `seen` has for each activity how often it was seen, as `labels_of` reads it."""

    cases: int
    events: int
    people: int
    began: int  # milliseconds since 1970
    ended: int
    seen: dict[str, tuple[int, int, int]]
    columns: tuple[str, ...]
    stages: list[dict[str, Any]]
    warnings: list[str]


def preview(path: str, raw: object | None) -> dict[str, Any]:
    """Return what the beginning of a log holds, read by a map or by the one that is proposed; raises InputInvalid."""
    file = Path(path)
    head = head_of(file)
    proposal = proposed(head.columns)
    told: dict[str, Any] = {
        "format": head.format,
        "columns": _columns(head),
        "proposed_map": proposal,
        "whole": head.whole,
        "cases": None,
        "events": head.events,
        "people": None,
        "activities": None,
        "map": raw,
        "warnings": [],
        "first_cases": [],
        "activity_kinds": [],
    }
    if raw is None and not complete(proposal):
        return told
    mapped = resolved(parse_map(proposal if raw is None else raw), head.columns)
    reader = EventReader(file, mapped)
    cases: dict[str, list[CaseEvent]] = {}
    for event in islice(reader, head.events):
        cases.setdefault(event.case, []).append(_case_event(event, mapped))
    logged = [LoggedCase(case, tuple(sorted(events, key=lambda event: event.at))) for case, events in cases.items()]
    every = [event for case in logged for event in case.events]
    seen = _seen(logged)
    labels = labels_of(seen)
    return told | {
        "map": proposal if raw is None else raw,
        "cases": len(logged),
        "people": len({event.person for event in every} - {None}),
        "activities": len(seen),
        "warnings": warnings_of(reader.without_zone, {}),
        "first_cases": [
            {
                "case": case.id,
                "events": [
                    {"at": moment_text(e.at), "activity": e.activity, "person": e.person, "attributes": e.changed}
                    for e in case.events[:_FIRST_EVENTS]
                ],
            }
            for case in logged[:_FIRST_CASES]
        ],
        "activity_kinds": [
            {"activity": activity, "count": one.count, **asdict(labels[activity])} for activity, one in seen.items()
        ],
    }


def first_fault(path: str, raw: object | None) -> dict[str, Any]:
    """Return the map by which a log is read, as sent or proposed; raises InputInvalid for a fault in its head."""
    told = preview(path, raw)
    if told["map"] is None:
        missing = next(role for role in ("case", "activity", "timestamp") if role not in told["proposed_map"])
        raise InputInvalid.at(
            "/map",
            sentence(
                "no column of the file is called as a {missing} is; name it in the map: {columns}",
                missing=missing,
                columns=", ".join(column["name"] for column in told["columns"][:30]),
            ),
        )
    return dict(told["map"])


def assemble(path: str, raw: object, to: str) -> Assembled:
    """Read a whole log and write its parts to the file `to`; raises InputInvalid."""
    file = Path(path)
    mapped = resolved(parse_map(raw), head_of(file).columns)
    reader = EventReader(file, mapped)
    with tempfile.TemporaryDirectory(prefix="placet-log-", dir=Path(to).parent) as folder:
        sorter = Sorter(Path(folder), mapped.attributes)
        try:
            sorter.fill(reader)
            facts = sorter.facts()
            labels = labels_of(facts.seen)
            figures = StageFigures()

            def counted() -> Iterator[LoggedCase]:
                for case in sorter.cases():
                    figures.add(course_of(case, labels))
                    yield case

            with Path(to).open("wb") as out:
                for part in parts_of(counted()):
                    _write(out, part)
        finally:
            sorter.close()
    return Assembled(
        cases=facts.cases,
        events=facts.events,
        people=facts.people,
        began=facts.began,
        ended=facts.ended,
        seen={activity: (one.count, one.first, one.by_machines) for activity, one in facts.seen.items()},
        columns=mapped.attributes,
        stages=figures.described(),
        warnings=[*warnings_of(reader.without_zone, facts.lifecycles), *_unread(facts)],
    )


def parts_in(path: Path) -> Iterator[Part]:
    """Yield the parts that `assemble` wrote."""
    with path.open("rb") as file:
        while head := file.read(3 * _LENGTH):
            cases, events, size = (
                int.from_bytes(head[place : place + _LENGTH], "big") for place in range(0, 3 * _LENGTH, _LENGTH)
            )
            yield Part(cases, events, file.read(size))


def seen_of(stored: Mapping[str, Any]) -> dict[str, Seen]:
    """Return what `Assembled.seen` says, out of its stored form."""
    return {
        activity: Seen(count=count, first=first, by_machines=machines)
        for activity, (count, first, machines) in stored.items()
    }


def warnings_of(without_zone: int, lifecycles: Mapping[str, int]) -> list[str]:
    """Return what a reader of the log should know."""
    found = []
    if without_zone:
        found.append(sentence("{count:,} times have no zone and were taken as UTC", count=without_zone))
    others = {name: count for name, count in lifecycles.items() if name != "complete"}
    if others:
        listed = ", ".join(f"{name} {count:,}" for name, count in others.items())
        found.append(
            sentence("transitions other than `complete` say only since when something waited: {listed}", listed=listed)
        )
    return found


def _unread(facts: Facts) -> list[str]:
    labels = labels_of(facts.seen)
    steps, unclear = (
        ", ".join([activity for activity, label in labels.items() if label.kind == kind][:20])
        for kind in ("step", "unclear")
    )
    found = [sentence("these activities are nobody's decision: {listed}", listed=steps)] if steps else []
    if unclear:
        found.append(
            sentence("these activities do not say what was decided, and do not count: {listed}", listed=unclear)
        )
    return found


def _columns(head: Head) -> list[dict[str, Any]]:
    return [
        {"name": name, "filled": head.filled[name], "examples": sorted(values)[:_EXAMPLES]}
        for name, values in head.columns.items()
    ]


def _case_event(event: Event, mapped: ColumnMap) -> CaseEvent:
    values = {name: value for name, value in zip(mapped.attributes, event.attributes, strict=True) if value is not None}
    return CaseEvent(event.at, event.activity, event.person, event.lifecycle, values)


def _seen(cases: list[LoggedCase]) -> dict[str, Seen]:
    counts: dict[str, list[int]] = {}
    for case in cases:
        for place, event in enumerate(case.events):
            of = counts.setdefault(event.activity, [0, 0, 0])
            of[0] += 1
            of[1] += place == 0
            of[2] += is_machine(event.person)
    ordered = sorted(counts.items(), key=lambda item: -item[1][0])
    return {name: Seen(count=count, first=first, by_machines=machines) for name, (count, first, machines) in ordered}


def _write(out: BinaryIO, part: Part) -> None:
    out.writelines(number.to_bytes(_LENGTH, "big") for number in (part.cases, part.events, len(part.content)))
    out.write(part.content)

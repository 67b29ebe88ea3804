"""The events of a log in the order of its file, read in a stream through a map."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from insight.event_logs.bounds import HEAD_EVENTS, LONGEST_VALUE, MOST_BYTES, MOST_EVENTS, MOST_HEAD_BYTES
from insight.event_logs.column_map import ColumnMap
from insight.event_logs.csv_file import CsvReader
from insight.event_logs.file import Format, LogFile, format_of, opened
from insight.event_logs.refusal import BeyondBound, in_file
from insight.event_logs.times import reader_of, what_to_write
from insight.event_logs.xes import OF_CASE, XesReader, picker
from placet.errors import InputInvalid
from placet.sentences import sentence

Rows = Generator[tuple[int, list[str | None]], None, None]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MOST_VALUES = 50  # of a column, that its proposal looks at


class Event(NamedTuple):
    """One event: `at` is in milliseconds since 1970 (UTC), `attributes` are in the order of the map."""

    case: str
    activity: str
    at: int
    person: str | None
    lifecycle: str | None
    attributes: tuple[str | None, ...]


class Head(NamedTuple):
    """The beginning of a file: its columns with their first values, and whether it was read to its end."""

    format: Format
    columns: dict[str, frozenset[str]]
    filled: dict[str, int]  # events that have a value, by column
    events: int
    whole: bool


class EventReader:
    """Reads the events of one file; `without_zone` counts times that are taken as UTC."""

    def __init__(self, path: Path, mapped: ColumnMap, *, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._map = mapped
        self._most_bytes = most_bytes
        self._time = reader_of(mapped.timestamp_format)
        self.without_zone = 0

    def __iter__(self) -> Iterator[Event]:
        """Yield the events; raises InputInvalid with the line of CSV or the number of the event of XES."""
        mapped = self._map
        columns = [mapped.case, mapped.activity, mapped.timestamp, mapped.person, mapped.lifecycle, *mapped.attributes]
        rows, place = _rows(self._path, columns, self._most_bytes)
        with closing(rows):
            for count, (number, values) in enumerate(rows):
                if count >= MOST_EVENTS:
                    raise in_file(
                        sentence("the log has more than {most:,} events; divide it by time", most=MOST_EVENTS)
                    )
                yield self._event(values, place, number)

    def _event(self, values: list[str | None], place: str, number: int) -> Event:
        case, activity, time, person, lifecycle = values[:5]
        if not case or not activity or not time:
            absent = self._map.case if not case else self._map.activity if not activity else self._map.timestamp
            raise in_file(
                sentence(
                    "{place} {number} has no value in {absent!r}; each event needs a case, an activity and a time",
                    place=place,
                    number=number,
                    absent=absent,
                )
            )
        try:
            at = self._time(time)
            if at.tzinfo is None:
                at = at.replace(tzinfo=UTC)
                self.without_zone += 1
            moment = (at - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            raise self._no_time(place, number, time) from None
        if len(case) > LONGEST_VALUE or len(activity) > LONGEST_VALUE or len(person or "") > LONGEST_VALUE:
            raise in_file(
                sentence(
                    "{place} {number}: a case, activity or person is longer than {longest:,} characters; is it the "
                    "right column?",
                    place=place,
                    number=number,
                    longest=LONGEST_VALUE,
                )
            )
        kept = tuple(value[:LONGEST_VALUE] if value else None for value in values[5:])
        return Event(case, activity, moment, person or None, lifecycle or None, kept)

    def _no_time(self, place: str, number: int, time: str) -> InputInvalid:
        said, form, known = time[:60], self._map.timestamp_format, what_to_write(time[:60])
        if form is not None:
            return in_file(
                sentence(
                    "{place} {number}: {time!r} in {column!r} is not written as the map says, {form!r}",
                    place=place,
                    number=number,
                    time=said,
                    column=self._map.timestamp,
                    form=form,
                )
            )
        if known is not None:
            return in_file(
                sentence(
                    "{place} {number}: {time!r} in {column!r} does not say which is the day and which the month; say "
                    "it in the map: {formats}",
                    place=place,
                    number=number,
                    time=said,
                    column=self._map.timestamp,
                    formats=known,
                )
            )
        return in_file(
            sentence(
                "{place} {number}: {time!r} in {column!r} is no time; write ISO 8601, such as "
                "2026-03-02T09:00:00+01:00 (without a zone it is taken as UTC), or say in the map how times are "
                "written, such as {example}",
                place=place,
                number=number,
                time=said,
                column=self._map.timestamp,
                example='"timestamp_format": "%d %b %Y %H:%M"',
            )
        )


def head_of(path: Path) -> Head:
    """Read the beginning of a file, for its columns; raises InputInvalid for what is no log, or has no event."""
    kind = format_of(path)
    values: dict[str, set[str]] = {}
    filled: dict[str, int] = {}
    events, whole = 0, True

    def note(name: str, value: str) -> None:
        if value:
            filled[name] = filled.get(name, 0) + 1
            known = values.setdefault(name, set())
            if len(known) < _MOST_VALUES:
                known.add(value[:LONGEST_VALUE])

    with opened(path, MOST_HEAD_BYTES) as file:
        reader = XesReader() if kind == "xes" else CsvReader()
        try:
            for pairs in _pairs(reader, file):
                if events >= HEAD_EVENTS:
                    whole = False
                    break
                events += 1
                for name, value in pairs:
                    note(name, value)
        except BeyondBound:
            if not events:
                raise
            whole = False
    if not events:
        raise in_file("the file has no event")
    columns = {name: frozenset(values.get(name, ())) for name in reader.columns}
    return Head(kind, columns, {name: filled.get(name, 0) for name in reader.columns}, events, whole)


def _pairs(reader: XesReader | CsvReader, file: LogFile) -> Iterator[Iterable[tuple[str, str]]]:
    """Yield the values of each event with the names of their columns."""
    if isinstance(reader, CsvReader):
        for _, fields in reader.rows(file):
            yield zip(reader.columns, fields, strict=False)
        return
    for _, trace, event in reader.rows(file):
        yield [*((OF_CASE + key, value) for key, value in trace.items()), *event.items()]


def _rows(path: Path, columns: list[str | None], most: int) -> tuple[Rows, str]:
    """Return the values of these columns with the number of their event, and how that is called."""
    if format_of(path) == "xes":
        return _xes_rows(path, columns, most), "event"
    return _csv_rows(path, columns, most), "line"


def _xes_rows(path: Path, columns: list[str | None], most: int) -> Rows:
    pick = picker(columns)
    with opened(path, most) as file:
        for number, trace, event in XesReader().rows(file):
            yield number, pick(trace, event)


def _csv_rows(path: Path, columns: list[str | None], most: int) -> Rows:
    with opened(path, most) as file:
        reader = CsvReader()
        places: list[int | None] | None = None
        for number, fields in reader.rows(file):
            if places is None:
                order = {name: place for place, name in enumerate(reader.columns)}
                places = [None if name is None else order[name] for name in columns]
            yield number, [fields[place] if place is not None and place < len(fields) else None for place in places]


def moment_text(milliseconds: int) -> str:
    """Write a moment of an event (RFC 3339, UTC)."""
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Assemble the events of a log into cases, in the order in which these began, with bounded memory.

The events are sorted on disk, by a database of the reading's own that is thrown away afterwards. Cases then come in
parts of some thousand events, each packed: that is what is stored.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from insight.event_logs.bounds import MOST_ACTIVITIES, MOST_EVENTS_OF_A_CASE
from insight.event_logs.labels import Seen, is_machine
from insight.event_logs.reading import Event
from insight.event_logs.refusal import in_file
from placet.errors import InputInvalid
from placet.sentences import sentence

FORMAT: Final = 1  # of a part
_BATCH = 5_000  # events that are handed to the database at once
_PART = 5_000  # events of a part, at least
_NO_EVENTS = frozenset({"schedule", "assign", "reassign", "start", "suspend", "resume", "withdraw", "manualskip"})
_BEGINS = frozenset({"schedule", "assign", "start"})


class CaseEvent(NamedTuple):
    """One event of a case: `at` in milliseconds since 1970; `changed` holds the attributes that are new with it."""

    at: int
    activity: str
    person: str | None
    lifecycle: str | None
    changed: dict[str, str]


class LoggedCase(NamedTuple):
    """One case with its events, oldest first."""

    id: str
    events: tuple[CaseEvent, ...]


class Part(NamedTuple):
    """Some cases, packed."""

    cases: int
    events: int
    content: bytes


@dataclass(kw_only=True)
class Facts:
    """What a log holds, as counted while it was assembled."""

    cases: int = 0
    events: int = 0
    people: int = 0
    seen: dict[str, Seen] = field(default_factory=dict)
    began: int = 0  # milliseconds since 1970
    ended: int = 0
    lifecycles: dict[str, int] = field(default_factory=dict)


class Sorter:
    """Events on disk, in a folder of the caller's: filled once, then read by case."""

    def __init__(self, folder: Path, attributes: tuple[str, ...]) -> None:
        self._attributes = attributes
        self._database = sqlite3.connect(folder / "events.db", isolation_level=None)
        for pragma in (
            "journal_mode=OFF",
            "synchronous=OFF",
            "cache_size=-16000",
            "temp_store=1",
            "locking_mode=EXCLUSIVE",
        ):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE event (c TEXT, t INT, n INT, a TEXT, p TEXT, l TEXT, x TEXT)")

    def fill(self, events: Iterable[Event]) -> None:
        """Take all events; raises InputInvalid where a column cannot be what it is mapped to."""
        rows = (
            (e.case, e.at, n, e.activity, e.person, e.lifecycle, json.dumps(e.attributes) if e.attributes else None)
            for n, e in enumerate(events)
        )
        activities: set[str] = set()
        self._database.execute("BEGIN")
        while batch := list(islice(rows, _BATCH)):
            self._database.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", batch)
            activities.update(row[3] for row in batch)
            if len(activities) > MOST_ACTIVITIES:
                raise InputInvalid.at(
                    "/map/activity",
                    sentence(
                        "the column holds more than {most:,} different activities; is it another one?",
                        most=MOST_ACTIVITIES,
                    ),
                )
        self._database.execute("CREATE INDEX by_case ON event (c, t, n)")
        self._database.execute(
            "CREATE TABLE started AS SELECT c, min(t) AS t, count(*) AS n FROM event GROUP BY c ORDER BY 2, 1"
        )
        self._database.execute("COMMIT")
        most = self._one("SELECT max(n) FROM started")
        if most and most > MOST_EVENTS_OF_A_CASE:
            raise InputInvalid.at(
                "/map/case",
                sentence(
                    "one case has {most:,} events, and {limit:,} is the limit; is the case another column?",
                    most=most,
                    limit=MOST_EVENTS_OF_A_CASE,
                ),
            )

    def facts(self) -> Facts:
        """Count what there is."""
        facts = Facts(
            cases=self._one("SELECT count(*) FROM started"),
            events=self._one("SELECT count(*) FROM event"),
            people=self._one("SELECT count(DISTINCT p) FROM event"),
        )
        if not facts.events:
            raise in_file("the file has no event")
        facts.began, facts.ended = self._database.execute("SELECT min(t), max(t) FROM event").fetchone()
        first = dict(
            self._database.execute(
                "SELECT a, count(*) FROM event WHERE n IN (SELECT (SELECT n FROM event e WHERE e.c = s.c ORDER BY t, n "
                "LIMIT 1) FROM started s) GROUP BY a"
            )
        )
        counts: dict[str, list[int]] = {}
        for activity, person, count in self._database.execute("SELECT a, p, count(*) FROM event GROUP BY a, p"):
            of = counts.setdefault(activity, [0, 0])
            of[0] += count
            of[1] += count if is_machine(person) else 0
        facts.seen = {
            activity: Seen(count=count, first=first.get(activity, 0), by_machines=machines)
            for activity, (count, machines) in sorted(counts.items(), key=lambda item: -item[1][0])
        }
        facts.lifecycles = dict(
            self._database.execute(
                "SELECT lower(l), count(*) FROM event WHERE l IS NOT NULL GROUP BY lower(l) LIMIT 50"
            )
        )
        return facts

    def cases(self) -> Iterator[LoggedCase]:
        """Yield the cases in the order in which they began."""
        rows = self._database.execute(
            "SELECT s.c, e.t, e.a, e.p, e.l, e.x FROM started s CROSS JOIN event e ON e.c = s.c "
            "ORDER BY s.rowid, e.t, e.n"
        )
        current: str | None = None
        events: list[CaseEvent] = []
        known: dict[str, str] = {}
        for case, at, activity, person, lifecycle, attributes in rows:
            if case != current:
                if current is not None:
                    yield LoggedCase(current, tuple(events))
                current, events, known = case, [], {}
            changed: dict[str, str] = {}
            if attributes is not None:
                for name, value in zip(self._attributes, json.loads(attributes), strict=True):
                    if value is not None and known.get(name) != value:
                        known[name] = changed[name] = value
            events.append(CaseEvent(at, activity, person, lifecycle, changed))
        if current is not None:
            yield LoggedCase(current, tuple(events))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _one(self, query: str) -> Any:
        return self._database.execute(query).fetchone()[0]


def parts_of(cases: Iterable[LoggedCase]) -> Iterator[Part]:
    """Pack cases into parts."""
    held: list[Any] = []
    events = 0
    for case in cases:
        held.append(
            [case.id, [[*event[:4], event.changed] if event.changed else [*event[:4]] for event in case.events]]
        )
        events += len(case.events)
        if events >= _PART:
            yield _packed(held, events)
            held, events = [], 0
    if held:
        yield _packed(held, events)


def unpacked(content: bytes) -> Iterator[LoggedCase]:
    """Yield the cases of a part."""
    document = json.loads(zlib.decompress(content))
    for case, events in document["cases"]:
        yield LoggedCase(
            case,
            tuple(
                CaseEvent(at, activity, person, lifecycle, *(changed or [{}]))
                for at, activity, person, lifecycle, *changed in events
            ),
        )


def what_happened(case: LoggedCase) -> Iterator[tuple[CaseEvent, int | None]]:
    """Yield the events that completed something, each with the moment from which it was waited for, if that is known.

    What was only scheduled, assigned or started is no event of its own: it says since when the next one was waited for.
    """
    begun: dict[str, int] = {}
    for event in case.events:
        transition = (event.lifecycle or "complete").lower()
        if transition in _NO_EVENTS:
            if transition in _BEGINS:
                begun.setdefault(event.activity, event.at)
            continue
        yield event, begun.pop(event.activity, None)


def _packed(held: list[Any], events: int) -> Part:
    document = json.dumps({"format": FORMAT, "cases": held}, ensure_ascii=False, separators=(",", ":"))
    return Part(len(held), events, zlib.compress(document.encode(), 6))

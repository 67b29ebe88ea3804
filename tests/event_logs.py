"""Event logs that the tests make themselves, as XES and CSV."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

Row = Mapping[str, Any]

CSV_MAP = {"case": "case", "activity": "activity", "timestamp": "at", "person": "user"}
XES_MAP = {
    "case": "concept:name",
    "activity": "concept:name",
    "timestamp": "time:timestamp",
    "person": "org:resource",
}


def as_csv(rows: Iterable[Row], delimiter: str = ",") -> bytes:
    """Return rows as CSV, with the columns of the first."""
    listed = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(listed[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue().encode()


def as_xes(rows: Iterable[Row]) -> bytes:
    """Return rows of `case`, `activity`, `at`, `user` and further columns as XES, a trace for each case."""
    traces: dict[str, list[str]] = {}
    names = {"activity": "concept:name", "user": "org:resource"}
    for row in rows:
        event = [f'<date key="time:timestamp" value={quoteattr(str(row["at"]))}/>']
        event += [
            f"<string key={quoteattr(names.get(name, name))} value={quoteattr(str(value))}/>"
            for name, value in row.items()
            if name not in {"case", "at"}
        ]
        traces.setdefault(row["case"], []).append(f"<event>{''.join(event)}</event>")
    body = "".join(
        f'<trace><string key="concept:name" value={quoteattr(case)}/>{"".join(events)}</trace>'
        for case, events in traces.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?><log xmlns="http://www.xes-standard.org/">{body}</log>'.encode()


def kept(folder: Path, content: bytes, *, packed: bool = False) -> Path:
    """Write a file and return its path."""
    path = folder / "log"
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def expense_rows(
    count: int = 200, *, threshold: float = 5_000, seed: int = 1, begin: datetime = datetime(2025, 1, 6, 9, tzinfo=UTC)
) -> list[Row]:
    """Return the log of a made-up process with known rules.

    The manager is asked first, the CFO above the threshold; every tenth request is returned by the manager once and
    comes again with another amount, every fifteenth is rejected at its last stage. The archive notes what was approved.
    """
    chance = random.Random(seed)
    rows: list[Row] = []
    for number in range(count):
        case, at = f"r{number}", begin + timedelta(hours=3 * number)
        amount = round(chance.lognormvariate(8.3, 0.8), 2)
        department = chance.choice(["sales", "it"])
        asker = f"asker{chance.randrange(20)}"

        def note(activity: str, user: str, hours: float) -> None:
            nonlocal at
            at += timedelta(hours=hours)
            rows.append(
                {
                    "case": case,  # noqa: B023 - it is called at once
                    "activity": activity,
                    "at": at.isoformat(),
                    "user": user,
                    "amount": f"{amount:.2f}",  # noqa: B023
                    "department": department,  # noqa: B023
                }
            )

        note("Submitted", asker, 0)
        stages = ["Manager", *(["CFO"] if amount > threshold else [])]
        if number % 10 == 3:
            note("Rejected by Manager", "mia", chance.expovariate(1 / 10))
            amount = round(amount * 0.9, 2)
            note("Submitted", asker, chance.expovariate(1 / 30))
            stages = ["Manager", *(["CFO"] if amount > threshold else [])]
        for stage in stages:
            last = stage == stages[-1] and number % 15 == 7
            verb = "Rejected" if last else "Approved"
            note(f"{verb} by {stage}", "mia" if stage == "Manager" else "carl", chance.expovariate(1 / 10))
        note("Archived", "SYSTEM", 0.1)
    return rows

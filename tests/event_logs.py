"""Event logs that the tests make themselves, as XES and CSV."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping
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

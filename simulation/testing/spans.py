"""Spans of time as people write them: `90s`, `30m`, `2h`, `1d 4h`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_PART = r"(?:[0-9]{1,6}(?:\.[0-9]{1,3})?)"
PATTERN = rf"^{_PART}[smhdw](?: ?{_PART}[smhdw])*$"
_SPAN = re.compile(PATTERN)
_ONE = re.compile(rf"({_PART})([smhdw])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
LONGEST = timedelta(days=3660)


def read_span(value: Any) -> Any:
    """Read a span; raises ValueError for anything else than such a text."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or len(value) > 100 or not _SPAN.fullmatch(value):
        raise ValueError("write a span of time with its unit, such as 30m, 2h or 1d 4h")
    span = sum((float(number) * _UNITS[unit] for number, unit in _ONE.findall(value)), timedelta(0))
    if span > LONGEST:
        raise ValueError(f"write a span of at most {LONGEST.days} days")
    return span


Span = Annotated[
    timedelta, BeforeValidator(read_span, json_schema_input_type=Annotated[str, Field(pattern=PATTERN, max_length=100)])
]


def span_text(span: timedelta) -> str:
    """Write a span as people do, to the second: `1d 4h`."""
    rest = round(span.total_seconds())
    parts: list[str] = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0h"

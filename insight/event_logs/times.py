"""The times of a log: ISO 8601, or as the map says."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from placet.errors import InputInvalid
from placet.sentences import sentence

LONGEST_FORMAT: Final = 60
_YEAR_FIRST: Final = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?=[ T]|$)")
_DAY_OR_MONTH_FIRST: Final = re.compile(r"\d{1,2}([/.-])\d{1,2}\1(\d{4}|\d{2})(.*)", re.DOTALL)
_CLOCK: Final = re.compile(r"([ T])\d{1,2}:\d{2}(:\d{2})?([.]\d{1,6})?(\s*[AaPp][Mm])?\s*")
_SAMPLE: Final = datetime(2026, 11, 23, 21, 34, 56, tzinfo=UTC)  # on which it is tried what a format holds


def reader_of(form: str | None) -> Callable[[str], datetime]:
    """Return a function that reads a time; it raises ValueError for what is none.

    `form` is a format as the map has it. Without one, times are ISO 8601, or the same with `/` and the year first.
    """
    if form is None:
        return _iso
    return lambda text: datetime.strptime(text.strip(), form)  # noqa: DTZ007 - the zone is seen to by the caller


def check_format(form: str) -> None:
    """Raise InputInvalid for a format that tells no day."""
    try:
        told = datetime.strptime(_SAMPLE.strftime(form), form)  # noqa: DTZ007
    except ValueError:
        told = None
    if told is None or told.date() != _SAMPLE.date():
        raise InputInvalid.at(
            "/map/timestamp_format",
            sentence(
                "{form!r} tells no day; write the directives of strptime, such as %d/%m/%Y %H:%M for 31/01/2020 10:00",
                form=form[:LONGEST_FORMAT],
            ),
        )


def what_to_write(text: str) -> str | None:
    """Return the formats that a time may have of which day and month cannot be told apart; None where it has none."""
    found = _DAY_OR_MONTH_FIRST.fullmatch(text.strip())
    if found is None:
        return None
    mark, year, rest = found.groups()
    clock = ""
    if rest:
        shape = _CLOCK.fullmatch(rest)
        if shape is None:
            return None
        between, seconds, fraction, half = shape.groups()
        clock = between + ("%I:%M" if half else "%H:%M") + (":%S" if seconds else "") + (".%f" if fraction else "")
        clock += " %p" if half else ""
    last = "%Y" if len(year) == 4 else "%y"
    day_first, month_first = (f"{mark.join((*pair, last))}{clock}" for pair in (("%d", "%m"), ("%m", "%d")))
    return f'"timestamp_format": "{day_first}" or "timestamp_format": "{month_first}"'


def _iso(text: str) -> datetime:
    if "/" in text:
        text = _YEAR_FIRST.sub(lambda found: f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}", text, count=1)
    return datetime.fromisoformat(text)

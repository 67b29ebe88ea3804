"""Read and write dates and moments as ISO text, and convert them between UTC and the time zone of a process.

A plan carries its time zone as offsets that were frozen when it was compiled
(`placet.plan.calendar_compiler.zone_offsets`). No time zone is looked up here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta

from placet.audit.reasons import InvalidValue

# (epoch seconds, offset from UTC in seconds from then on), in order; () is UTC
Offsets = tuple[tuple[int, int], ...]

_DAWN = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def read_date(text: str) -> date:
    """Return the day that `2026-01-31` names. Raises ValueError with the reason."""
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise InvalidValue("no_such_day") from None
    raise InvalidValue("no_date")


def read_timestamp(text: str) -> datetime:
    """Return the moment in UTC that RFC 3339 text names; it needs an offset. Raises ValueError with the reason."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise InvalidValue("no_timestamp")
    day, clock, fraction, offset = found.groups()
    offset = "+00:00" if offset in "Zz" else offset
    try:
        # Microseconds are what a moment here holds; the rest of a longer fraction is cut off.
        return datetime.fromisoformat(
            f"{day}T{clock}{(fraction or '')[:7].ljust(7, '0') if fraction else ''}{offset}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("no_such_moment") from None


def write(value: date) -> str:
    """Write a date as `2026-01-31`, a moment in UTC with a `Z`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    return value.isoformat()


def midnight(day: date, offsets: Offsets) -> datetime:
    """Return the first moment at which a zone's clocks show this day; raises OverflowError at the ends of time."""
    wall = round((datetime(day.year, day.month, day.day, tzinfo=UTC) - _DAWN).total_seconds())
    at = wall
    for index, (begins, offset) in enumerate(offsets):
        at = wall - offset if index == 0 else max(wall - offset, begins)
        if index + 1 == len(offsets) or at < offsets[index + 1][0]:
            break
    return _DAWN + timedelta(seconds=at)


def local(moment: datetime, offsets: Offsets) -> datetime:
    """Return what a zone's clocks show at a moment, without a zone; raises OverflowError at the ends of time."""
    shown = moment.astimezone(UTC).replace(tzinfo=None)
    if not offsets:
        return shown
    seconds = (moment - _DAWN) // timedelta(seconds=1)
    index = bisect_right(offsets, seconds, key=lambda pair: pair[0])
    return shown + timedelta(seconds=offsets[max(index - 1, 0)][1])

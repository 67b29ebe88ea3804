"""Time zones as a plan carries them: (epoch seconds, offset from UTC in seconds from then on), in order; () is UTC.

They are frozen when a plan is made (`placet.plan.calendar_compiler.zone_offsets`): nothing here looks a zone up.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta

Offsets = tuple[tuple[int, int], ...]

_DAWN = datetime(1970, 1, 1, tzinfo=UTC)


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

"""Where the time of a request went: divided among its stages and the months, to the microsecond.

Moments are compared in UTC; only where a month begins is a matter of a time zone. So an hour that a clock repeats or
leaves out is as long as any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

_MICROSECOND = timedelta(microseconds=1)


class Visit(NamedTuple):
    """A stage that asked somebody; `ended_at` is None while it does."""

    stage: str
    began_at: datetime
    ended_at: datetime | None


class Decision(NamedTuple):
    """A decision of a person, which was work."""

    stage: str
    at: datetime
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What costs are computed from: when a request ran, which stages asked whom, and who decided.

    `automatic` are the decisions that no person made.
    """

    began_at: datetime
    ended_at: datetime | None
    visits: Sequence[Visit] = ()
    decisions: Sequence[Decision] = ()
    automatic: Sequence[tuple[str, datetime]] = ()  # stage, and when


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time that is looked at, from `since` up to and without `until`; months begin at midnight in `zone`.

    What is open is counted up to `now`.
    """

    since: datetime
    until: datetime
    now: datetime
    zone: tzinfo

    def holds(self, at: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.since <= at < self.until

    def month(self, at: datetime) -> str:
        """Return the month of a moment, such as `2026-03`."""
        local = at.astimezone(self.zone)
        return f"{local.year:04d}-{local.month:02d}"

    def bounds(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the moments between two at which a month begins, in order."""
        local = begin.astimezone(self.zone)
        year, month = local.year, local.month
        while True:
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
            at = datetime(year, month, 1, tzinfo=self.zone).astimezone(UTC)
            if at >= end:
                return
            if at > begin:
                yield at


class Share(NamedTuple):
    """Time of a request in one stage and month; the stage is None where it was in none."""

    stage: str | None
    month: str
    microseconds: int


def shares(course: Course, period: Period) -> Iterator[Share]:
    """Divide the time that a request was open in a period; all shares together are that time, to the microsecond.

    While several stages ask at once, each has the same share of that time. While none does (it was returned, waits, or
    an action runs), the time belongs to no stage.
    """
    begin = max(course.began_at, period.since)
    end = min(period.now if course.ended_at is None else course.ended_at, period.now, period.until)
    if begin >= end:
        return
    changes: list[tuple[datetime, int, str]] = []
    for visit in course.visits:
        first, last = max(visit.began_at, begin), min(visit.ended_at or end, end)
        if first < last:
            changes += [(first, 1, visit.stage), (last, -1, visit.stage)]
    changes.sort()
    moments = sorted({begin, end, *(at for at, _, _ in changes), *period.bounds(begin, end)})
    asking: Counter[str] = Counter()
    following = 0
    for one, other in pairwise(moments):
        while following < len(changes) and changes[following][0] <= one:
            _, step, stage = changes[following]
            asking[stage] += step
            if not asking[stage]:
                del asking[stage]
            following += 1
        length, month = (other - one) // _MICROSECOND, period.month(one)
        if not asking:
            yield Share(None, month, length)
            continue
        each, left = divmod(length, len(asking))
        for number, stage in enumerate(sorted(asking)):
            yield Share(stage, month, each + (number < left))

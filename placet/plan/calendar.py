"""Business time: working hours, holidays and daylight saving in whole-number arithmetic.

A :class:`Calendar` is frozen by :mod:`placet.plan.calendar_compiler` and travels inside the plan, so that adding hours
needs neither a time zone database nor a holidays library, and a replay gives the same moment whatever their versions
are.

The rules, where two readers could differ:

- A shift is one unbroken stretch of real time, and elapsed time is what counts: a night shift across the start of
  daylight saving is an hour shorter, one across its end an hour longer.
- A wall-clock time means the first moment at which the local clock shows it or a later one. A time that daylight saving
  skips is therefore the moment of the jump, and a time that occurs twice is its first occurrence.
- A shift belongs to the day on which it begins. A holiday removes the shifts that begin on it; Sunday's "22:00-06:00"
  still ends on a Monday that is a holiday.
- A shift contains its first moment and not its last.
- Past `valid_until` the last offset from UTC holds and no public holiday is known; before the first transition the
  first offset holds. Nothing fails there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import accumulate, pairwise

from placet.errors import InputInvalid
from placet.sentences import sentence

Shift = tuple[int, int]  # minutes after local midnight of the day it begins on; the end may lie past 1440

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000  # all arithmetic is in whole microseconds
_MINUTE = 60 * _SECOND
_DAY = 1440 * _MINUTE
_THURSDAY = 3  # the weekday of 1970-01-01, Monday being 0
_FAR_PAST = -(10**20)  # before every datetime
_LIMIT_YEARS = 50
_LIMIT_SECONDS = _LIMIT_YEARS * 366 * 86_400


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Say when work is done; made by :func:`placet.plan.calendar_compiler.compile_calendar`, and its invariants are
    checked there.

    Days are numbered from 1970-01-01 = 0. `weekly` has seven entries from Monday, each with the day's shifts in order;
    at least one is not empty and no two shifts overlap. With `always` every moment is working time, and they are empty.
    """

    timezone: str  # for people to read; the arithmetic uses `transitions`
    always: bool = False
    weekly: tuple[tuple[Shift, ...], ...] = ()
    holidays: tuple[int, ...] = ()  # days on which no shift begins
    half_days: tuple[tuple[int, tuple[Shift, ...]], ...] = ()  # days with shifts of their own, instead of the weekday's
    transitions: tuple[tuple[int, int], ...] = ()  # (epoch seconds, offset from UTC in seconds from then on), in order
    valid_until: int | None = None  # epoch seconds; None: without end

    @cached_property
    def _ledger(self) -> _Ledger:
        return _Ledger(self)


def add_hours(calendar: Calendar, start: datetime, seconds: float | Decimal) -> datetime:
    """Give the earliest moment (UTC) by which `seconds` of working time have passed since `start` (aware).

    One hour from Friday 16:00, on 09:00-17:00, is Friday 17:00 and not Monday 09:00. Zero gives `start` itself, in
    working time or not. A negative amount goes back as :func:`subtract_hours` does. Amounts are rounded to the
    microsecond.
    Raises InputInvalid for an amount that is not a number, is over 50 years, or leads past the year 9999.
    """
    amount = _amount(seconds)
    moment = _moment(start)
    if calendar.always or amount == 0:
        return _datetime(moment + amount)
    ledger = calendar._ledger
    passed = ledger.passed(moment) + amount
    # the end of the last microsecond worked, rather than the start of the next one, which may be days later
    return _datetime(ledger.moment(passed - 1) + 1 if amount > 0 else ledger.moment(passed))


def subtract_hours(calendar: Calendar, end: datetime, seconds: float | Decimal) -> datetime:
    """Give the latest moment (UTC) from which `seconds` of working time remain until `end` (aware).

    One hour before Monday 10:00, on 09:00-17:00, is Monday 09:00 and not Friday 17:00. Zero gives `end` itself.
    Raises as :func:`add_hours` does.
    """
    return add_hours(calendar, end, -seconds)


def working_seconds(calendar: Calendar, start: datetime, end: datetime) -> float:
    """Count the working time from `start` to `end` (both aware) in seconds, exact to the microsecond.

    Negative where `end` comes first.
    """
    first, last = _moment(start), _moment(end)
    if calendar.always:
        return (last - first) / _SECOND
    ledger = calendar._ledger
    return (ledger.passed(last) - ledger.passed(first)) / _SECOND


def is_working(calendar: Calendar, moment: datetime) -> bool:
    """Tell whether `moment` (aware) lies in working time."""
    return next_working(calendar, moment) == moment


def next_working(calendar: Calendar, moment: datetime) -> datetime:
    """Give the first working moment (UTC) at or after `moment` (aware); InputInvalid past the year 9999."""
    at = _moment(moment)
    if calendar.always:
        return _datetime(at)
    ledger = calendar._ledger
    return _datetime(ledger.moment(ledger.passed(at)))


def _amount(seconds: float | Decimal) -> int:
    if isinstance(seconds, Decimal) and not seconds.is_finite():  # comparing a Decimal NaN raises
        raise InputInvalid(sentence("{seconds} is not a number of hours; give a finite one.", seconds=seconds))
    if not -_LIMIT_SECONDS <= seconds <= _LIMIT_SECONDS:
        raise InputInvalid(
            sentence(
                "{seconds} seconds is no usable duration; give at most {limit_years} years.",
                seconds=seconds,
                limit_years=_LIMIT_YEARS,
            )
        )
    return round(seconds * _SECOND)


def _moment(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _datetime(moment: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=moment)
    except OverflowError:
        raise InputInvalid("The moment lies outside the years 1 to 9999; use fewer hours.") from None


class _Ledger:
    """Number every working microsecond, so that adding and counting are look-ups and no loop over days is needed.

    `before(day)` is the working time of all shifts that begin before a day: whole weeks plus the corrections of those
    days whose length is not their weekday's. Numbers are relative to 1970-01-01 and may be negative.
    """

    def __init__(self, calendar: Calendar) -> None:
        self._offsets = [offset * _SECOND for _, offset in calendar.transitions]
        changes = [
            at * _SECOND for at, _ in calendar.transitions[1:]
        ]  # the first offset also holds for all time before
        self._since = [_FAR_PAST, *changes]
        # the highest reading of the wall clock, exclusive, up to each change of the offset
        self._peaks = list(accumulate(map(int.__add__, changes, self._offsets), max))

        self._weekly = calendar.weekly
        self._own: dict[int, tuple[Shift, ...]] = dict.fromkeys(calendar.holidays, ()) | dict(calendar.half_days)
        shifts = [shift for day in (*calendar.weekly, *self._own.values()) for shift in day]
        self._reach = 1 if any(end > 1440 for _, end in shifts) else 0  # days before today whose shifts may still run

        lengths = [sum(end - start for start, end in day) * _MINUTE for day in calendar.weekly]
        *self._weekdays, self._week = accumulate(lengths, initial=0)
        self._sum_corrections(lengths, self._own.keys() | self._days_near(changes))

    def _days_near(self, changes: list[int]) -> set[int]:
        days: set[int] = set()
        for change, offsets in zip(changes, pairwise(self._offsets), strict=True):
            low, high = sorted(offsets)
            days.update(range((change + low) // _DAY - self._reach, (change + high) // _DAY + 1))
        return days

    def _sum_corrections(self, lengths: list[int], candidates: set[int]) -> None:
        self._odd: list[int] = []  # days whose length is not their weekday's
        self._corrections = [0]  # the sum over the odd days before each
        for day in sorted(candidates):
            correction = sum(end - start for start, end in self._shifts(day)) - lengths[(day + _THURSDAY) % 7]
            if correction:
                self._odd.append(day)
                self._corrections.append(self._corrections[-1] + correction)
        self._before_odd = [self._before(day) for day in self._odd]
        self._after_odd = [self._before(day + 1) for day in self._odd]

    def passed(self, moment: int) -> int:
        """Count the working time up to a moment."""
        segment = bisect_right(self._since, moment) - 1
        wall = moment + self._offsets[segment]
        if segment:
            # while the clock repeats an hour, shifts that had begun stay begun
            wall = max(wall, self._peaks[segment - 1] - 1)
        today = wall // _DAY
        first = today - self._reach
        passed = self._before(first)
        for day in range(first, today + 1):
            for start, end in self._shifts(day):
                if moment > start:
                    passed += min(moment, end) - start
        return passed

    def moment(self, number: int) -> int:
        """Find when the working microsecond of this number begins."""
        index = bisect_right(self._after_odd, number)
        if index < len(self._odd) and self._before_odd[index] <= number:
            day, rest = self._odd[index], number - self._before_odd[index]
        else:
            weeks, rest = divmod(number - self._corrections[index], self._week)
            weekday = bisect_right(self._weekdays, rest) - 1
            day, rest = weeks * 7 + weekday - _THURSDAY, rest - self._weekdays[weekday]
        moment = 0
        for start, end in self._shifts(day):
            moment = start + rest
            if moment < end:
                break
            rest -= end - start
        return moment

    def _before(self, day: int) -> int:
        weeks, weekday = divmod(day + _THURSDAY, 7)
        return weeks * self._week + self._weekdays[weekday] + self._corrections[bisect_left(self._odd, day)]

    def _shifts(self, day: int) -> list[tuple[int, int]]:
        shifts = self._own.get(day)
        if shifts is None:
            shifts = self._weekly[(day + _THURSDAY) % 7]
        midnight = day * _DAY
        return [
            (self._first_at(midnight + start * _MINUTE), self._first_at(midnight + end * _MINUTE))
            for start, end in shifts
        ]

    def _first_at(self, wall: int) -> int:
        """Find the first moment at which the local clock shows `wall` or later."""
        segment = bisect_right(self._peaks, wall)
        return max(self._since[segment], wall - self._offsets[segment])

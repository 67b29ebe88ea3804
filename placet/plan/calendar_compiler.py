"""Freeze a blueprint's calendar settings into a :class:`placet.plan.calendar.Calendar`.

Here, and only here, the time zone database and the holidays library are asked. What they say is written into the
calendar, for whole years, so that the same settings give the same calendar all year.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from placet.definition.calendar_settings import Holidays, Hours, WeeklyHours, WorkingHours
from placet.errors import BlueprintInvalid, Problem
from placet.json_pointer import pointer_of
from placet.plan.calendar import Calendar, Shift

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LAST_YEAR = 9998  # the holidays library and datetime end soon after


def compile_calendar(
    settings: Literal["24x7"] | WorkingHours, timezone: str, start: datetime, years: int = 10
) -> Calendar:
    """Freeze the settings for whole years: that of `start` (aware), the one before it and `years` after it.

    Raises BlueprintInvalid with every problem, its pointers relative to the blueprint's `settings`.
    """
    problems = calendar_problems(settings, timezone)
    if problems:
        raise BlueprintInvalid("The calendar cannot be used.", problems=tuple(problems))
    if settings == "24x7":
        return Calendar(timezone=timezone, always=True)
    first = max(start.astimezone(UTC).year - 1, 1)
    end = min(first + years + 2, _LAST_YEAR)
    weekly = tuple(_shifts(getattr(settings.hours, weekday)) for weekday in _WEEKDAYS)
    named = settings.holidays
    half_days = {_day(on): _shifts(hours) for on, hours in named.half_days.items()}
    off = {_day(on) for on in named.dates}
    if named.country:
        off.update(_public_holidays(named.country, named.region, first, end))
    from_day = date(first, 1, 1).toordinal() - _EPOCH_DAY
    return Calendar(
        timezone=timezone,
        weekly=weekly,
        # a day without shifts needs no holiday, and what lies before the horizon no longer matters
        holidays=tuple(sorted(d for d in off - half_days.keys() if d >= from_day and weekly[(d + 3) % 7])),
        half_days=tuple(sorted((d, shifts) for d, shifts in half_days.items() if d >= from_day)),
        transitions=_transitions(timezone, first, end),
        valid_until=_seconds(datetime(end, 1, 1, tzinfo=UTC)),
    )


def zone_offsets(timezone: str, start: datetime, years: int = 10) -> tuple[tuple[int, int], ...]:
    """Freeze a zone's rules as `compile_calendar` does: (epoch seconds, offset from UTC in seconds), in order."""
    first = max(start.astimezone(UTC).year - 1, 1)
    return _transitions(timezone, first, min(first + years + 2, _LAST_YEAR))


def calendar_problems(settings: Literal["24x7"] | WorkingHours, timezone: str) -> list[Problem]:
    """List what keeps these settings from being compiled, with pointers relative to the blueprint's `settings`."""
    problems = list(_timezone_problems(timezone))
    if settings != "24x7":
        problems += _weekly_problems(settings.hours)
        problems += _country_problems(settings.holidays)
        problems += _date_problems(settings)
    return problems


def _timezone_problems(timezone: str) -> Iterator[Problem]:
    if timezone != "localtime":  # a link that means another zone on every machine
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder or an overlong name
            pass
        else:
            return
    yield _problem(f"The time zone {timezone!r} is not known; give an IANA name, as Europe/Berlin or UTC.", "timezone")


def _weekly_problems(hours: WeeklyHours) -> Iterator[Problem]:
    week = {weekday: getattr(hours, weekday) for weekday in _WEEKDAYS}
    if not any(week.values()):
        yield _problem(
            'There is no working time; give hours, as {"mon": ["09:00-17:00"]}, or set the calendar to "24x7".',
            "calendar",
            "hours",
        )
        return
    malformed = [problem for weekday in _WEEKDAYS for problem in _hours_problems(week[weekday], "hours", weekday)]
    yield from malformed
    if malformed:
        return
    spans = sorted(
        (number * 1440 + start, number * 1440 + end, weekday, index)
        for number, weekday in enumerate(_WEEKDAYS)
        for index, (start, end) in enumerate(map(_shift, week[weekday]))
    )
    after_last = (spans[0][0] + 7 * 1440, spans[0][1], *spans[0][2:])
    for (_, end, weekday, index), (start, _, later, position) in pairwise([*spans, after_last]):
        if start < end:
            earlier = f"{week[weekday][index]} on {weekday}"
            message = f"{earlier} and {week[later][position]} on {later} overlap; join or part them."
            yield _problem(message, "calendar", "hours", later, position)


def _hours_problems(hours: Hours, *place: str) -> Iterator[Problem]:
    for index, text in enumerate(hours):
        if not _HOURS.fullmatch(text):
            message = f'{text!r} is not a span of hours; write "HH:MM-HH:MM", as "09:00-17:00".'
        elif text[:5] == text[6:]:
            message = f'{text!r} begins and ends at the same time; write "00:00-24:00" for a whole day.'
        else:
            continue
        yield _problem(message, "calendar", *place, index)


def _country_problems(named: Holidays) -> Iterator[Problem]:
    import holidays

    if named.country is None:
        if named.region is not None:
            yield _problem("A region needs its country; add country, as DE.", "calendar", "holidays", "region")
        return
    countries = holidays.list_supported_countries(include_aliases=True)
    if named.country not in countries:
        hint = _hint(named.country, countries, "give an ISO 3166 code, as DE")
        message = f"No holidays are known for the country {named.country!r}; {hint}, or list the days under dates."
        yield _problem(message, "calendar", "holidays", "country")
    elif named.region is not None and named.region not in countries[named.country]:
        hint = _hint(named.region, countries[named.country], "leave it out")
        message = f"{named.country} has no region {named.region!r}; {hint}, or list the days under dates."
        yield _problem(message, "calendar", "holidays", "region")


def _hint(wrong: str, known: Iterable[str], otherwise: str) -> str:
    names = {name.upper(): name for name in known}
    near = difflib.get_close_matches(wrong.upper(), names, n=1, cutoff=0.75)
    return f"did you mean {names[near[0]]}" if near else otherwise


def _date_problems(settings: WorkingHours) -> Iterator[Problem]:
    named = settings.holidays
    for index, text in enumerate(named.dates):
        if not _is_date(text):
            yield _problem(_not_a_date(text), "calendar", "holidays", "dates", index)
    for on, hours in named.half_days.items():
        place = ("calendar", "holidays", "half_days", on)
        malformed = list(_hours_problems(hours, *place[1:]))
        yield from malformed
        if not _is_date(on):
            yield _problem(_not_a_date(on), *place)
        elif on in named.dates:
            yield _problem(f"{on} is listed under dates and under half_days; keep one of them.", *place)
        elif not malformed and _collides(settings, on):
            yield _problem(
                f"The hours of {on} overlap with each other or with a neighbouring day's; part them.", *place
            )


def _collides(settings: WorkingHours, on: str) -> bool:
    """Say whether a day's own hours overlap, also with shifts that run over midnight from or to a neighbouring day."""
    today = _day(on)
    spans = sorted(
        (nearby * 1440 + start, nearby * 1440 + end)
        for nearby in (-1, 0, 1)
        for start, end in _shifts(tuple(filter(_HOURS.fullmatch, _hours_on(settings, today + nearby))))
    )
    return any(start < end for (_, end), (start, _) in pairwise(spans))


def _hours_on(settings: WorkingHours, day: int) -> Hours:
    on = date.fromordinal(day + _EPOCH_DAY)
    own = settings.holidays.half_days.get(on.isoformat())
    if own is not None:
        return own
    weekday: Hours = getattr(settings.hours, _WEEKDAYS[on.weekday()])
    return () if on.isoformat() in settings.holidays.dates else weekday


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text) or not "0002" <= text[:4] <= "9998":  # so that every date has neighbours
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _not_a_date(text: str) -> str:
    return f"{text!r} is not a date; write YYYY-MM-DD, as 2026-12-24."


def _problem(message: str, *place: str | int) -> Problem:
    return Problem(pointer=pointer_of(place), message=message)


def _shifts(hours: Hours) -> tuple[Shift, ...]:
    return tuple(sorted(map(_shift, hours)))


def _shift(text: str) -> Shift:
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in text.split("-"))
    return (start, end if end > start else end + 1440)


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH_DAY


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


@lru_cache(maxsize=256)
def _public_holidays(country: str, region: str | None, first: int, end: int) -> frozenset[int]:
    import holidays

    found = holidays.country_holidays(country, subdiv=region, years=range(first, end))
    return frozenset(day.toordinal() - _EPOCH_DAY for day in found)


@lru_cache(maxsize=256)
def _transitions(timezone: str, first: int, end: int) -> tuple[tuple[int, int], ...]:
    """Find each change of the offset from UTC to the second; (epoch seconds, offset in seconds from then on)."""
    zone = ZoneInfo(timezone)

    def offset(at: int) -> int:
        wall = (_EPOCH + timedelta(seconds=at)).astimezone(zone)
        return _seconds(wall.replace(tzinfo=UTC)) - at

    now, until = (_seconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (first, end))
    found = [(now, offset(now))]
    while now < until:
        # no zone has changed its offset twice within a day
        low, high = now, min(now + 86_400, until)
        now = high
        if offset(high) == found[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == found[-1][1] else (low, middle)
        found.append((high, offset(high)))
    return tuple(found)

"""Business time: hand-checked tables, laws, and agreement with a minute-by-minute count on the time zone database."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from placet.definition.calendar_settings import WorkingHours
from placet.errors import InputInvalid
from placet.plan.calendar import Calendar, add_hours, is_working, next_working, subtract_hours, working_seconds
from placet.plan.calendar_compiler import compile_calendar

HOUR = 3600
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFICE = {weekday: ["09:00-17:00"] for weekday in WEEKDAYS[:5]}
BERLIN_HOLIDAYS = {
    "country": "DE",
    "region": "BE",
    "dates": ["2026-06-05"],
    "half_days": {"2026-12-24": ["09:00-12:00"]},
}


def make(hours: dict[str, list[str]], zone: str, start: datetime, holidays: dict[str, Any] | None = None) -> Calendar:
    settings = WorkingHours.model_validate({"hours": hours, "holidays": holidays or {}})
    return compile_calendar(settings, zone, start)


def at(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


BERLIN = make(OFFICE, "Europe/Berlin", datetime(2026, 5, 1, tzinfo=UTC), BERLIN_HOLIDAYS)
ALWAYS = Calendar(timezone="Europe/Berlin", always=True)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-05-20 10:00", 2, "2026-05-20 12:00"),  # within a day
        ("2026-05-20 10:00", 7, "2026-05-20 17:00"),  # to closing time, not to the next opening
        ("2026-05-20 10:00", 7.5, "2026-05-21 09:30"),  # over a night
        ("2026-05-20 07:00", 1, "2026-05-20 10:00"),  # from before opening
        ("2026-05-20 20:00", 1, "2026-05-21 10:00"),  # from after closing
        ("2026-05-22 16:00", 8, "2026-05-26 16:00"),  # over a weekend and Whit Monday
        ("2026-06-04 16:00", 2, "2026-06-08 10:00"),  # over the house's own day off
        ("2026-03-27 16:00", 2, "2026-03-30 10:00"),  # over the start of daylight saving
        ("2026-10-23 16:00", 2, "2026-10-26 10:00"),  # over its end
        ("2026-12-24 11:00", 2, "2026-12-28 10:00"),  # over a half day and Christmas
        ("2026-12-31 16:00", 2, "2027-01-04 10:00"),  # over New Year on a Friday
        ("2028-02-28 16:00", 2, "2028-02-29 10:00"),  # into the leap day
        ("2028-02-29 16:00", 2, "2028-03-01 10:00"),  # out of it
        ("2026-11-02 09:00", 40, "2026-11-06 17:00"),  # a whole week ends on its Friday
        ("2026-11-02 09:00", 40 + 1 / 3600, "2026-11-09 09:00:01"),  # and a second more on the next Monday
    ],
)
def test_office_hours_in_berlin(start: str, hours: float, end: str) -> None:
    assert add_hours(BERLIN, at(start, "Europe/Berlin"), hours * HOUR) == at(end, "Europe/Berlin")


@pytest.mark.parametrize(
    ("zone", "hours", "start", "amount", "end"),
    [
        # a shift over the start of daylight saving has seven hours, over its end nine
        ("Europe/Berlin", {"sat": ["22:00-06:00"]}, "2026-03-28T21:00Z", 7, "2026-03-29T04:00Z"),
        ("Europe/Berlin", {"sat": ["22:00-06:00"]}, "2026-03-28T21:00Z", 7.5, "2026-04-04T20:30Z"),
        ("Europe/Berlin", {"sat": ["22:00-06:00"]}, "2026-10-24T20:00Z", 9, "2026-10-25T05:00Z"),
        ("Europe/Berlin", {"sat": ["22:00-06:00"]}, "2026-10-24T20:00Z", 9.5, "2026-10-31T21:30Z"),
        # 02:30 does not exist: the shift begins at the jump and has one hour
        ("Europe/Berlin", {"sun": ["02:30-04:00"]}, "2026-03-29T00:00Z", 0.5, "2026-03-29T01:30Z"),
        ("Europe/Berlin", {"sun": ["02:30-04:00"]}, "2026-03-29T00:00Z", 1.5, "2026-04-05T01:00Z"),
        # a shift that lies wholly in the gap is empty
        ("Europe/Berlin", {"sun": ["02:10-02:50"]}, "2026-03-29T00:00Z", 0.5, "2026-04-05T00:40Z"),
        # 02:30 occurs twice: the first one counts, and the shift has two hours
        ("Europe/Berlin", {"sun": ["02:30-03:30"]}, "2026-10-25T00:00Z", 2, "2026-10-25T02:30Z"),
        # a shift that ends in the repeated hour ends the first time
        ("Europe/Berlin", {"sun": ["01:30-02:30"]}, "2026-10-24T23:00Z", 1, "2026-10-25T00:30Z"),
        ("Europe/Berlin", {"sun": ["01:30-02:30"]}, "2026-10-24T23:00Z", 1.5, "2026-11-01T01:00Z"),
        # a zone of quarter hours
        ("Asia/Kathmandu", OFFICE, "2026-07-03T10:45Z", 1, "2026-07-06T03:45Z"),
        # daylight saving of half an hour
        ("Australia/Lord_Howe", {"sat": ["22:00-06:00"]}, "2026-04-04T11:00Z", 8.5, "2026-04-04T19:30Z"),
        ("Australia/Lord_Howe", {"sat": ["22:00-06:00"]}, "2026-10-03T11:30Z", 7.5, "2026-10-03T19:00Z"),
        # daylight saving was given up in 2019
        ("America/Sao_Paulo", OFFICE, "2026-11-06T19:00Z", 2, "2026-11-09T13:00Z"),
        # before that midnight was skipped in spring and came late in autumn
        ("America/Sao_Paulo", {"sat": ["22:00-02:00"]}, "2018-11-04T01:00Z", 3, "2018-11-04T04:00Z"),
        ("America/Sao_Paulo", {"sat": ["22:00-02:00"]}, "2018-02-18T00:00Z", 5, "2018-02-18T05:00Z"),
        ("America/Sao_Paulo", {"sat": ["20:00-24:00"]}, "2018-02-17T22:00Z", 5, "2018-02-18T03:00Z"),
        ("America/Sao_Paulo", {"sat": ["20:00-24:00"]}, "2018-02-18T02:30Z", 0.5, "2018-02-18T03:00Z"),
        # in Newfoundland the clock went from one minute past midnight back to the day before: Sunday's shift went on
        ("America/St_Johns", {"sun": ["00:00-04:00"]}, "2010-11-07T02:30Z", 0.5, "2010-11-07T03:00Z"),
        ("America/St_Johns", {"sun": ["00:00-04:00"]}, "2010-11-07T02:45Z", 4.75, "2010-11-07T07:30Z"),
        ("America/St_Johns", {"sun": ["00:00-04:00"]}, "2010-11-07T02:30Z", 5.5, "2010-11-14T04:00Z"),
        # Samoa left out Friday 30 December 2011
        ("Pacific/Apia", OFFICE, "2011-12-30T02:00Z", 2, "2012-01-01T20:00Z"),
        # two shifts a day
        ("UTC", {"mon": ["13:00-17:00", "08:00-12:00"]}, "2026-06-01T11:00Z", 2, "2026-06-01T14:00Z"),
        # shifts that meet at midnight
        ("UTC", {"mon": ["20:00-24:00"], "tue": ["00:00-04:00"]}, "2026-06-01T20:00Z", 6, "2026-06-02T02:00Z"),
    ],
)
def test_shifts_across_midnight_and_clock_changes(
    zone: str, hours: dict[str, list[str]], start: str, amount: float, end: str
) -> None:
    begin = datetime.fromisoformat(start)
    assert add_hours(make(hours, zone, begin), begin, amount * HOUR) == datetime.fromisoformat(end)


def test_a_holiday_removes_the_shifts_that_begin_on_it_and_no_other() -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
    nights = make({weekday: ["22:00-06:00"] for weekday in WEEKDAYS}, "UTC", start, {"dates": ["2026-06-02"]})
    assert working_seconds(nights, start + timedelta(hours=22), start + timedelta(days=2)) == 8 * HOUR
    assert next_working(nights, start + timedelta(days=1, hours=6)) == start + timedelta(days=2, hours=22)


def test_a_day_may_have_hours_where_its_weekday_has_none() -> None:
    sunday = datetime(2026, 6, 7, tzinfo=UTC)
    calendar = make(OFFICE, "UTC", sunday, {"half_days": {"2026-06-07": ["22:00-02:00"]}})
    assert add_hours(calendar, sunday, 5 * HOUR) == datetime(2026, 6, 8, 10, tzinfo=UTC)


def test_the_clock_round_is_elapsed_time() -> None:
    start = at("2026-03-28 12:00", "Europe/Berlin")
    assert add_hours(ALWAYS, start, 24 * HOUR) == at("2026-03-29 13:00", "Europe/Berlin")
    assert subtract_hours(ALWAYS, start, 1.5) == start - timedelta(seconds=1.5)
    assert working_seconds(ALWAYS, start, start + timedelta(days=400)) == 400 * 86400
    assert is_working(ALWAYS, start)
    assert next_working(ALWAYS, start) == start


def test_closing_time_is_no_working_time_and_opening_time_is() -> None:
    assert is_working(BERLIN, at("2026-05-20 09:00", "Europe/Berlin"))
    assert not is_working(BERLIN, at("2026-05-20 17:00", "Europe/Berlin"))
    assert next_working(BERLIN, at("2026-05-22 17:00", "Europe/Berlin")) == at("2026-05-26 09:00", "Europe/Berlin")


def test_going_back_stops_at_the_latest_moment() -> None:
    deadline = at("2026-05-26 10:00", "Europe/Berlin")
    assert subtract_hours(BERLIN, deadline, HOUR) == at("2026-05-26 09:00", "Europe/Berlin")
    assert subtract_hours(BERLIN, deadline, 2 * HOUR) == at("2026-05-22 16:00", "Europe/Berlin")
    assert add_hours(BERLIN, deadline, -2 * HOUR) == at("2026-05-22 16:00", "Europe/Berlin")


def test_zero_gives_the_moment_itself_also_outside_working_time() -> None:
    sunday = at("2026-05-24 12:00", "Europe/Berlin")
    assert add_hours(BERLIN, sunday, 0) == sunday
    assert subtract_hours(BERLIN, sunday, Decimal(0)) == sunday


@pytest.mark.parametrize("amount", [0.000001, Decimal("0.000001")])
def test_microseconds_are_exact(amount: float | Decimal) -> None:
    closing = at("2026-05-20 17:00", "Europe/Berlin")
    opening = at("2026-05-21 09:00", "Europe/Berlin")
    assert add_hours(BERLIN, closing, amount) == opening + timedelta(microseconds=1)
    assert subtract_hours(BERLIN, opening, amount) == closing - timedelta(microseconds=1)


def test_results_are_in_utc_whatever_zone_is_given() -> None:
    local = datetime(2026, 5, 22, 16, tzinfo=ZoneInfo("Europe/Berlin"))
    for calendar in (BERLIN, ALWAYS):
        for result in (add_hours(calendar, local, HOUR), add_hours(calendar, local, 0), next_working(calendar, local)):
            assert result.tzinfo is UTC


@pytest.mark.parametrize("calendar", [BERLIN, ALWAYS], ids=["office", "always"])
@pytest.mark.parametrize(
    "amount", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), 1e300, -51 * 366 * 86400, 10**400]
)
def test_a_silly_amount_is_refused(calendar: Calendar, amount: float | Decimal) -> None:
    with pytest.raises(InputInvalid):
        add_hours(calendar, datetime(2026, 1, 1, tzinfo=UTC), amount)


def test_a_moment_past_the_last_year_is_refused() -> None:
    with pytest.raises(InputInvalid, match="9999"):
        add_hours(BERLIN, datetime(9990, 1, 1, tzinfo=UTC), 40 * 365 * 86400)


def test_past_the_horizon_the_last_offset_holds_and_no_holiday() -> None:
    assert BERLIN.valid_until == datetime(2037, 1, 1, tzinfo=UTC).timestamp()
    whit_monday = datetime(2060, 6, 7, 10, tzinfo=UTC)
    assert working_seconds(BERLIN, whit_monday, whit_monday + timedelta(days=1)) == 8 * HOUR
    assert next_working(BERLIN, datetime(2060, 6, 7, tzinfo=UTC)) == datetime(2060, 6, 7, 8, tzinfo=UTC)  # winter time
    assert add_hours(BERLIN, datetime(1960, 6, 3, 15, tzinfo=UTC), 2 * HOUR) == datetime(1960, 6, 6, 9, tzinfo=UTC)


def test_a_calendar_survives_json_and_is_small() -> None:
    adapter = TypeAdapter(Calendar)
    used = add_hours(BERLIN, datetime(2026, 5, 22, tzinfo=UTC), 1)  # what is derived on use is not written
    text = adapter.dump_json(BERLIN)
    again = adapter.validate_json(text)
    assert again == BERLIN
    assert hash(again) == hash(BERLIN)
    assert add_hours(again, datetime(2026, 5, 22, tzinfo=UTC), 1) == used
    assert len(text) < 2000


def test_the_runtime_side_loads_no_time_zones_and_no_holidays() -> None:
    script = "import sys, placet.plan.calendar; print(*{'holidays', 'zoneinfo', 'pydantic'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "\n"


# Where clocks change, by zone; years in which they did.
ZONES = {
    "Europe/Berlin": 2026,
    "America/New_York": 2026,
    "Australia/Lord_Howe": 2026,
    "Asia/Kathmandu": 2026,
    "America/Sao_Paulo": 2018,
    "America/Havana": 2026,
    "Atlantic/Azores": 2026,
    "America/St_Johns": 2010,
    "Pacific/Apia": 2011,
}
WEEKS: list[dict[str, list[str]]] = [
    OFFICE,
    {weekday: ["22:00-06:00"] for weekday in WEEKDAYS},
    {weekday: ["00:00-24:00"] for weekday in WEEKDAYS},
    {weekday: ["00:30-01:15", "01:45-02:30", "23:20-23:50"] for weekday in WEEKDAYS},
    {"sat": ["12:00-11:00"], "sun": ["11:00-24:00"]},
    {"thu": ["23:00-01:00"], "fri": ["02:00-02:45", "12:00-00:30"], "sun": ["00:00-00:01", "01:00-03:00"]},
]


@st.composite
def calendars_and_moments(draw: st.DrawFn) -> tuple[Calendar, datetime]:
    """Draw a calendar and a moment, mostly one near a change of the clock or a holiday."""
    zone = draw(st.sampled_from(sorted(ZONES)))
    year = ZONES[zone]
    day_off = draw(st.dates(date(year, 1, 2), date(year, 12, 30)))
    holidays: dict[str, Any] = {"dates": [day_off.isoformat()]}
    half_day = draw(st.dates(date(year, 1, 2), date(year, 12, 30)))
    if half_day != day_off:
        holidays["half_days"] = {half_day.isoformat(): ["12:00-14:00"]}
    calendar = make(draw(st.sampled_from(WEEKS)), zone, datetime(year, 1, 1, tzinfo=UTC), holidays)
    odd = [at for at, _ in calendar.transitions] + [day_off.toordinal() * 86400 - date(1970, 1, 1).toordinal() * 86400]
    near = draw(st.sampled_from(odd)) + draw(st.integers(-3 * 86400, 86400))
    return calendar, datetime.fromtimestamp(near, UTC) + timedelta(microseconds=draw(st.sampled_from([0, 1, 999_999])))


AMOUNTS = st.one_of(
    st.integers(0, 20 * HOUR), st.integers(0, 400 * 86400), st.decimals(0, 9 * HOUR, places=6, allow_nan=False)
)


@given(calendars_and_moments(), AMOUNTS, AMOUNTS)
def test_adding_is_monotone_and_associative(
    drawn: tuple[Calendar, datetime], a: int | Decimal, b: int | Decimal
) -> None:
    calendar, start = drawn
    first = add_hours(calendar, start, a)
    assert add_hours(calendar, first, b) == add_hours(calendar, start, a + b)
    assert first <= add_hours(calendar, start, a + b)
    assert first <= add_hours(calendar, start + timedelta(seconds=float(b)), a)
    back = subtract_hours(calendar, start, a)
    assert subtract_hours(calendar, back, b) == subtract_hours(calendar, start, a + b)


@given(calendars_and_moments(), AMOUNTS)
def test_counting_and_going_back_undo_adding(drawn: tuple[Calendar, datetime], amount: int | Decimal) -> None:
    calendar, start = drawn
    assume(amount > 0)
    end = add_hours(calendar, start, amount)
    assert working_seconds(calendar, start, end) == float(amount)
    assert working_seconds(calendar, end, start) == -float(amount)
    assert working_seconds(calendar, start, end - timedelta(microseconds=1)) < float(amount)  # the earliest such moment
    assert subtract_hours(calendar, end, amount) == next_working(calendar, start)
    assert is_working(calendar, end - timedelta(microseconds=1))


@hypothesis_settings(max_examples=40)
@given(calendars_and_moments(), st.integers(1, 4 * 1440))
def test_counting_agrees_with_the_time_zone_database_minute_by_minute(
    drawn: tuple[Calendar, datetime], minutes: int
) -> None:
    calendar, near = drawn
    start = near.replace(second=0, microsecond=0)
    working = list(worked_minutes(calendar, start, minutes))
    end = start + timedelta(minutes=minutes)
    assert working_seconds(calendar, start, end) == 60 * len(working)
    if working:
        assert next_working(calendar, start) == working[0]
        assert add_hours(calendar, start, 60 * len(working)) == working[-1] + timedelta(minutes=1)
        assert subtract_hours(calendar, end, 60 * len(working)) == working[0]


def worked_minutes(calendar: Calendar, start: datetime, minutes: int) -> list[datetime]:
    """Watch the wall clock by the minute: a shift's bound is passed when it first shows that time or a later one."""
    zone = ZoneInfo(calendar.timezone)
    watch = start - timedelta(days=3)
    own = dict.fromkeys(calendar.holidays, ()) | dict(calendar.half_days)
    today = watch.toordinal() - date(1970, 1, 1).toordinal()
    bounds: list[tuple[datetime, int]] = []
    for day in range(today - 3, today + 12):
        midnight = datetime(1970, 1, 1) + timedelta(days=day)  # noqa: DTZ001 - a reading of the wall clock
        for opening, closing in own.get(day, calendar.weekly[midnight.weekday()]):
            bounds += [(midnight + timedelta(minutes=opening), 1), (midnight + timedelta(minutes=closing), -1)]
    bounds.sort()
    found, passed, open_shifts = [], 0, 0
    while watch < start + timedelta(minutes=minutes):
        wall = watch.astimezone(zone).replace(tzinfo=None)
        while passed < len(bounds) and bounds[passed][0] <= wall:
            open_shifts += bounds[passed][1]
            passed += 1
        if open_shifts and watch >= start:
            found.append(watch)
        watch += timedelta(minutes=1)
    return found

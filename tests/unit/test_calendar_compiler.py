"""Calendar settings: what is accepted, what is refused and where, and what is frozen."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from placet.definition.calendar_settings import CalendarSettings, WorkingHours
from placet.errors import BlueprintInvalid
from placet.plan.calendar import Calendar
from placet.plan.calendar_compiler import calendar_problems, compile_calendar

SETTINGS: TypeAdapter[Any] = TypeAdapter(CalendarSettings)
START = datetime(2026, 5, 1, tzinfo=UTC)
EVE = "/calendar/holidays/half_days/2026-12-31"
MONDAYS: dict[str, Any] = {"hours": {"mon": ["09:00-17:00"]}}


def days(calendar: Calendar) -> list[str]:
    return [(date(1970, 1, 1) + timedelta(days=day)).isoformat() for day in calendar.holidays]


def with_holidays(**holidays: Any) -> dict[str, Any]:
    return {"hours": {"mon": ["09:00-17:00"], "wed": ["22:00-06:00"]}, "holidays": holidays}


@pytest.mark.parametrize(
    ("settings", "timezone", "places"),
    [
        ("24x7", "Europe/Berlin", []),
        (MONDAYS, "UTC", []),
        ({"hours": {"mon": ["00:00-24:00"], "tue": ["00:00-00:00"], "wed": []}}, "UTC", ["/calendar/hours/tue/0"]),
        ({"hours": {"mon": ["13:00-17:00", "09:00-13:00"]}}, "UTC", []),  # any order; they may touch
        # the time zone
        ("24x7", "Europe/Berlln", ["/timezone"]),
        ("24x7", "", ["/timezone"]),
        ("24x7", "Europe", ["/timezone"]),
        ("24x7", "../zoneinfo/UTC", ["/timezone"]),
        ("24x7", "/etc/localtime", ["/timezone"]),
        ("24x7", "localtime", ["/timezone"]),  # another zone on every machine
        ("24x7", "x" * 500, ["/timezone"]),
        # the hours
        ({"hours": {}}, "UTC", ["/calendar/hours"]),
        ({"hours": {"mon": []}}, "UTC", ["/calendar/hours"]),
        (
            {"hours": {"mon": ["9-17"], "fri": ["09:00-17:00", "25:00-26:00"]}},
            "UTC",
            ["/calendar/hours/mon/0", "/calendar/hours/fri/1"],
        ),
        ({"hours": {"mon": ["09:00-24:30"]}}, "UTC", ["/calendar/hours/mon/0"]),
        ({"hours": {"mon": ["24:00-06:00"]}}, "UTC", ["/calendar/hours/mon/0"]),
        ({"hours": {"mon": ["09:00-17:00\n"]}}, "UTC", ["/calendar/hours/mon/0"]),
        ({"hours": {"mon": ["\u0660\u0669:00-17:00"]}}, "UTC", ["/calendar/hours/mon/0"]),  # digits, but not ours
        ({"hours": {"mon": ["09:00-13:00", "12:00-17:00"]}}, "UTC", ["/calendar/hours/mon/1"]),
        ({"hours": {"mon": ["22:00-06:00"], "tue": ["05:00-09:00"]}}, "UTC", ["/calendar/hours/tue/0"]),
        ({"hours": {"sun": ["22:00-06:00"], "mon": ["05:00-09:00"]}}, "UTC", ["/calendar/hours/mon/0"]),
        ({"hours": {"sun": ["22:00-06:00"], "mon": ["06:00-09:00"]}}, "UTC", []),
        # the holidays
        (with_holidays(country="DE", region="BE"), "UTC", []),
        (with_holidays(country="Germany"), "UTC", ["/calendar/holidays/country"]),
        (with_holidays(country="de"), "UTC", ["/calendar/holidays/country"]),
        (with_holidays(country="registry"), "UTC", ["/calendar/holidays/country"]),
        (with_holidays(country="DE", region="XX"), "UTC", ["/calendar/holidays/region"]),
        (with_holidays(region="BE"), "UTC", ["/calendar/holidays/region"]),
        (
            with_holidays(dates=["2026-12-24", "2026-02-29", "24.12.2026"]),
            "UTC",
            [f"/calendar/holidays/dates/{n}" for n in (1, 2)],
        ),
        # half days
        (with_holidays(half_days={"2026-12-31": ["09:00-12:00", "noon"]}), "UTC", [f"{EVE}/1"]),
        (with_holidays(half_days={"12/31": []}), "UTC", ["/calendar/holidays/half_days/12~131"]),
        (with_holidays(half_days={"2026-12-31": []}, dates=["2026-12-31"]), "UTC", [EVE]),
        (with_holidays(half_days={"2026-12-31": ["09:00-12:00", "11:00-13:00"]}), "UTC", [EVE]),
        # Thursday morning belongs to Wednesday's night shift, unless Wednesday is off
        (with_holidays(half_days={"2026-12-31": ["05:00-12:00"]}), "UTC", [EVE]),
        (with_holidays(half_days={"2026-12-31": ["05:00-12:00"]}, dates=["2026-12-30"]), "UTC", []),
        (with_holidays(half_days={"2026-12-27": ["20:00-10:00"]}), "UTC", ["/calendar/holidays/half_days/2026-12-27"]),
        # everything at once
        (
            {"hours": {}, "holidays": {"country": "XX"}},
            "Mars",
            ["/timezone", "/calendar/hours", "/calendar/holidays/country"],
        ),
    ],
)
def test_every_problem_names_its_place(settings: Any, timezone: str, places: list[str]) -> None:
    parsed = SETTINGS.validate_python(settings)
    problems = calendar_problems(parsed, timezone)
    assert [problem.pointer for problem in problems] == places
    if problems:
        with pytest.raises(BlueprintInvalid) as caught:
            compile_calendar(parsed, timezone, START)
        assert caught.value.problems == tuple(problems)
    else:
        compile_calendar(parsed, timezone, START)


@pytest.mark.parametrize(
    ("settings", "timezone", "words"),
    [
        ({"hours": {}}, "UTC", '"24x7"'),
        (with_holidays(country="de"), "UTC", "did you mean DE"),
        (with_holidays(country="DE", region="Berlln"), "UTC", "leave it out"),
        ({"hours": {"mon": ["nine"]}}, "UTC", '"09:00-17:00"'),
        ("24x7", "Berlin", "Europe/Berlin"),
    ],
)
def test_a_problem_says_what_to_do(settings: Any, timezone: str, words: str) -> None:
    [problem] = calendar_problems(SETTINGS.validate_python(settings), timezone)
    assert words in problem.message


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ("9to5", ()),
        (7, ()),
        ({}, ("hours",)),
        ({"hours": {"monday": []}}, ("hours", "monday")),
        ({"hours": {"mon": "09:00-17:00"}}, ("hours", "mon")),
        ({"hours": {"mon": [9]}}, ("hours", "mon", 0)),
        ({**MONDAYS, "holiday": {}}, ("holiday",)),
        ({**MONDAYS, "holidays": {"dates": [20261224]}}, ("holidays", "dates", 0)),
    ],
)
def test_a_wrong_shape_is_reported_at_its_place_alone(settings: Any, place: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        SETTINGS.validate_python(settings)
    assert [error["loc"] for error in caught.value.errors()] == [place]


def test_settings_survive_json_and_dates_as_yaml_reads_them_are_taken() -> None:
    named = {"dates": [date(2026, 12, 24)], "half_days": {date(2026, 12, 31): ["09:00-12:00"]}}
    parsed = SETTINGS.validate_python({**MONDAYS, "holidays": named})
    assert parsed.holidays.dates == ("2026-12-24",)
    assert SETTINGS.validate_json(SETTINGS.dump_json(parsed)) == parsed
    assert SETTINGS.validate_json('"24x7"') == "24x7"


def test_public_holidays_are_frozen_where_there_is_work_to_miss() -> None:
    named = {"country": "DE", "region": "BE", "dates": ["2026-06-01", "2026-06-02", "2020-06-01", "2040-06-04"]}
    settings = WorkingHours.model_validate({**MONDAYS, "holidays": named})
    calendar = compile_calendar(settings, "Europe/Berlin", START, years=1)
    # Easter and Whit Monday of 2025 to 2027 and 8 March 2027; own dates from 2025 on; no 2 June, a Tuesday
    expected = ["2025-04-21", "2025-06-09", "2026-04-06", "2026-05-25", "2026-06-01"]
    assert days(calendar) == [*expected, "2027-03-08", "2027-03-29", "2027-05-17", "2040-06-04"]
    assert calendar.valid_until == datetime(2028, 1, 1, tzinfo=UTC).timestamp()


def test_a_region_has_holidays_of_its_own() -> None:
    week = {weekday: ["09:00-17:00"] for weekday in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    by_region = {
        region: days(
            compile_calendar(
                WorkingHours.model_validate({"hours": week, "holidays": {"country": "DE", "region": region}}),
                "UTC",
                START,
            )
        )
        for region in ("BE", "BY")
    }
    assert "2026-03-08" in by_region["BE"]
    assert "2026-03-08" not in by_region["BY"]
    assert "2026-06-04" in by_region["BY"]


def test_a_half_day_wins_over_a_public_holiday() -> None:
    named = {"country": "DE", "half_days": {"2026-05-25": ["10:00-12:00"]}}
    calendar = compile_calendar(WorkingHours.model_validate({**MONDAYS, "holidays": named}), "Europe/Berlin", START)
    assert "2026-05-25" not in days(calendar)
    assert calendar.half_days == ((20598, ((600, 720),)),)


def test_the_calendar_is_the_same_all_year() -> None:
    settings = WorkingHours.model_validate(with_holidays(country="DE"))
    first, last = (
        compile_calendar(settings, "Europe/Berlin", datetime(2026, *day, tzinfo=UTC)) for day in ((1, 1), (12, 31))
    )
    assert first == last


def test_clock_changes_are_found_to_the_second() -> None:
    calendar = compile_calendar(WorkingHours.model_validate(MONDAYS), "Europe/Berlin", START, years=0)
    changes = [(datetime.fromtimestamp(at, UTC).isoformat(), offset) for at, offset in calendar.transitions]
    assert changes == [
        ("2025-01-01T00:00:00+00:00", 3600),
        ("2025-03-30T01:00:00+00:00", 7200),
        ("2025-10-26T01:00:00+00:00", 3600),
        ("2026-03-29T01:00:00+00:00", 7200),
        ("2026-10-25T01:00:00+00:00", 3600),
    ]


@given(
    st.sampled_from(
        ["Africa/Casablanca", "America/Havana", "Asia/Gaza", "Australia/Lord_Howe", "Europe/Dublin", "UTC"]
    ),
    st.datetimes(datetime(2025, 1, 1), datetime(2036, 12, 31)),  # noqa: DTZ001 - made aware below
)
def test_frozen_offsets_agree_with_the_time_zone_database(zone: str, moment: datetime) -> None:
    calendar = compile_calendar(WorkingHours.model_validate(MONDAYS), zone, START)
    at = moment.replace(tzinfo=UTC)
    offset = [offset for since, offset in calendar.transitions if since <= at.timestamp()][-1]
    assert timedelta(seconds=offset) == at.astimezone(ZoneInfo(zone)).utcoffset()

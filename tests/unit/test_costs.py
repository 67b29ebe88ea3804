"""Costs: time is divided among stages and months without loss, amounts add up, and what has no price has none."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insight.costs import ledger as ledgers
from insight.costs.elapsed import Course, Decision, Period, Visit, shares
from insight.costs.ledger import GROUPINGS, CostRow, Grouping, Ledger, TooManyCells
from insight.costs.prices import PriceList

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICED = PriceList(
    currency="EUR", approver_hour=Decimal(60), minutes_per_decision=Decimal(10), delay_hour=Decimal("0.5")
)
NOTHING = PriceList()


def period(since: datetime = START, until: datetime | None = None, *, now: datetime | None = None, zone=UTC) -> Period:  # type: ignore[no-untyped-def]
    end = until or since + timedelta(days=365)
    return Period(since=since, until=end, now=now or end, zone=zone)


def rows_of(
    courses: list[tuple[str, Course]], prices: dict[str, PriceList], *by: Grouping, within: Period | None = None
) -> tuple[list[CostRow], list[CostRow]]:
    ledger = Ledger(period=within or period(), group_by=by, prices=lambda name: prices[name])
    for template, course in courses:
        ledger.add(template, course)
    return ledger.rows(), ledger.totals()


def moments(most: int = 400) -> st.SearchStrategy[datetime]:
    """Draw moments around the period, to the microsecond."""
    span = st.timedeltas(min_value=timedelta(days=-30), max_value=timedelta(days=most))
    return span.map(lambda after: START + after)


@st.composite
def courses(draw: st.DrawFn) -> Course:
    began = draw(moments())
    ended = draw(st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=90)))
    visits = []
    for stage in draw(st.lists(st.sampled_from(["Manager", "CFO", "Legal"]), max_size=5)):
        first = began + draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)))
        length = draw(st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=40)))
        visits.append(Visit(stage, first, None if length is None else first + length))
    decisions = [
        Decision(draw(st.sampled_from(["Manager", "CFO"])), draw(moments()), draw(st.sampled_from(["max", "mia"])))
        for _ in range(draw(st.integers(0, 4)))
    ]
    return Course(
        began_at=began,
        ended_at=None if ended is None else began + ended,
        visits=visits,
        decisions=decisions,
        automatic=[("Manager", draw(moments()))] if draw(st.booleans()) else [],
    )


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), courses()), max_size=8),
    st.lists(st.sampled_from(GROUPINGS), unique=True, min_size=1),
    st.sampled_from([UTC, BERLIN, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")]),
)
def test_rows_of_any_grouping_add_up_to_the_totals(
    past: list[tuple[str, Course]], by: list[Grouping], zone: ZoneInfo
) -> None:
    within = period(START, START + timedelta(days=200), now=START + timedelta(days=150), zone=zone)
    partly = PriceList(currency="EUR", people={"mia": Decimal("33.33")}, minutes_per_decision=Decimal(7))
    prices = {"A": PRICED, "B": NOTHING, "C": partly}
    rows, totals = rows_of(past, prices, *by, within=within)
    for name in ("decisions", "decisions_without_price", "automatic_decisions", "people_hours", "delay_hours",
                 "delay_hours_without_price"):  # fmt: skip
        assert sum(getattr(row, name) for row in rows) == sum(getattr(row, name) for row in totals), name
    for currency in ("EUR", None):
        for name in ("people_cost", "delay_cost", "total_cost"):
            one, other = ([getattr(row, name) for row in some if row.currency == currency] for some in (rows, totals))
            assert sum(filter(None, one), Decimal(0)) == sum(filter(None, other), Decimal(0)), name
    assert sum(row.requests for row in totals) == len(past)


@settings(max_examples=40)
@given(courses(), st.sampled_from([UTC, BERLIN, ZoneInfo("America/New_York")]))
def test_the_shares_of_a_request_are_its_time_to_the_microsecond(course: Course, zone: ZoneInfo) -> None:
    within = period(START, START + timedelta(days=200), now=START + timedelta(days=150), zone=zone)
    end = min(course.ended_at or within.now, within.now, within.until)
    expected = max(timedelta(0), end - max(course.began_at, within.since))
    assert timedelta(microseconds=sum(one.microseconds for one in shares(course, within))) == expected


@settings(max_examples=25)
@given(st.lists(courses(), max_size=6))
def test_finer_rows_add_up_to_coarser_ones(past: list[Course]) -> None:
    named = [("A", course) for course in past]
    fine, _ = rows_of(named, {"A": PRICED}, "template", "stage", "month")
    coarse, _ = rows_of(named, {"A": PRICED}, "month")
    by_month: dict[str | None, Decimal] = defaultdict(Decimal)
    for row in fine:
        by_month[row.key.month] += row.total_cost or Decimal(0)
    assert by_month == {row.key.month: row.total_cost for row in coarse}


def test_a_request_costs_its_open_hours_and_the_work_of_its_decisions() -> None:
    course = Course(
        began_at=START,
        ended_at=START + 10 * HOUR,
        visits=[Visit("Manager", START, START + 8 * HOUR)],
        decisions=[Decision("Manager", START + 8 * HOUR, "max")],
    )
    (manager, rest), (total,) = rows_of([("A", course)], {"A": PRICED}, "stage")
    assert (manager.key.stage, manager.people_cost, manager.delay_cost) == (
        "Manager",
        Decimal("10.00"),
        Decimal("4.00"),
    )
    assert (rest.key.stage, rest.people_cost, rest.delay_cost) == (None, Decimal("0.00"), Decimal("1.00"))
    assert (total.total_cost, total.currency, total.people_hours) == (Decimal("15.00"), "EUR", Decimal("0.1667"))
    assert (total.requests, total.open_requests, total.no_price) == (1, 0, ())


def test_what_has_no_price_has_no_amount_and_says_so() -> None:
    course = Course(began_at=START, ended_at=START + HOUR, decisions=[Decision("Manager", START + HOUR, "max")])
    ((row,), _) = rows_of([("A", course)], {"A": NOTHING}, "template")
    assert (row.people_cost, row.delay_cost, row.total_cost, row.currency) == (None, None, None, None)
    assert row.no_price == ("people", "delay")
    assert (row.decisions_without_price, row.delay_hours_without_price) == (1, Decimal(1))
    free = PriceList(currency="EUR", approver_hour=Decimal(0), delay_hour=Decimal(0))
    ((row,), _) = rows_of([("A", course)], {"A": free}, "template")
    assert (row.people_cost, row.delay_cost, row.no_price) == (Decimal("0.00"), Decimal("0.00"), ())


def test_a_part_with_a_price_counts_and_the_rest_is_named() -> None:
    decisions = [Decision("Manager", START + HOUR, who) for who in ("max", "mia", "mia")]
    course = Course(began_at=START, ended_at=START + 2 * HOUR, decisions=decisions)
    prices = PriceList(currency="EUR", people={"mia": Decimal(90)})
    ((row,), _) = rows_of([("A", course)], {"A": prices}, "template")
    assert (row.people_cost, row.decisions_without_price, row.no_price) == (Decimal("30.00"), 1, ("people", "delay"))


def test_currencies_are_never_added_up() -> None:
    course = Course(began_at=START, ended_at=START + HOUR)
    prices = {"A": PRICED, "B": PriceList(currency="CHF", delay_hour=Decimal(2)), "C": NOTHING}
    rows, totals = rows_of([(name, course) for name in "ABC"], prices, "month")
    assert [(row.currency, row.delay_cost) for row in rows] == [
        ("CHF", Decimal("2.00")), ("EUR", Decimal("0.50")), (None, None),
    ]  # fmt: skip
    assert [(row.currency, row.requests) for row in totals] == [("CHF", 1), ("EUR", 1), (None, 1)]


def test_what_is_open_counts_up_to_now_and_what_began_later_not_at_all() -> None:
    now = START + 5 * HOUR
    course = Course(began_at=START, ended_at=None, visits=[Visit("Manager", START, None)])
    ((row,), _) = rows_of([("A", course)], {"A": PRICED}, "stage", within=period(now=now))
    assert (row.delay_hours, row.open_requests) == (Decimal(5), 1)
    ended_since = Course(began_at=START, ended_at=now + HOUR)
    ((row,), _) = rows_of([("A", ended_since)], {"A": PRICED}, "template", within=period(now=now))
    assert (row.delay_hours, row.open_requests) == (Decimal(5), 1)


def test_time_is_cut_at_the_ends_of_the_period() -> None:
    course = Course(began_at=START - 3 * HOUR, ended_at=START + 3 * HOUR)
    within = period(START, START + HOUR)
    ((row,), _) = rows_of([("A", course)], {"A": PRICED}, "template", within=within)
    assert row.delay_hours == 1


def test_stages_that_ask_at_once_share_their_time() -> None:
    course = Course(
        began_at=START,
        ended_at=START + 6 * HOUR,
        visits=[Visit("Legal", START, START + 4 * HOUR), Visit("CFO", START, START + 6 * HOUR)],
    )
    rows, _ = rows_of([("A", course)], {"A": PRICED}, "stage")
    assert {row.key.stage: row.delay_hours for row in rows} == {"Legal": 2, "CFO": 4}


@pytest.mark.parametrize(
    ("month", "hours"),
    [
        (3, 31 * 24 - 1),  # in which Berlin's clocks go forward
        (10, 31 * 24 + 1),  # in which they go back
        (2, 28 * 24),
    ],
)
def test_a_month_has_as_many_hours_as_go_by_in_it(month: int, hours: int) -> None:
    course = Course(began_at=START - timedelta(days=60), ended_at=None)
    rows, _ = rows_of([("A", course)], {"A": PRICED}, "month", within=period(zone=BERLIN))
    assert {row.key.month: row.delay_hours for row in rows}[f"2026-{month:02d}"] == hours


def test_months_begin_at_midnight_of_the_zone() -> None:
    begin = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)  # 23:30 in Berlin, in summer time
    course = Course(began_at=begin, ended_at=begin + HOUR, decisions=[Decision("Manager", begin + HOUR / 2, "max")])
    rows, _ = rows_of([("A", course)], {"A": PRICED}, "month", within=period(zone=BERLIN))
    assert [(row.key.month, row.delay_hours, row.decisions) for row in rows] == [
        ("2026-03", Decimal("0.5"), 0), ("2026-04", Decimal("0.5"), 1),
    ]  # fmt: skip
    rows, _ = rows_of([("A", course)], {"A": PRICED}, "month", within=period(zone=UTC))
    assert [(row.key.month, row.delay_hours) for row in rows] == [("2026-03", 1)]


def test_a_request_that_ended_as_it_began_is_counted_once() -> None:
    rows, totals = rows_of([("A", Course(began_at=START, ended_at=START))], {"A": PRICED}, "stage", "month")
    assert [(row.key.month, row.requests, row.delay_cost) for row in rows] == [("2026-01", 1, Decimal("0.00"))]
    assert totals[0].requests == 1


def test_large_prices_and_times_stay_exact() -> None:
    course = Course(began_at=START, ended_at=START + timedelta(days=300, microseconds=1))
    prices = PriceList(currency="EUR", delay_hour=Decimal(99999999999999999999))
    ((row,), _) = rows_of([("A", course)], {"A": prices}, "template")
    assert row.delay_cost is not None
    assert row.delay_cost > Decimal(99999999999999999999) * 7200


def test_more_cells_than_are_held_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MOST_CELLS", 3)
    with pytest.raises(TooManyCells):
        rows_of([("A", Course(began_at=START, ended_at=START + timedelta(days=120)))], {"A": PRICED}, "template")

"""SLAs: what they measure, their verdicts, and the figures of windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.slas.executions import Execution, Step, executions
from insight.slas.judgement import AROUND_THE_CLOCK, Breach, Terms, exceeded_at, judge
from insight.slas.window import AT_RISK, LEAST_EXECUTIONS, figures
from placet.definition.model import parse_definition
from placet.plan.calendar import Calendar, working_seconds
from placet.plan.calendar_compiler import compile_calendar
from tests.approvals import EXPENSE

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def office() -> Calendar:
    """Return nine to five, from Monday to Friday, in UTC."""
    hours = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
    settings = parse_definition({**EXPENSE, "settings": {"calendar": {"hours": hours}}}).settings
    return compile_calendar(settings.calendar, settings.timezone, MONDAY)


OFFICE = office()


def told(*kinds: str) -> list[Step]:
    """Return entries an hour apart: `kind`, or `kind:stage:task`."""
    found = []
    for n, said in enumerate(kinds):
        kind, stage, task = (*said.split(":"), "", "")[:3]
        found.append(Step(n + 1, MONDAY + n * HOUR, kind, stage or None, task or None))
    return found


def spans(steps: Sequence[Step], stage: str | None) -> list[tuple[int, int | None, bool]]:
    """Return visit, last entry, and whether it came to a result, of each execution."""
    return [(one.visit, one.end_seq, one.settled) for one in executions(steps, stage)]


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        (told("started", "task_opened:a:1"), [(1, None, True)]),
        (told("started", "task_opened:a:1", "stage_settled:a", "completed"), [(1, 4, True)]),
        (told("started", "withdrawn"), [(1, 2, False)]),
        (told("started", "cancelled"), [(1, 2, False)]),
        (told("started", "failed"), [(1, 2, False)]),
        (told("started", "completed", "withdrawn"), [(1, 2, True)]),  # the first end counts
        ([], []),
    ],
)
def test_a_process_is_one_execution_from_its_start_to_its_end(
    steps: list[Step], found: list[tuple[int, int | None, bool]]
) -> None:
    assert spans(steps, None) == found


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        (told("started", "task_opened:b:1"), []),  # another stage
        (told("started", "task_opened:a:1", "task_opened:a:2"), [(2, None, True)]),
        (told("started", "task_opened:a:1", "decided:a:1", "stage_settled:a", "completed"), [(2, 4, True)]),
        # one after the other: the next seat opens with the decision before it
        (told("started", "task_opened:a:1", "decided:a:1", "task_opened:a:2", "stage_settled:a"), [(2, 5, True)]),
        # returned, and resubmitted: two visits
        (
            told("started", "task_opened:a:1", "changes_requested:a:1", "resubmitted", "task_opened:a:1"),
            [(2, 3, True), (5, None, True)],
        ),
        # the return was undone: the visit goes on
        (told("started", "task_opened:a:1", "changes_requested:a:1", "decision_undone:a:1"), [(2, None, True)]),
        # the same stage again in a loop
        (
            told("started", "task_opened:a:1", "stage_settled:a", "task_opened:a:2", "stage_settled:a"),
            [(2, 3, True), (4, 5, True)],
        ),
        # the request ended around it, and its branch was no longer needed
        (told("started", "task_opened:a:1", "withdrawn"), [(2, 3, False)]),
        (told("started", "task_opened:a:1", "branch_ended", "task_closed:a:1"), [(2, 4, False)]),
        (told("started", "task_opened:a:1", "task_closed:a:1", "stage_settled:a"), [(2, 4, True)]),
        (told("started", "task_opened:a:1", "stage_settled:a", "cancelled"), [(2, 3, True)]),
    ],
)
def test_a_visit_lasts_from_the_first_task_to_the_result_of_its_stage(
    steps: list[Step], found: list[tuple[int, int | None, bool]]
) -> None:
    assert spans(steps, "a") == found


TERMS = Terms(target=7200, warn=3600, critical=14_400)


def run(ended: datetime | None, *, settled: bool = True, began: datetime = MONDAY) -> Execution:
    return Execution(visit=1, began_at=began, ended_at=ended, settled=settled)


def test_exactly_the_target_keeps_it_and_more_does_not() -> None:
    kept = judge(TERMS, run(MONDAY + 2 * HOUR), MONDAY + 9 * HOUR)
    assert (kept.met, kept.known_at, kept.breaches) == (True, MONDAY + 2 * HOUR, ())
    late = judge(TERMS, run(MONDAY + 2 * HOUR + timedelta(microseconds=1)), MONDAY + 9 * HOUR)
    assert late.met is False
    assert late.breaches == (Breach(severity="warning", threshold=7200, at=MONDAY + 2 * HOUR),)


def test_what_is_open_beyond_its_target_has_missed_it_from_that_moment_on() -> None:
    before = judge(TERMS, run(None), MONDAY + 2 * HOUR)
    assert (before.met, before.known_at, before.warned) == (None, None, True)
    assert before.look_at == MONDAY + 2 * HOUR
    after = judge(TERMS, run(None), MONDAY + 3 * HOUR)
    assert (after.met, after.known_at) == (False, MONDAY + 2 * HOUR)
    assert [breach.severity for breach in after.breaches] == ["warning"]
    assert after.look_at == MONDAY + 4 * HOUR
    last = judge(TERMS, run(None), MONDAY + 5 * HOUR)
    assert [(breach.severity, breach.at) for breach in last.breaches] == [
        ("warning", MONDAY + 2 * HOUR),
        ("critical", MONDAY + 4 * HOUR),
    ]
    assert last.look_at is None


def test_what_was_broken_off_in_time_says_nothing_and_what_was_late_by_then_is_late() -> None:
    assert judge(TERMS, run(MONDAY + HOUR, settled=False), MONDAY + 9 * HOUR).met is None
    assert judge(TERMS, run(MONDAY + 3 * HOUR, settled=False), MONDAY + 9 * HOUR).met is False


def test_working_time_stands_still_on_a_weekend() -> None:
    friday = MONDAY + timedelta(days=4, hours=7)  # 16:00
    monday = MONDAY + timedelta(days=7)
    assert judge(TERMS, run(monday, began=friday), monday, OFFICE).met is True
    assert judge(TERMS, run(monday, began=friday), monday).met is False
    # an hour is full on Friday at 17:00, and exceeded from Monday on
    assert exceeded_at(OFFICE, friday, 3600) == monday


MOMENTS = st.integers(min_value=0, max_value=40 * 86_400).map(lambda s: MONDAY + timedelta(seconds=s))
CALENDARS = st.sampled_from([AROUND_THE_CLOCK, OFFICE])
THRESHOLDS = st.integers(min_value=1, max_value=10 * 86_400)


@given(CALENDARS, MOMENTS, MOMENTS, st.lists(THRESHOLDS, min_size=3, max_size=3).map(sorted))
def test_a_verdict_says_what_the_seconds_say(
    calendar: Calendar, one: datetime, other: datetime, thresholds: list[int]
) -> None:
    warn, target, critical = thresholds
    began, ended = min(one, other), max(one, other)
    terms = Terms(target=target, warn=warn, critical=critical)
    verdict = judge(terms, run(ended, began=began), ended, calendar)
    seconds = working_seconds(calendar, began, ended)
    assert verdict.seconds == seconds
    assert verdict.met is (seconds <= target)
    assert verdict.warned is (seconds > warn)
    assert [b.severity for b in verdict.breaches] == ["warning"] * (seconds > target) + ["critical"] * (
        seconds > critical
    )
    assert verdict.look_at is None
    assert all(b.at <= ended for b in verdict.breaches)


@given(CALENDARS, MOMENTS, MOMENTS, st.lists(THRESHOLDS, min_size=3, max_size=3).map(sorted))
def test_looking_again_when_a_verdict_says_so_misses_nothing(
    calendar: Calendar, one: datetime, other: datetime, thresholds: list[int]
) -> None:
    """An execution that is looked at just after each of these moments is judged as one that is looked at always."""
    warn, target, critical = thresholds
    began, ended = min(one, other), max(one, other)
    terms = Terms(target=target, warn=warn, critical=critical)
    seen, at = set(), began
    while at <= ended:
        verdict = judge(terms, run(None, began=began), at, calendar)
        seen |= {(b.severity, b.at) for b in verdict.breaches}
        if verdict.look_at is None:
            break
        assert verdict.look_at >= at
        at = verdict.look_at + timedelta(microseconds=1)
    final = judge(terms, run(ended, began=began), ended, calendar)
    assert seen == {(b.severity, b.at) for b in final.breaches}


def test_a_window_without_data_is_unknown_and_not_full_marks() -> None:
    empty = figures(0, 0, 99)
    assert empty.state == "unknown"
    assert empty.current_slo is empty.error_budget_remaining is empty.burn_rate is None


@pytest.mark.parametrize(
    ("total", "breached", "target", "slo", "left", "burn", "state"),
    [
        (1000, 0, 99, 100, 1, 0, "ok"),
        (1000, 5, 99, 99.5, 0.5, 0.5, "ok"),
        (1000, 8, 99, 99.2, 0.2, 0.8, "at_risk"),
        (1000, 10, 99, 99, 0, 1, "at_risk"),
        (1000, 11, 99, 98.9, -0.1, 1.1, "breached"),
        (1, 1, 99, 0, -99, 100, "breached"),
        (4, 1, 75, 75, 0, 1, "ok"),  # too few to say that there is a risk
        (5, 0, 100, 100, 1, 0, "ok"),
        (5, 1, 100, 80, 0, None, "breached"),  # no budget at all
        (1000, 1, 99.9, 99.9, 0, 1, "at_risk"),  # exactly, without the rounding of binary numbers
    ],
)
def test_the_figures_of_a_window(
    total: int, breached: int, target: float, slo: float, left: float, burn: float | None, state: str
) -> None:
    found = figures(total, breached, target)
    assert (found.current_slo, found.error_budget_remaining, found.burn_rate, found.state) == (slo, left, burn, state)


@given(
    st.integers(min_value=1, max_value=100_000),
    st.floats(min_value=0, max_value=1),
    st.decimals(min_value="0.001", max_value=100, places=3),
)
def test_figures_agree_with_each_other(total: int, share: float, target: object) -> None:
    breached = int(total * share)
    aim = Fraction(str(target))
    found = figures(total, breached, float(str(target)))
    assert found.current_slo is not None
    assert 0 <= found.current_slo <= 100
    met = Fraction(100 * (total - breached), total)
    assert (found.state == "breached") is (met < aim)
    if found.burn_rate is not None and found.error_budget_remaining is not None:
        assert found.error_budget_remaining == pytest.approx(1 - found.burn_rate, abs=2e-6)
    if found.state == "at_risk":
        assert total >= LEAST_EXECUTIONS
        assert found.error_budget_remaining is not None
        assert found.error_budget_remaining <= float(AT_RISK)


@pytest.mark.parametrize(("total", "breached"), [(1, 2), (0, -1)])
def test_counts_that_cannot_be_are_refused(total: int, breached: int) -> None:
    with pytest.raises(ValueError, match="cannot have missed"):
        figures(total, breached, 99)

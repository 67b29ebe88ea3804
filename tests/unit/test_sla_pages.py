"""What pages of SLAs write and draw: durations, shares, the course of a window, and the bars of a fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args
from xml.etree.ElementTree import fromstring
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insight.event_logs.fit import KINDS
from insight.event_logs.labels import Kind
from insight.slas.window import figures
from service.slas.course import Course, Part
from service.slas.monitoring import Window
from web.event_logs.chart import Bar, bars_of
from web.event_logs.wording import ACTIVITIES, DEVIATIONS, MEANINGS
from web.languages import Wording
from web.slas.chart import budgets, course_view
from web.slas.wording import exact, length, percent, seconds_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def wording(language: str = "en") -> Wording:
    return Wording(language=language, zone=ZoneInfo("Europe/Berlin"), now=NOW)


def course(parts: list[tuple[int, int]], target: float = 90) -> Course:
    """Return a window of a day of these parts, each with its executions and those that missed the target."""
    step = timedelta(days=1) / len(parts)
    start = NOW - timedelta(days=1)
    total, missed = (sum(one[place] for one in parts) for place in (0, 1))
    return Course(
        window=Window(start=start, end=NOW, figures=figures(total, missed, target)),
        parts=tuple(
            Part(begin=start + step * n, end=start + step * (n + 1), total=one[0], breached=one[1])
            for n, one in enumerate(parts)
        ),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8 h", 28_800),
        ("1 d 12 h", 129_600),
        ("1d12h", 129_600),
        ("30 min", 1800),
        ("0.5 s", 0.5),
        ("1,5 Std", 5400),
        ("2 Wochen", 1_209_600),
        ("90 m", 5400),
        ("", None),
        ("8", None),  # of what?
        ("soon", None),
        ("8 h or so", None),
        ("-8 h", None),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@given(st.one_of(st.integers(1, 158_000_000), st.decimals("0.001", "1000000", places=3).map(float)))
def test_a_duration_in_a_field_is_read_back_exactly(seconds: float) -> None:
    assert seconds_of(exact(seconds)) == pytest.approx(seconds, abs=1e-6)


def test_durations_and_shares_are_written_for_their_reader() -> None:
    assert length(129_600, wording()) == "1 day 12 hrs"
    assert length(0.5, wording("de")) == "0,5 Sek."
    assert percent(99.9996, wording()) == "99.99 %"  # what is not all is not written as all
    assert percent(97.5, wording("de")) == "97,5 %"
    assert percent(100, wording()) == "100 %"
    assert percent(-150, wording()) == "-150 %"


def test_the_budget_falls_with_each_execution_that_is_late_and_ends_at_what_the_figures_say() -> None:
    found = course([(5, 0), (0, 0), (10, 1), (5, 1)])
    assert budgets(found, 90) == [1.0, 1.0, 0.5, 0.0]
    assert budgets(found, 90)[-1] == found.window.figures.error_budget_remaining
    assert budgets(course([(0, 0)]), 90) == [None]
    assert budgets(course([(5, 0), (5, 1)], 100), 100) == [1.0, 0.0]  # none may be late


def test_the_chart_has_a_column_for_each_part_and_is_readable_without_colour() -> None:
    view = course_view(course([(5, 0), (0, 0), (10, 1)]), 90, wording(), name="1 of 15 <late>")
    svg = fromstring(str(view.svg))
    assert svg.get("aria-label") == "1 of 15 <late>"
    rects = svg.findall(f"{SVG}rect")
    assert [one.get("class") for one in rects] == ["kept", "kept", "missed"]
    assert rects[2].get("fill") == "url(#late)"  # hatched
    assert "style" not in str(view.svg)
    assert [(row.total, row.kept, row.breached) for row in view.rows] == [(5, 5, 0), (0, 0, 0), (10, 9, 1)]
    assert view.rows[-1].budget == "33.33 %"


def test_a_window_with_more_than_its_budget_used_is_drawn_within_its_picture() -> None:
    view = course_view(course([(10, 10), (10, 10)]), 90, wording("de"), name="x")
    svg = fromstring(str(view.svg))
    path = next(one for one in svg.findall(f"{SVG}path") if one.get("class") == "budget")
    heights = [float(place.split()[1]) for place in str(path.get("d"))[1:].split("L")]
    assert max(heights) <= float(str(svg.get("height")))
    assert view.rows[-1].budget == "-900 %"


def test_the_bars_of_a_fit_are_as_long_as_their_counts() -> None:
    bars = [Bar(label="By rule", count=60, kind="rule"), Bar(label="Passed over & <b>", count=30, kind="deviation")]
    svg = fromstring(bars_of([*bars, Bar(label="None", count=0, kind="allowed")], 90, wording(), name="Fit"))
    lengths = [float(str(one.get("width"))) for one in svg.findall(f"{SVG}rect")]
    assert lengths[0] == pytest.approx(2 * lengths[1], abs=0.2)
    assert "Passed over & <b>" in ["".join(one.itertext()) for one in svg.findall(f"{SVG}text")]


def test_every_deviation_and_every_kind_of_activity_has_words() -> None:
    assert DEVIATIONS.keys() == MEANINGS.keys() == KINDS.keys()
    assert set(get_args(Kind)) == ACTIVITIES.keys()

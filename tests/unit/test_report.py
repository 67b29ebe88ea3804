"""The page of a simulation stands alone and shows what the answer holds, whatever names a blueprint carries."""

from __future__ import annotations

import re
from typing import Any

import pytest

from simulation.modes.backtest import Candidate, backtest
from simulation.modes.explore import explore
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.charts import bars, duration_text, histogram, paired, schedule
from simulation.report.page import html_report
from simulation.report.result import json_value
from tests.past_waits import waits
from tests.unit.core import START, blueprint, office
from tests.unit.test_backtest import SLOW, case, run
from tests.unit.test_explore import ask

HOSTILE = "<script>alert(1)</script>{{ 7*7 }}${x}"


def explored(**more: Any) -> str:
    """Return the page of an exploration."""
    raw = blueprint({"stage_name": HOSTILE}, {"sla_hours": 4}, name=HOSTILE)
    return html_report(explore(ask(raw, **more)).described())


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    page = explored()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}${x}" in page
    assert re.search(r"(src|href|url|@import)\s*[=(]", page) is None


def test_an_exploration_shows_tasks_and_the_distribution_of_durations() -> None:
    page = explored(past=waits({HOSTILE: [3600.0 * n for n in range(1, 11)], "Stage 2": [60.0] * 10}))
    for title in ("Tasks over time", "over 100 simulated runs", "All routes", "Tasks of each"):
        assert title in page
    assert page.count("90 %") == 2  # the figure, and its mark in the chart


def test_a_backtest_shows_paths_and_load_before_and_after() -> None:
    two = blueprint({}, {"approvers": ["role:cfo"]})
    found = backtest(Candidate.of(blueprint({}), office()), [case(run(two, {"decision": "approve", "after_hours": 3}))])
    page = html_report({"mode": "backtest", "template": "Test", **json_value(found.described())})
    assert "Stage 1: approved · Stage 2: approved" in page
    assert "Decisions of each approver" in page
    assert "approved after 6 h, ok" in page
    assert "approved after 3 h, ok" in page


def test_a_replay_shows_both_timelines_side_by_side() -> None:
    past = case(run(SLOW, {"decision": "approve", "after_hours": 3}))
    found = what_if(
        ask(blueprint({"sla_hours": 1})),
        past,
        history_check=HistoryCheck(ok=None, why="none"),
        now=START,
        unchanged=False,
    )
    page = html_report(found.described())
    assert "Both timelines" in page
    assert page.count("class=differs") >= 2
    assert "sla breached Stage 1" in page


def test_charts_without_data_say_so() -> None:
    assert bars([]) == paired([], ("a", "b")) == histogram([]) == "<p>No data.</p>"
    assert schedule([]) == ""
    assert "All of them take 2 h" in histogram([7_200_000, 7_200_000])


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(None, ""), (0, "0 s"), (1250, "1.25 s"), (61_000, "1 min"), (90_061_000, "1 d 1 h"), (172_800_000, "2 d")],
)
def test_a_duration_is_shown_in_its_two_largest_units(milliseconds: int | None, said: str) -> None:
    assert duration_text(milliseconds) == said

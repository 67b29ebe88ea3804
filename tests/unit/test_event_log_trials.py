"""Forecasts and blueprints are tried on the cases of a log, of which the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from insight.event_logs.importing import assemble, parts_in, seen_of
from placet.errors import BlueprintInvalid, InputInvalid
from service.event_logs.content import LogContent
from service.event_logs.trials import CandidateOfLog, backtest_on, forecasts_on
from tests.event_logs import CSV_MAP, as_csv, expense_rows, kept

MAPPED = CSV_MAP | {"attributes": ["amount", "department"]}


def content(folder: Path, count: int) -> LogContent:
    to = folder / "parts"
    log = assemble(str(kept(folder, as_csv(expense_rows(count)))), MAPPED, str(to))
    parts = [part.content for part in parts_in(to)]
    seen = seen_of(log.seen)
    return LogContent(name="Expenses", owner=None, parts=parts, seen=seen, columns=log.columns, cases=log.cases)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> LogContent:
    return content(tmp_path_factory.mktemp("log"), 250)


def changed(log: LogContent, *patch: dict[str, Any]) -> dict[str, Any]:
    return backtest_on(log, CandidateOfLog(patch=list(patch)), 10)


def test_forecasts_are_held_to_the_latest_cases_beside_naive_ones(log: LogContent) -> None:
    found = forecasts_on(log, 10)
    assert (found["state"], found["cases"], found["every"], found["left_out"]) == ("ok", 250, 1, [])
    assert found["learned_from"] >= 100
    assert found["held_out"] > 20
    assert found["moments"] > found["held_out"]
    assert 0 < found["deadlines"] <= found["moments"]
    ours, by_stage, all_alike = found["scores"]
    assert [one["forecast"] for one in found["scores"]] == ["placet", "median_of_stage", "median_of_all"]
    assert ours["coverage"] == pytest.approx(0.8, abs=0.2)
    assert ours["error_hours"] < 1.25 * all_alike["error_hours"]
    assert ours["brier"] <= by_stage["brier"] + 0.05


def test_too_few_cases_are_told_and_nothing_else(tmp_path: Path) -> None:
    found = forecasts_on(content(tmp_path, 60), 10)
    assert (found["state"], found["cases"]) == ("too_few", 60)
    assert "scores" not in found


def test_a_blueprint_that_changes_nothing_changes_no_case(log: LogContent) -> None:
    found = changed(log, {"op": "replace", "path": "/version", "value": "1.0.1"})
    totals = found["totals"]
    assert (found["later_cases"], found["replayed"], found["left_out"], found["version"]) == (75, 75, [], "1.0.1")
    assert (totals["known"], totals["changed"]["count"]) == (75, 0)
    assert len(found["rows"]) == 75


def test_a_backtest_shows_which_cases_a_change_would_have_changed(log: LogContent) -> None:
    nobody = changed(log, {"op": "test", "path": "/version", "value": "1.0.0"}, *_never_ask_the_cfo(log))
    totals = nobody["totals"]
    asked_cfo = totals["changed_by_aspect"]["route"]
    assert 0 < asked_cfo < totals["known"]
    assert totals["hours"]["median_after"] <= totals["hours"]["median_before"]
    tight = changed(log, {"op": "replace", "path": "/process_steps/0/sla", "value": {"target_hours": 0.05}})
    assert tight["totals"]["breached"]["after"] > tight["totals"]["breached"]["before"]
    assert tight["totals"]["outcome_changed"]["count"] == 0


def _never_ask_the_cfo(log: LogContent) -> list[dict[str, Any]]:
    edges = log.discovered(10).document["graph_spec"]["edges"]
    number = next(n for n, edge in enumerate(edges) if "condition" in edge)
    return [{"op": "replace", "path": f"/graph_spec/edges/{number}/condition", "value": "amount > 5000000"}]


def test_a_whole_blueprint_can_be_tried_and_a_wrong_one_is_refused(log: LogContent) -> None:
    document = log.discovered(10).document
    found = backtest_on(log, CandidateOfLog(blueprint=document), 10)
    assert found["totals"]["changed"]["count"] == 0
    with pytest.raises(BlueprintInvalid):
        backtest_on(log, CandidateOfLog(blueprint={"name": "x"}), 10)
    with pytest.raises(InputInvalid) as refused:
        changed(log, {"op": "replace", "path": "/nowhere/1", "value": 1})
    assert refused.value.problems[0].pointer == "/patch/0"

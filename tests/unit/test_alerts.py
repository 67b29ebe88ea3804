"""The alert rules: valid, tested by promtool, and each with what the person who is woken needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promtool import promtool, refused

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
TESTS = ("rules_test.yml", "rules_slo_test.yml")


def alerts(rules: str | None = None) -> list[dict[str, Any]]:
    groups = yaml.safe_load(rules or (PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def _tests_of(names: set[str], file: str, copy: Path) -> bool:
    """Write the tests of these alerts into a copy; False where the file has none."""
    document = yaml.safe_load((PROMETHEUS / file).read_text())
    document["tests"] = [
        test for test in document["tests"] if names & {case["alertname"] for case in test.get("alert_rule_test", [])}
    ]
    copy.write_text(yaml.safe_dump(document, sort_keys=False))
    return bool(document["tests"])


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    for arguments in (("check", "rules", "rules.yml"), ("check", "config", "prometheus.yml")):
        found = promtool(*arguments, cwd=PROMETHEUS)
        assert found.returncode == 0, found.stdout + found.stderr


def test_each_alert_fires_and_does_not_fire_as_its_unit_tests_say() -> None:
    found = promtool("test", "rules", *TESTS, cwd=PROMETHEUS)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("threshold", "other"),
    [
        ("[1h])) > 0.1", "[1h])) > 0.3"),  # breach rate
        ("[5m]))) > 3", "[5m]))) > 2"),  # failures
        ("[5m]))) > 3", "[5m]))) > 4"),
        ("[5m]))) > 30", "[5m]))) > 60"),  # slow escalations
        (
            "(workflow_slo_executions) >= 10)\n          <",
            "(workflow_slo_executions) >= 9)\n          <",
        ),  # too few to tell
        ("(workflow_slo_executions) >= 10)\n          <", "(workflow_slo_executions) >= 11)\n          <"),
        (">= 0.75 * (100", ">= 0.4 * (100"),  # the used share of a budget
        ("[3d])) == 0", "[2d])) == 0"),  # how long nobody starts a process
        ("[1d] offset 1w)) >= 7", "[1d] offset 1w)) >= 2"),
        ("for: 10m", "for: 0m"),
        ("_seconds) > 900", "_seconds) > 1800"),  # notices that wait
        ("(workflow_workers_running) == 0", "(workflow_workers_running) <= 1"),
        ("(temporal_num_pollers) > 0", "(temporal_num_pollers) > 5"),
        ("for: 2m", "for: 10m"),
        ("_slots_available) == 0", "_slots_available) <= 3"),
        ("< 14 * 86400", "< 31 * 86400"),  # a certificate
        ("histogram_quantile(0.95, max by (le) (increase", "histogram_quantile(0.5, max by (le) (increase"),
    ],
)
def test_the_unit_tests_of_an_alert_notice_another_threshold(tmp_path: Path, threshold: str, other: str) -> None:
    rules = (PROMETHEUS / "rules.yml").read_text()
    assert threshold in rules
    changed = rules.replace(threshold, other)
    (tmp_path / "rules.yml").write_text(changed)
    theirs = {rule["alert"] for rule in alerts(changed) if rule not in alerts(rules)}
    files = [file for file in TESTS if _tests_of(theirs, file, tmp_path / file)]
    assert promtool("test", "rules", *files, cwd=tmp_path).returncode == 1


def test_the_three_alerts_bear_the_names_that_people_know() -> None:
    names = {"HighWorkflowSLABreachRate", "WorkflowEscalationJobFailing", "SlowWorkflowEscalationJob"}
    assert names <= {alert["alert"] for alert in alerts()}


def test_every_alert_is_tested_both_ways() -> None:
    cases = [
        case
        for file in TESTS
        for test in yaml.safe_load((PROMETHEUS / file).read_text())["tests"]
        for case in test.get("alert_rule_test", [])
    ]
    for alert in alerts():
        outcomes = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == alert["alert"]}
        assert outcomes == {True, False}, alert["alert"]


def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do() -> None:
    runbook = (PROMETHEUS.parents[1] / "docs" / "runbook.md").read_text()
    for alert in alerts():
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"]["summary"]
        assert alert["annotations"]["description"]
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert f"## {alert['alert']}\n" in runbook


def test_a_query_that_is_no_promql_is_refused() -> None:
    assert refused(["rate(workflow_tasks_over_sla_total[1h])"]) is None
    assert "parse error" in (refused(["rate(workflow_tasks_over_sla_total"]) or "")

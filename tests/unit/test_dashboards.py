"""The dashboards: every query is PromQL, and asks for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.metrics import expose
from service.administration.certificates import Certificate
from storage.recording.metric_families import FAMILIES
from storage.recording.metrics import Histogram, Totals
from tests.promtool import refused

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
_NAME = re.compile(r"\b(?:workflow|action|placet|temporal)[a-z0-9_:]+\b(?!\s*=)")


def panels(board: Path) -> list[dict[str, Any]]:
    return list(json.loads(board.read_text())["panels"])


def queries() -> Iterator[str]:
    for board in BOARDS:
        for panel in panels(board):
            yield from (target["expr"] for target in panel["targets"])


def names_of(query: str) -> set[str]:
    """Return the metrics that a query names; labels (in braces, or after `by`) are none."""
    return set(_NAME.findall(re.sub(r"\{[^}]*\}|\b(?:by|without)\s*\([^)]*\)", "", query)))


def exposed() -> set[str]:
    """Return the names of all samples that the API shows."""
    labels = {family.name: tuple("x" for _ in family.labels) for family in FAMILIES}
    empty = Histogram(buckets=(("+Inf", 0.0),), sum=0.0)
    shown = Totals(
        values={f.name: {labels[f.name]: 0.0} for f in FAMILIES if f.kind != "histogram"},
        histograms={f.name: {labels[f.name]: empty} for f in FAMILIES if f.kind == "histogram"},
    )
    text, _ = expose(shown, {}, "", certificates=[Certificate(use="x", ends=datetime.now(UTC))])
    return {line.split("{")[0].split(" ")[0] for line in text.decode().splitlines() if not line.startswith("#")}


def recorded() -> dict[str, str]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"] if "record" in rule}


def rules() -> list[str]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_query_is_promql() -> None:
    # Grafana puts a duration in place of its variable before it asks Prometheus.
    assert refused(query.replace("$__rate_interval", "1m") for query in queries()) is None


def test_every_query_and_rule_asks_for_what_there_is() -> None:
    there = exposed() | recorded().keys()
    for query in (*queries(), *rules()):
        ours = {name for name in names_of(query) if not name.startswith("temporal_")}
        assert ours <= there, query


def test_a_misspelt_metric_is_noticed() -> None:
    assert not names_of("max(rate(workflow_tasks_over_sla_count[1h]))") <= exposed() | recorded().keys()


def test_every_metric_is_on_a_dashboard() -> None:
    asked = " ".join([*queries(), *recorded().values()])
    for family in FAMILIES:
        assert family.name in asked


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_dashboard_is_whole(board: Path) -> None:
    document = json.loads(board.read_text())
    assert document["uid"].startswith("placet-")
    found = panels(board)
    assert len({panel["id"] for panel in found}) == len(found)
    places = [panel["gridPos"] for panel in found]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells)), "panels overlap"
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in found} <= {source["uid"] for source in sources}


def test_the_dashboards_that_were_asked_for_are_there() -> None:
    titles = {panel["title"] for board in BOARDS for panel in panels(board)}
    assert titles >= {
        "SLA compliance over time",
        "Escalation trend",
        "Time from due to recorded",
        "Pending now",
        "SLA breach rate by severity",
        "SLA performance",
        "Simulation success rate, last hour",
        "Confidence of suggestions, last day",
        "Action performance",
    }


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    page = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        assert f"| `{family.name}` | {family.kind} | {labels}{' ' if labels else ''}| " in page

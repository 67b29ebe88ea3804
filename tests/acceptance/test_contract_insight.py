"""The HTTP contract of SLAs, breaches, suggestions and event logs, on a running installation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract import Placet, open_tasks, pointers
from tests.event_logs import CSV_MAP, as_csv, expense_rows
from tests.waiting import poll

SLAS, BREACHES, SUGGESTIONS, LOGS = "workflow-slas/", "sla-breaches/", "workflow-suggestions/", "event-logs/"
BREACH = {
    "id", "sla_id", "sla_name", "template", "request_id", "task_id", "stage", "severity", "target_duration_seconds",
    "actual_duration_seconds", "breach_margin_seconds", "breach_margin_percentage", "breached_at", "acknowledged",
    "acknowledged_by", "acknowledged_at", "notes",
}  # fmt: skip


def exposed(placet: Placet) -> list[str]:
    """Return what Prometheus is told."""
    return placet.send(None, "GET", "metrics/prometheus").text.splitlines()


def test_the_metrics_of_slas_and_suggestions_are_there_before_anything_has_happened(placet: Placet) -> None:
    lines = placet.first_metrics.splitlines()
    for severity in ("warning", "critical"):
        assert f'workflow_sla_breach_total{{severity="{severity}"}} 0.0' in lines
    for source in ("rule", "model", "llm", "person"):
        assert f'workflow_suggestion_total{{source="{source}"}} 0.0' in lines
    assert "workflow_suggestion_confidence_count 0.0" in lines
    assert "# TYPE workflow_sla_percentage gauge" in lines  # without a series: nothing is known yet


def test_an_sla_of_seconds_breaches_and_is_acknowledged_once_by_an_admin_or_the_owner(placet: Placet) -> None:
    name = placet.publish(placet.process({"sla_hours": 24}))
    body = {"name": "Soon", "template": name, "target_duration_seconds": 0.5, "critical_threshold_seconds": 1}
    sla = placet.post("olivia", SLAS, body, expect=201)
    assert {**sla, "id": ""} | body | {
        "id": "", "stage": None, "warning_threshold_seconds": None, "slo_window_hours": 24,
        "slo_target_percentage": 99, "business_time": False, "enabled": True,
    } == {**sla, "id": ""}  # fmt: skip
    assert sla["id"] in {item["id"] for item in placet.get("rita", SLAS)["items"]}
    unmeasured = placet.get("rita", f"{SLAS}{sla['id']}/metrics/")
    figures = ("current_slo", "error_budget_remaining", "burn_rate", "state", "target_slo")
    assert [unmeasured[figure] for figure in figures] == [None, None, None, "unknown", 99]

    request = placet.start(name)

    def both() -> list[dict[str, Any]]:
        found = placet.get("ada", f"{BREACHES}unacknowledged/?sla_id={sla['id']}")["items"]
        return list(found) if len(found) == 2 else []

    found = {item["severity"]: item for item in poll(both, what="that both thresholds are breached")}
    for severity in ("warning", "critical"):
        one = found[severity]
        assert one.keys() >= BREACH
        assert (one["sla_id"], one["sla_name"], one["template"]) == (sla["id"], "Soon", name)
        assert (one["request_id"], one["task_id"], one["stage"]) == (request["id"], None, None)
        assert (one["acknowledged"], one["acknowledged_by"], one["notes"]) == (False, None, None)
        margin = one["actual_duration_seconds"] - one["target_duration_seconds"]
        assert one["target_duration_seconds"] == 0.5
        assert one["breach_margin_seconds"] == pytest.approx(margin)
        assert margin > 0
        assert one["breach_margin_percentage"] == pytest.approx(200 * margin, abs=0.001)
    measured = placet.get("rita", f"{SLAS}{sla['id']}/metrics/")
    assert (measured["total_executions"], measured["breached_executions"]) == (1, 1)
    assert (measured["current_slo"], measured["state"]) == (0, "breached")
    assert f'workflow_sla_percentage{{workflow_name="{name}"}} 0.0' in exposed(placet)
    told = placet.place.rows(
        "SELECT DISTINCT person FROM outbox WHERE event = 'slo_breached' AND request_id = :id", id=request["id"]
    )
    assert {row[0] for row in told} == {"olivia", "ada"}

    address = f"{BREACHES}{found['critical']['id']}/acknowledge/"
    placet.post("rita", address, expect=404)  # who may not see a breach does not learn of it
    placet.post("aud", address, expect=403)
    done = placet.post("ada", address, {"notes": "Two were ill."})
    assert (done["acknowledged"], done["acknowledged_by"], done["notes"]) == (True, "user:ada", "Two were ill.")
    placet.post("ada", address, {"notes": "Again."}, expect=409)
    placet.post("olivia", f"{BREACHES}{found['warning']['id']}/acknowledge/")
    assert placet.get("ada", f"{BREACHES}unacknowledged/?sla_id={sla['id']}")["items"] == []
    chosen = f"{BREACHES}?sla_id={sla['id']}&template={name}&severity=critical&acknowledged=true"
    assert [item["id"] for item in placet.get("ada", chosen)["items"]] == [found["critical"]["id"]]
    placet.decide("max", open_tasks(request)["max"])


@pytest.mark.parametrize(
    ("who", "changes", "status", "places"),
    [
        ("rita", {}, 403, []),
        ("aud", {}, 403, []),
        ("olivia", {"warning_threshold_seconds": 61}, 422, ["/warning_threshold_seconds"]),
        ("olivia", {"critical_threshold_seconds": 59}, 422, ["/critical_threshold_seconds"]),
        ("olivia", {"template": "Nothing of the kind"}, 422, ["/template"]),
        ("olivia", {"stage": "Nothing of the kind"}, 422, ["/stage"]),
        ("olivia", {"target": 60}, 422, ["/target"]),
    ],
)
def test_an_sla_that_cannot_be_is_refused_at_its_place(
    placet: Placet, who: str, changes: dict[str, Any], status: int, places: list[str]
) -> None:
    body = {"name": "Soon", "template": placet.publish(placet.process({})), "target_duration_seconds": 60, **changes}
    refused = placet.send(who, "POST", f"workflow/{SLAS}", body)
    assert (refused.status_code, pointers(refused.json())) == (status, places), refused.text


def test_a_suggestion_by_hand_carries_its_backtest_and_drafts_the_next_version(placet: Placet) -> None:
    mined = placet.post("olivia", f"{SUGGESTIONS}generate/")  # of 30 days, from ten occurrences on, of all processes
    assert mined["created"] == len(mined["items"])
    name = placet.publish(placet.process({"sla_hours": 24}))
    body = {
        "template": name,
        "title": "Faster",
        "description": "Half the time is enough.",
        "patch": [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 12}],
    }
    made = placet.post("olivia", SUGGESTIONS, body, expect=201)
    assert {**made, **body} == made
    assert (made["version"], made["source"], made["status"]) == ("1.0.0", "person", "pending")
    assert 0 <= made["confidence"] <= 1
    assert {"count", "period", "examples"} <= made["supporting_data"].keys()
    assert isinstance(made["backtest"], dict)
    assert isinstance(made["findings"], list)
    assert made["suggestion_type"]
    assert [made[field] for field in ("review_notes", "reviewed_by", "reviewed_at")] == [None] * 3
    listed = f"{SUGGESTIONS}?template={name}&status=pending&source=person&suggestion_type={made['suggestion_type']}"
    assert [item["id"] for item in placet.get("aud", listed)["items"]] == [made["id"]]
    placet.post("rita", f"{SUGGESTIONS}{made['id']}/accept/", expect=403)
    accepted = placet.post("ada", f"{SUGGESTIONS}{made['id']}/accept/", {"notes": "Agreed."})
    assert (accepted["status"], accepted["review_notes"], accepted["reviewed_by"]) == (
        "accepted", "Agreed.", "user:ada",
    )  # fmt: skip
    draft = accepted["draft"]
    assert (draft["name"], draft["status"]) == (name, "draft")
    for act in ("accept", "reject"):
        placet.post("ada", f"{SUGGESTIONS}{made['id']}/{act}/", expect=409)
    placet.post("olivia", f"process-templates/{draft['id']}/publish/")
    assert placet.start(name)["version"] == draft["version"]


def test_an_event_log_is_previewed_imported_and_becomes_a_blueprint(placet: Placet) -> None:
    mapped = CSV_MAP | {"attributes": ["amount", "department"]}
    rows = expense_rows(200)
    content = as_csv(rows)

    def sent(status: int, **more: str) -> dict[str, Any]:
        answer = placet.http.post(
            f"{placet.where['api']}/api/v1/workflow/event-logs",
            files={"file": ("expenses.csv", content, "text/csv")},
            data={"name": "Expenses", "map": json.dumps(mapped), **more},
            headers={"Authorization": f"Bearer {placet.tokens['olivia']}"},
        )
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    different = {name: len({row[name] for row in rows}) for name in ("case", "user", "activity")}
    counts = {
        "cases": different["case"], "events": len(rows), "people": different["user"],
        "activities": different["activity"],
    }  # fmt: skip
    before = placet.get("olivia", LOGS)["items"]
    shown = sent(200, preview="true")
    assert {**shown, **counts, "map": mapped} == shown
    assert placet.get("olivia", LOGS)["items"] == before

    made = sent(201)
    assert {"id", "name", "status", "cases", "events", "people", "activities", "map", "warnings"} <= made.keys()

    def read() -> dict[str, Any] | None:
        log = dict(placet.get("aud", f"{LOGS}{made['id']}/"))
        return log if log["status"] != "running" else None

    log = poll(read, what="that the log was read")
    assert log is not None
    assert {**log, **counts, "name": "Expenses", "status": "completed", "map": mapped} == log

    found = placet.post("olivia", f"{LOGS}{made['id']}/suggest/", expect=201)
    assert [one for one in found["findings"] if one["severity"] == "error"] == []
    fit = found["fit"]
    assert fit["cases"] - fit["reproduced"] == sum(one["count"] for one in fit["deviations"])
    assert fit["reproduced"] > 0.9 * fit["cases"] > 0
    placet.publish({**found["blueprint"], "name": placet.name()})

    placet.post("rita", f"{LOGS}{made['id']}/suggest/", expect=403)
    refused = placet.post("olivia", f"{LOGS}{made['id']}/suggest/", {"min_occurrences": 0}, expect=422)
    assert pointers(refused) == ["/min_occurrences"]
    gone, again = [
        placet.send("olivia", "DELETE", f"workflow/{LOGS}{made['id']}/", key="the log is gone") for _ in range(2)
    ]
    assert (gone.status_code, gone.json()["id"], again.json()) == (200, made["id"], gone.json())
    placet.get("olivia", f"{LOGS}{made['id']}/", expect=404)

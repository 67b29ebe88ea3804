"""The HTTP contract over a real installation: paths, shapes, errors, keys, pages, and all that is not a decision."""

from __future__ import annotations

import itertools
import re
from copy import deepcopy
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.contract import BLUEPRINT, Placet, open_tasks, pointers, problem
from tests.unit.core import graph
from tests.waiting import poll

LISTS = ("process-templates", "requests", "tasks", "people", "action-catalog", "workflow-simulations")
REQUEST = {"id", "template", "version", "status", "outcome", "stage", "tasks", "links"}
TASK = {
    "id", "request_id", "stage", "assignee", "assigned_via", "opened_at", "due_at", "sla_state", "escalation_level",
    "decision",
}  # fmt: skip
LINE = {"seq", "at", "kind", "actor", "stage", "task_id", "detail", "hash"}
W3 = {
    "execution_path", "branch_explorations", "approval_chain", "predicted_duration_ms", "validation_errors", "warnings",
}  # fmt: skip
E2 = {
    "stage_name": "Manager Approval",
    "sla_hours": 24,
    "escalation_enabled": True,
    "escalation_to": "department_head",
}
COUNTERS = (
    "workflow_tasks_checked_total", "workflow_tasks_escalated_total", "workflow_tasks_reminded_total",
    "workflow_tasks_over_sla_total", "workflow_escalation_failures_total", "workflow_pending_count",
    "workflow_near_sla_breach_count",
)  # fmt: skip
LABELLED = (
    "workflow_execution_total", "workflow_simulation_total", "workflow_sla_breach_total", "workflow_sla_percentage",
    "workflow_suggestion_total", "workflow_suggestion_confidence", "action_execution_total",
    "workflow_escalation_duration_seconds",
)  # fmt: skip


@pytest.fixture(scope="module")
def expense(placet: Placet) -> str:
    """Give the name of the contract's blueprint, published."""
    return placet.publish(BLUEPRINT)


def utc(text: str) -> datetime:
    """Read a moment; AssertionError unless it is RFC 3339 in UTC."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text), text
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("path", LISTS)
def test_a_list_answers_on_both_paths_in_pages_and_only_to_those_with_a_token(
    placet: Placet, expense: str, path: str
) -> None:
    placet.start(expense, given={"amount": 1})
    placet.start(expense, given={"amount": 2})
    whole = placet.get("ada", f"{path}/?limit=500")
    assert whole.keys() >= {"items", "next_cursor"}
    assert whole["next_cursor"] is None
    slashless = placet.get("ada", f"{path}?limit=500")  # clocks of other tests may run, so what is listed may change
    assert [item["id"] for item in slashless["items"]] == [item["id"] for item in whole["items"]]
    ids, cursor = [], ""
    while cursor is not None:
        page = placet.get("ada", f"{path}/?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["items"]) <= 3
        ids += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert ids == [item["id"] for item in whole["items"]]
    for query in ("limit=0", "limit=501", "limit=x", "cursor=nonsense"):
        assert pointers(placet.get("ada", f"{path}/?{query}", expect=422)) == [f"/{query.split('=')[0]}"]
    for token in (None, "nobody"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = placet.http.get(f"{placet.where['api']}/api/v1/workflow/{path}/", headers=headers)
        assert answer.status_code == 401
        problem(answer)


def test_a_request_goes_its_way_as_the_blueprint_of_the_contract_says(placet: Placet, expense: str) -> None:
    order = {"template": expense, "title": "Stand", "input": {"amount": "7250.00", "department": "sales"}}
    request = placet.post("rita", "requests", order, expect=201)
    assert request.keys() >= REQUEST
    assert (request["status"], request["outcome"], request["stage"]) == ("pending", None, "Manager Approval")
    assert isinstance(request["input"]["amount"], str)
    assert Decimal(request["input"]["amount"]) == Decimal("7250.00")
    (task,) = request["tasks"]
    assert task.keys() >= TASK
    assert (task["assignee"], task["sla_state"], task["escalation_level"], task["decision"]) == (
        "user:max",
        "ok",
        0,
        None,
    )
    assert (utc(task["due_at"]) - utc(task["opened_at"])).total_seconds() == 24 * 3600
    assert placet.http.get(request["links"]["temporal_ui"]).status_code == 200
    inbox = placet.get("max", "tasks/?assignee=me&status=open&sla_state=")["items"]
    assert task["id"] in [item["id"] for item in inbox]
    for who, decision, status in (("rita", "approve", 403), ("carla", "approve", 404), ("max", "maybe", 422)):
        placet.decide(who, task["id"], decision, expect=status)
    assert placet.get("carla", f"requests/{request['id']}", expect=404)
    request = placet.post("max", f"tasks/{task['id']}/decide", {"decision": "approve", "comment": "Go."})
    assert (request["status"], request["stage"]) == ("pending", "CFO Approval")
    late = placet.decide("max", task["id"], "reject", expect=409)
    assert "approve" in late["detail"]
    assert "user:max" in late["detail"]
    request = placet.decide("carla", open_tasks(request)["carla"])
    assert (request["status"], request["outcome"], request["stage"]) == ("completed", "approved", None)
    assert [t["decision"] for t in request["tasks"]] == ["approve", "approve"]
    for what, body in (("withdraw", {}), ("comments", {"text": "late"}), ("resubmit", {})):
        placet.post("rita", f"requests/{request['id']}/{what}/", body, expect=409)
    for who in ("rita", "max", "carla", "olivia", "aud", "ada"):
        assert placet.get(who, f"requests/{request['id']}/") == request
    for who in ("ann", "dana"):
        placet.get(who, f"requests/{request['id']}/timeline/", expect=404)
        assert request["id"] not in [r["id"] for r in placet.get(who, "requests/")["items"]]

    lines = placet.timeline(request)
    assert all(line.keys() >= LINE for line in lines)
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    said = [(line["kind"], line["actor"]) for line in lines if line["kind"] != "notified"]
    expected = [("started", "user:rita"), ("task_opened", "system"), ("decided", "user:max"), ("task_opened", "system")]
    assert [entry for entry in said if entry[0] in {"started", "task_opened", "decided", "completed"}] == [
        *expected, ("decided", "user:carla"), ("completed", "system")]  # fmt: skip
    assert all(utc(a["at"]) <= utc(b["at"]) for a, b in itertools.pairwise(lines))
    verified = placet.get("rita", f"requests/{request['id']}/audit/verify")
    assert verified["ok"]
    assert verified["first_bad_seq"] is None
    assert verified["head"] == verified["engine_head"] == [x for x in lines if x["kind"] != "notified"][-1]["hash"]


@pytest.mark.parametrize(
    ("amount", "department", "stages"),
    [("5000", "it", 1), (5000.01, "it", 2), (5001, "sales", 1), ("5001.00", "it", 2)],
)
def test_conditions_compare_money_exactly_in_every_form(
    placet: Placet, amount: Any, department: str, stages: int
) -> None:
    blueprint = deepcopy(BLUEPRINT) | {"name": placet.name()}
    blueprint["graph_spec"]["edges"][3]["condition"] = 'amount > 5000 && department == "it"'
    request = placet.start(placet.publish(blueprint), given={"amount": amount, "department": department})
    assert len(placet.decide("max", open_tasks(request)["max"])["tasks"]) == stages


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({}, "/input/amount"),
        ({"amount": "-1"}, "/input/amount"),
        ({"amount": "much"}, "/input/amount"),
        ({"amount": 1, "department": "hr"}, "/input/department"),
        ({"amount": 1, "colour": "red"}, "/input/colour"),
    ],
)
def test_input_that_does_not_fit_is_refused_by_its_place(
    placet: Placet, expense: str, given: Any, pointer: str
) -> None:
    assert pointers(placet.post("rita", "requests/", {"template": expense, "input": given}, expect=422)) == [pointer]


def test_bodies_that_are_none_too_long_or_about_nothing_are_refused(placet: Placet, expense: str) -> None:
    url = f"{placet.where['api']}/api/v1/workflow/requests/"
    headers = {"Authorization": f"Bearer {placet.tokens['rita']}", "Content-Type": "application/json"}
    for content, status in ((b"{", 422), (b"[]", 422), (b"", 422), (b'"' + b"x" * 3_000_000 + b'"', 413)):
        answer = placet.http.post(url, content=content, headers=headers)
        assert answer.status_code == status
        problem(answer)
    placet.post("rita", "requests/", {"template": expense, "inputs": {}}, expect=422)
    placet.post("rita", "requests/", {"template": "No such", "input": {}}, expect=422)
    for path in (
        "requests/nope",
        "requests/nope/timeline",
        "tasks/nope",
        "process-templates/nope/export",
        "people/nope",
    ):
        placet.get("ada", f"{path}/", expect=404)
    placet.decide("max", "nope", expect=404)
    assert problem(placet.send("rita", "GET", "nothing"))["status"] == 404
    assert problem(placet.send("rita", "DELETE", "workflow/requests/"))["status"] == 405


def test_an_idempotency_key_gets_one_answer_and_no_other_body(placet: Placet, expense: str) -> None:
    order = {"template": expense, "input": {"amount": 1}}
    first = placet.post("rita", "requests/", order, expect=201, key="one")
    assert placet.post("rita", "requests", dict(reversed(order.items())), expect=201, key="one") == first
    placet.post("rita", "requests/", order | {"title": "other"}, expect=422, key="one")
    assert placet.post("max", "requests/", order, expect=201, key="one")["id"] != first["id"]
    task = f"tasks/{open_tasks(first)['max']}/decide/"
    done = placet.post("max", task, {"decision": "approve"}, key="two")
    assert placet.post("max", task, {"decision": "approve"}, key="two") == done
    placet.post("max", task, {"decision": "reject"}, expect=422, key="two")
    placet.post("max", task, {"decision": "approve"}, expect=409, key="three")
    assert len(placet.timeline(first, "decided")) == 1


def test_only_an_admin_names_another_requester(placet: Placet, expense: str) -> None:
    order = {"template": expense, "input": {"amount": 1}, "requester": "user:rita"}
    placet.post("max", "requests/", order, expect=403)
    request = placet.post("ada", "requests/", order, expect=201)
    assert list(open_tasks(request)) == ["max"]
    assert request["id"] in [r["id"] for r in placet.get("rita", "requests/")["items"]]
    assert placet.timeline(request, "started")[0]["detail"]["requester"] == "user:rita"
    placet.post("ada", "requests/", order | {"requester": "user:ghost"}, expect=422)


def test_a_template_is_drafted_published_versioned_and_no_longer_changed(placet: Placet) -> None:
    first = placet.process(E2) | {"name": placet.name()}
    draft = placet.post("olivia", "process-templates", first, expect=201)
    assert draft.keys() >= {"id", "name", "version", "status"}
    placet.post("rita", "requests/", {"template": first["name"], "input": {}}, expect=422)
    placet.post("rita", f"process-templates/{draft['id']}/publish/", expect=403)
    placet.post("rita", "process-templates/", first, expect=403)
    placet.publish(first)
    exported = placet.get("rita", f"process-templates/{draft['id']}/export")
    assert exported == first
    assert placet.post("olivia", "process-templates/import_blueprint", exported, expect=201)["id"] == draft["id"]
    placet.post("olivia", "process-templates/import_blueprint/", exported | {"description": "Other."}, expect=409)
    before = placet.start(first["name"])
    placet.publish(first | {"version": "1.9.0", "description": "A."})
    placet.publish(first | {"version": "1.10.0", "description": "B."})
    placet.post("olivia", "process-templates/", first | {"version": "2.0.0"}, expect=201)
    assert placet.start(first["name"])["version"] == "1.10.0"
    assert placet.start(first["name"], version="1.9.0")["version"] == "1.9.0"
    assert placet.request(before)["version"] == "1.0.0"
    for version in ("2.0.0", "3.0.0"):
        placet.post("rita", "requests/", {"template": first["name"], "version": version}, expect=422)
    nameless = placet.post("olivia", "process-templates/", {"version": "1", "process_steps": []}, expect=422)
    assert {"/name", "/version"} <= set(pointers(nameless))


def test_people_are_kept_by_admins_and_what_was_read_can_be_sent_back(placet: Placet) -> None:
    away = {"from": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z", "substitute": "ann"}
    eve: dict[str, Any] = {
        "id": "eve",
        "name": "Eve",
        "email": "eve@example.com",
        "manager": "max",
        "groups": ["x"],
        "roles": ["clerk"],
    }
    eve |= {"access": ["approver"], "away": away}
    placet.post("rita", "people/", eve, expect=403)
    made = placet.post("ada", "people/", eve, expect=201)
    assert {k: v for k, v in made.items() if k in eve and k != "away"} == {k: v for k, v in eve.items() if k != "away"}
    assert utc(made["away"]["from"]) == utc(away["from"])
    assert made["away"]["substitute"] == "ann"
    placet.post("ada", "people/", eve, expect=409)
    read = placet.get("rita", "people/eve")
    changed = placet.put("ada", "people/eve/", read | {"away": None, "manager": "user:dana"})
    assert (changed["away"], changed["manager"], changed["roles"]) == (None, "dana", ["clerk"])
    placet.put("rita", "people/eve/", read, expect=403)
    assert pointers(placet.put("ada", "people/eve/", read | {"access": ["king"]}, expect=422)) == ["/access/0"]


def test_the_catalog_takes_actions_with_what_they_do(placet: Placet) -> None:
    action: dict[str, Any] = {
        "name": "post_ledger",
        "is_idempotent": True,
        "latency_class": "fast",
        "side_effects": ["ledger"],
    }
    action |= {"input_schema": {"type": "object"}, "output_schema": {"type": "object"}}
    made = placet.post("olivia", "action-catalog", action, expect=201)
    assert made == made | action
    assert made["statistics"]["count"] == 0
    assert made["id"] in [item["id"] for item in placet.get("rita", "action-catalog/")["items"]]
    placet.post("rita", "action-catalog/", action | {"name": "other"}, expect=403)
    placet.post("olivia", "action-catalog/", action, expect=409)
    wrong = action | {"name": "other", "latency_class": "sluggish"}
    assert pointers(placet.post("olivia", "action-catalog/", wrong, expect=422)) == ["/latency_class"]


def test_exploring_answers_completed_with_a_branch_for_each_route_and_result(placet: Placet, expense: str) -> None:
    order = {"mode": "explore", "template": expense, "input": {"amount": "7250", "department": "it"}}
    made = placet.post("olivia", "workflow-simulations", order | {"requester": "user:rita"}, expect=201)
    assert made["status"] == "completed"
    assert made.keys() >= W3 | {"id"}
    assert [branch["outcome"] for branch in made["branch_explorations"]].count("rejected") == 2
    assert len(made["branch_explorations"]) == 4
    assert [step["assignee"] for step in made["approval_chain"]] == ["user:max", "user:carla"]
    assert made["validation_errors"] == []
    assert placet.get("olivia", f"workflow-simulations/{made['id']}/") == made
    unknown = placet.post("olivia", "workflow-simulations/", {"mode": "guess", "blueprint": BLUEPRINT}, expect=422)
    assert pointers(unknown) == ["/mode"]


def test_metrics_are_there_at_0_from_the_start_and_rise(placet: Placet, expense: str) -> None:
    at_first = placet.first_metrics
    for name in COUNTERS:
        assert re.search(rf"^{name} 0(\.0)?$", at_first, re.MULTILINE), name
    for name in (*COUNTERS, *LABELLED):
        assert f"# TYPE {name} " in at_first, name
    assert re.search(r"^action_execution_total\{action_type=\S+ 0(\.0)?$", at_first, re.MULTILINE)
    placet.start(expense, given={"amount": 1})
    now = placet.send(None, "GET", "metrics/prometheus/").text
    (pending,) = re.findall(r"^workflow_pending_count (\S+)$", now, re.MULTILINE)
    assert float(pending) > 0
    answer = placet.send("rita", "GET", "metrics/workflow-escalations")
    assert {name: answer.json()[name] >= 0 for name in COUNTERS} == dict.fromkeys(COUNTERS, True)
    for path, checks in (("health/live", set()), ("health/ready", {"engine", "database", "worker"})):
        for slash in ("", "/"):
            health = placet.send(None, "GET", path + slash)
            assert (health.status_code, health.json()["status"]) == (200, "ok")
            assert health.json()["checks"].keys() >= checks


def test_what_an_action_mails_is_in_the_mailbox_of_an_installation_without_a_mail_server(placet: Placet) -> None:
    name = placet.name()
    letter = {"to": "rita@example.com", "subject": f"Welcome to {name}", "text": "Here you are."}
    nodes: dict[str, dict[str, Any]] = {"mail": {"type": "action", "action": "send_mail", "input": letter}}
    edges = ("start -> mail", "mail -> approved on done", "mail -> rejected on failed")
    process = {"name": name, "version": "1.0.0", "graph_spec": graph(*edges, nodes=nodes)}
    request = placet.start(placet.publish(process))
    poll(lambda: placet.request(request)["status"] != "pending", what="the end of the request")
    assert placet.request(request)["outcome"] == "approved"
    assert letter["subject"] in placet.http.get(placet.where["mailbox"]).text

"""The HTTP contract's command line and findings, beside a running installation; and deciding by signal."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.contract import BLUEPRINT, Placet, open_tasks
from tests.waiting import until


def edges(blueprint: dict[str, Any]) -> list[Any]:
    """Return the edges of a blueprint."""
    return list(blueprint["graph_spec"]["edges"])


def wrong(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the contract's blueprint with a change."""
    blueprint = deepcopy(BLUEPRINT)
    change(blueprint)
    return blueprint


FINDINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("schema", wrong(lambda b: b.update(colour="red"))),
    ("version", wrong(lambda b: b.update(version="1.0"))),
    ("types", wrong(lambda b: edges(b)[3].update(condition='amount > "5000"'))),
    ("syntax", wrong(lambda b: edges(b)[3].update(condition="amount >"))),
    ("dangling_id", wrong(lambda b: edges(b)[3].update(to="nowhere"))),
    ("dangling_id", wrong(lambda b: b["graph_spec"]["nodes"][1].update(step="No such"))),
    ("duplicate_id", wrong(lambda b: b["graph_spec"]["nodes"][3].update(id="manager"))),
    ("missing_trigger", wrong(lambda b: (b["graph_spec"]["nodes"].pop(0), b["graph_spec"]["edges"].pop(0)))),
    ("unreachable_node", wrong(lambda b: b["graph_spec"]["nodes"].append(
        {"id": "island", "type": "terminator", "outcome": "approved"}))),
    ("dead_branch", wrong(lambda b: edges(b)[3].update(condition="amount < 0"))),
    ("gap", wrong(lambda b: (edges(b)[4].pop("default"), edges(b)[4].update(condition="amount < 5000")))),
    ("overlap", wrong(lambda b: (edges(b)[4].pop("default"), edges(b)[4].update(condition="amount < 9000")))),
    ("unbounded_loop", wrong(lambda b: edges(b)[2].update(to="manager"))),
    ("impossible_quorum", wrong(lambda b: b["process_steps"][1].update(
        approvers=["user:max"], quorum={"at_least": 2}))),
    ("empty_approvers", wrong(lambda b: b["process_steps"][1].update(approvers=[]))),
    ("escalation_to_oneself", wrong(lambda b: b["process_steps"][1].update(
        approvers=["user:max"], escalation_to="user:max", escalation_enabled=True))),
)  # fmt: skip


@pytest.mark.parametrize(("code", "blueprint"), FINDINGS)
def test_what_is_wrong_with_a_blueprint_is_found_at_its_place(
    placet: Placet, code: str, blueprint: dict[str, Any]
) -> None:
    found = placet.post("rita", "process-templates/check", blueprint)
    assert found["ok"] is False
    assert all(f.keys() >= {"code", "severity", "pointer", "message", "witness"} for f in found["findings"])
    errors = [finding for finding in found["findings"] if finding["severity"] == "error"]
    assert code in [finding["code"] for finding in errors]
    assert all(finding["pointer"] == "" or finding["pointer"].startswith("/") for finding in errors)
    if code in {"gap", "overlap"}:
        assert next(finding for finding in errors if finding["code"] == code)["witness"]["amount"]


def test_the_contracts_own_blueprint_is_sound(placet: Placet) -> None:
    found = placet.post("rita", "process-templates/check/", BLUEPRINT)
    assert found["ok"] is True
    assert {finding["severity"] for finding in found["findings"]} <= {"warning"}
    assert "unused_variable" in [finding["code"] for finding in found["findings"]]


def test_the_command_line_says_what_the_contract_says(placet: Placet, tmp_path: Path) -> None:
    place = placet.place
    good, bad, people = (tmp_path / f"{name}.json" for name in ("good", "bad", "people"))
    good.write_text(json.dumps(BLUEPRINT))
    bad.write_text(json.dumps(FINDINGS[0][1]))
    people.write_text(json.dumps([{"id": "pia", "name": "Pia", "email": "pia@example.com", "manager": "max"}]))

    place.run("people", "load", people)
    printed = place.run("token", "pia")
    assert len(printed.splitlines()) == 1
    assert "pia" in placet.get("ada", "people/pia/")["id"]
    placet.tokens["pia"] = printed.strip()
    assert placet.get("pia", "requests/")["items"] == []

    place.run("check", good)
    (line,) = place.run("check", good, bad, "--json", expect=1).splitlines()
    assert json.loads(line)["ok"] is False
    explore = ("simulate", good, "--mode", "explore", "--input", '{"amount": "9000"}', "--json")
    (line,) = place.run(*explore).splitlines()
    assert len(json.loads(line)["branch_explorations"]) == 4
    assert place.run("doctor")
    request = placet.ask({})
    (line,) = place.run("verify", request["id"], "--json").splitlines()
    verified = json.loads(line)
    assert verified["ok"]
    assert [one["id"] for one in verified["requests"]] == [request["id"]]


def test_openapi_describes_every_path_of_the_contract(placet: Placet) -> None:
    paths = json.loads(placet.place.run("openapi"))["paths"].keys()
    for path in (
        "process-templates/import_blueprint/", "process-templates/check/", "requests/{request_id}/audit/verify/",
        "requests/{request_id}/extend/", "tasks/{task_id}/decide/", "tasks/decide/", "action-catalog/",
        "workflow-simulations/{simulation_id}/", "people/{person_id}/",
    ):  # fmt: skip
        assert f"/api/v1/workflow/{path}" in paths


async def test_a_signal_decides_with_a_token_of_its_person_and_not_without(placet: Placet) -> None:
    request = placet.ask({})
    task = open_tasks(request)["max"]
    token = placet.post("max", f"tasks/{task}/token/")["token"]
    engine = await Client.connect(placet.where["temporal"], namespace=placet.where["namespace"])
    handle = engine.get_workflow_handle(request["id"])
    await handle.signal("decide", {"token": "forged", "task_id": task, "decision": "approve"})
    await handle.signal("decide", {"token": token, "task_id": task, "decision": "reject", "comment": "No."})

    async def ended() -> bool:
        return bool(placet.request(request)["status"] == "completed")

    assert await until(ended)
    assert placet.request(request)["outcome"] == "rejected"
    assert placet.timeline(request, "decided")[0]["actor"] == "user:max"
    assert len(placet.timeline(request, "signal_refused")) == 1

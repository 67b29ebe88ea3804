"""Receipts over HTTP: of decisions that stand, for whoever may see them, and verified by the command line offline."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.commands.people import load
from cli.main import app
from placet.audit.receipts import fault_of
from service.receipts import rotate
from storage.database import Database
from storage.retention.erasure import erase_content
from tests.api_desk import ApiDesk
from tests.approvals import EXPENSE, SECRET
from tests.integration.test_api_living_directory import ALWAYS, ask, put, timeline
from tests.pages import browser_of
from tests.unit.test_receipts import BODY
from tests.waiting import until
from worker.settings import Settings


async def test_a_decision_has_a_receipt_that_is_verified_without_network_and_database(
    desk: ApiDesk, tmp_path: Path
) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    path = f"/workflow/decisions/{task['id']}/receipt/"
    assert (await desk.get(path, as_="bob")).status_code == 409, "nobody has decided yet"
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve", "comment": "well"}, as_="bob")
    answer = await desk.get(path, as_="bob")
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert fault_of(receipt) is None
    assert receipt["format"] == 1
    assert receipt["inclusion"] is None
    body = receipt["body"]
    assert body.keys() == BODY.keys(), "each of its fields is among those that a test alters one at a time"
    (entry,) = await timeline(desk, request, "decided")
    assert (body["seq"], body["entry_hash"], body["decided_at"]) == (entry["seq"], entry["hash"], entry["at"])
    assert (body["decision"], body["comment"], body["decided_by"]) == ("approve", "well", "user:bob")
    assert (body["revision"], body["content_digest"]) == (1, request["content_digest"])
    assert (body["template"], body["version"], body["via"]) == (request["template"], "1.0.0", "api")
    listed = (await desk.get("/workflow/receipt-keys/", as_="ann")).json()["items"]
    assert [(one["key_id"], one["public_key"]) for one in listed] == [(receipt["key_id"], receipt["public_key"])]
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    said = CliRunner().invoke(app, ["verify", "--receipt", str(file), "--key", receipt["key_id"], "--json"])
    assert (said.exit_code, json.loads(said.stdout)["ok"]) == (0, True), said.output
    file.write_text(json.dumps({**receipt, "body": {**body, "decision": "reject"}}))
    said = CliRunner().invoke(app, ["verify", "--receipt", str(file), "--json"])
    assert (said.exit_code, json.loads(said.stdout)["ok"]) == (1, False)
    page = (await (await browser_of(desk, "bob")).get(f"/tasks/{task['id']}/receipt")).text
    assert receipt["signature"].replace("+", "&#43;") in page or receipt["signature"] in page
    assert {body[name] for name in ("content_digest", "blueprint_digest", "certificate_digest", "entry_hash")} <= set(
        re.findall(r"<code>(\w{64})</code>", page)
    )


async def test_a_decision_that_can_be_undone_has_no_receipt_yet(desk: ApiDesk) -> None:
    steps = [{**EXPENSE["process_steps"][0], "undo_seconds": 600}]
    request = await desk.start(await desk.publish(EXPENSE, process_steps=steps), amount="10")
    (task,) = request["tasks"]
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    answer = await desk.get(f"/workflow/decisions/{task['id']}/receipt/", as_="bob")
    assert (answer.status_code, "undone" in answer.json()["detail"]) == (409, True)


async def test_a_receipt_is_seen_by_whoever_may_see_the_request(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    path = f"/workflow/decisions/{task['id']}/receipt/"
    found = {person: (await desk.get(path, as_=person)).status_code for person in ("ann", "bob", "audrey", "zoe")}
    assert found == {"ann": 200, "bob": 200, "audrey": 200, "zoe": 404}


async def test_old_receipts_hold_after_the_key_was_rotated_and_new_ones_are_signed_with_the_new_key(
    desk: ApiDesk, database: Database
) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    path = f"/workflow/decisions/{task['id']}/receipt/"
    old = (await desk.get(path, as_="bob")).json()
    fresh = await rotate(database, SECRET, datetime.now(UTC))
    new = (await desk.get(path, as_="bob")).json()
    assert (new["key_id"], new["body"]) == (fresh.id, old["body"])
    assert old["key_id"] != fresh.id
    assert [fault_of(old), fault_of(new)] == [None, None]
    listed = {one["key_id"]: one["public_key"] for one in (await desk.get("/workflow/receipt-keys/")).json()["items"]}
    assert {old["key_id"], new["key_id"]} == listed.keys()
    assert [listed[one["key_id"]] for one in (old, new)] == [old["public_key"], new["public_key"]]


async def test_a_receipt_says_by_which_path_its_task_came_to_whoever_decided(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    handed = await desk.post(
        f"/workflow/tasks/{task['id']}/delegate/", {"to": "user:dora", "reason": "Away."}, as_="bob"
    )
    assert handed.status_code == 200, handed.text
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="dora")
    body = (await desk.get(f"/workflow/decisions/{task['id']}/receipt/", as_="dora")).json()["body"]
    entries = (await desk.get(f"/workflow/requests/{request['id']}/timeline/", as_="dora")).json()["items"]
    hashes = {(one["seq"], one["kind"]): one["hash"] for one in entries}
    assert [step["kind"] for step in body["path"]] == ["task_opened", "delegated"]
    assert all(hashes[step["seq"], step["kind"]] == step["entry_hash"] for step in body["path"])
    assert (body["decided_by"], body["assigned_via"]) == ("user:dora", "delegation:bob")
    page = (await (await browser_of(desk, "dora")).get(f"/tasks/{task['id']}/receipt")).text
    assert re.search(r"\(assigned \S+ delegated\)", page)


async def test_a_receipt_says_for_whom_a_substitute_decided_whenever_the_task_was_opened(desk: ApiDesk) -> None:
    before = await ask(desk, {})
    await put(desk, "bob", away=ALWAYS | {"substitute": "zoe"})
    during = await ask(desk, {})
    for request, via in ((before, "manager_of(requester)"), (during, "substitution:bob")):
        (task,) = request["tasks"]
        done = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="zoe")
        assert done.status_code == 200, done.text
        body = (await desk.get(f"/workflow/decisions/{task['id']}/receipt/", as_="zoe")).json()["body"]
        assert (body["decided_by"], body["on_behalf_of"], body["assigned_via"]) == ("user:zoe", "user:bob", via)
        assert [step["kind"] for step in body["path"]] == ["task_opened"]
        page = (await (await browser_of(desk, "zoe")).get(f"/tasks/{task['id']}/receipt")).text
        assert "On behalf of" in page


async def test_a_receipt_says_that_its_task_had_escalated(desk: ApiDesk) -> None:
    request = await ask(desk, {"sla_hours": 0.0001, "escalation": [{"to": "user:carl"}]})
    (task,) = request["tasks"]

    async def risen() -> bool:
        return bool(await timeline(desk, request, "escalated"))

    await until(risen)
    done = await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="carl")
    assert done.status_code == 200, done.text
    body = (await desk.get(f"/workflow/decisions/{task['id']}/receipt/", as_="carl")).json()["body"]
    (entry,) = await timeline(desk, request, "escalated")
    assert body["path"][1:] == [{"seq": entry["seq"], "kind": "escalated", "entry_hash": entry["hash"]}]
    assert (body["path"][0]["kind"], body["decided_by"]) == ("task_opened", "user:carl")
    assert body["assigned_via"].startswith("escalation")
    page = (await (await browser_of(desk, "carl")).get(f"/tasks/{task['id']}/receipt")).text
    assert re.search(r"\(assigned \S+ escalated\)", page)


async def test_a_decision_whose_content_was_erased_still_has_a_receipt(desk: ApiDesk, database: Database) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "reject", "comment": "Too much."}, as_="bob")
    await database.write(erase_content, request["id"], datetime.now(UTC))
    answer = await desk.get(f"/workflow/decisions/{task['id']}/receipt/", as_="bob")
    assert answer.status_code == 200, answer.text
    body = answer.json()["body"]
    assert (body["comment"], body["content_digest"], body["decision"]) == (None, None, "reject")


def test_the_command_rotates_the_key_and_lists_which_one_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    asyncio.run(load(Settings(home=tmp_path), Path("blueprints/people.json")))
    first = json.loads(CliRunner().invoke(app, ["keys", "list", "--json"]).stdout)
    fresh = json.loads(CliRunner().invoke(app, ["keys", "rotate", "--json"]).stdout)
    both = json.loads(CliRunner().invoke(app, ["keys", "list", "--json"]).stdout)
    assert [one["signs"] for one in first] == [True]
    assert [(one["key_id"], one["signs"]) for one in both] == [
        (first[0]["key_id"], False),
        (fresh["key_id"], True),
    ]

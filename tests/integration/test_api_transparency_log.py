"""The transparency log over HTTP, and the commands that verify what somebody has kept of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.main import app
from docs.verify_inclusion import fault_of_inclusion
from placet.audit.receipts import ReceiptKey, fault_of
from placet.transparency.checkpoints import read_signed
from placet.transparency.notes import VerifierKey
from placet.transparency.tree import continues, includes
from service.transparency.attesting import attest
from service.transparency.growth import grow
from service.transparency.settings import AttesterSettings, Authority, witnesses_of
from storage.database import Database
from tests.api_desk import ApiDesk
from tests.approvals import EXPENSE, SECRET
from tests.attesters import LocalAuthority, LocalWitness, serving
from tests.integration.test_transparency_log import forced
from tests.pages import browser_of
from tests.stored import writing


async def decided(desk: ApiDesk) -> str:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    (task,) = request["tasks"]
    await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
    return f"/workflow/decisions/{task['id']}/receipt/"


async def grown(database: Database) -> None:
    await grow(database, SECRET, datetime.now(UTC), settled=timedelta())


async def said(*arguments: str) -> tuple[int, dict[str, Any]]:
    answer = await asyncio.to_thread(CliRunner().invoke, app, ["verify", *arguments, "--json"])
    return answer.exit_code, json.loads(answer.stdout or "{}")


async def test_a_receipt_says_where_the_log_has_its_decision_and_is_verified_against_a_log_that_was_rewritten(
    desk: ApiDesk, database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = await desk.get("/log/checkpoint", as_="rex")
    assert (none.status_code, "no checkpoint yet" in none.json()["detail"]) == (404, True)
    path = await decided(desk)
    assert (await desk.get(path, as_="bob")).json()["inclusion"] is None
    await grown(database)
    receipt = (await desk.get(path, as_="bob")).json()
    assert (fault_of(receipt), fault_of_inclusion(receipt, receipt["key_id"])) == (None, None)
    note = await desk.get("/log/checkpoint", as_="rex")
    assert note.headers["content-type"].startswith("text/plain")
    assert note.text == receipt["inclusion"]["checkpoint"]
    page = (await (await browser_of(desk, "bob")).get(f"/tasks/{receipt['body']['task_id']}/receipt")).text
    assert "Leaf in the log" in page

    file, kept = tmp_path / "receipt.json", tmp_path / "checkpoint.txt"
    file.write_text(json.dumps(receipt))
    kept.write_text(note.text)
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    monkeypatch.setenv("PLACET_DATABASE_URL", database_url)
    assert (await said("--receipt", str(file), "--key", receipt["key_id"]))[0] == 0
    assert (await said("--receipt", str(file), "--key", "0" * 32))[0] == 1
    for against in (["--checkpoint", str(kept)], ["--receipt", str(file)], []):
        code, found = await said("--log", *against)
        assert (code, found["ok"], found["faults"]) == (0, True, []), found
    assert CliRunner().invoke(app, ["verify", "--checkpoint", str(kept)]).exit_code == 2, "--log is missing"
    changed = {**receipt, "inclusion": {**receipt["inclusion"], "index": receipt["inclusion"]["index"] + 1}}
    file.with_name("changed.json").write_text(json.dumps(changed))
    assert (await said("--receipt", str(file.with_name("changed.json"))))[0] == 1
    with writing(database) as session:
        forced(session.connection())
        session.execute(text("DELETE FROM log_checkpoint"))
        session.execute(text("DELETE FROM log_node"))
        session.execute(text("DELETE FROM log_entry WHERE leaf_index > 0"))
    code, found = await said("--log", "--checkpoint", str(kept))
    assert (code, found["ok"]) == (1, False)
    assert any("checkpoint.txt is over" in fault for fault in found["faults"]), found


async def test_proofs_lead_from_one_checkpoint_to_the_next_and_from_every_leaf_to_its_root(
    desk: ApiDesk, database: Database
) -> None:
    public = ReceiptKey(SECRET).public
    kept = []
    for _ in range(3):
        await decided(desk)
        await grown(database)
        kept.append(read_signed((await desk.get("/log/checkpoint")).text, public))
    new = kept[-1]
    for old in kept:
        proof = (await desk.get(f"/log/consistency-proof?first={old.size}", as_="audrey")).json()
        assert (proof["second"], proof["second_root"], proof["first_root"]) == (
            new.size,
            new.root.hex(),
            old.root.hex(),
        )
        hashes = [bytes.fromhex(one) for one in proof["hashes"]]
        assert continues(old.root, old.size, new.root, new.size, hashes)
    listed: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = (await desk.get(f"/log/entries?limit=4{cursor}", as_="audrey")).json()
        listed += page["items"]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert [one["index"] for one in listed] == list(range(new.size))
    for one in listed:
        proof = (await desk.get(f"/log/inclusion-proof?index={one['index']}", as_="adam")).json()
        assert (proof["leaf"], proof["leaf_hash"]) == (one["leaf"], one["hash"])
        hashes = [bytes.fromhex(value) for value in proof["hashes"]]
        assert includes(new.root, new.size, bytes.fromhex(one["hash"]), one["index"], hashes)
    for path, status in (
        (f"/log/inclusion-proof?index={new.size}", 404),
        (f"/log/inclusion-proof?index=0&tree_size={new.size + 1}", 422),
        ("/log/inclusion-proof?index=0&tree_size=0", 404),
        ("/log/inclusion-proof?index=-1", 422),
        (f"/log/consistency-proof?first={2**53 - 1}", 422),
        ("/log/consistency-proof?first=2&second=1", 422),
        ("/log/consistency-proof", 422),
    ):
        answer = await desk.get(path, as_="adam")
        assert answer.status_code == status, (path, answer.text)


async def test_leaves_and_proofs_are_for_those_who_audit_and_checkpoints_for_everybody(desk: ApiDesk) -> None:
    for path in ("/log/entries", "/log/inclusion-proof?index=0", "/log/consistency-proof?first=0"):
        found = {person: (await desk.get(path, as_=person)).status_code for person in ("rex", "ava", "desi", "adam")}
        assert set(found.values()) - {found["adam"]} == {403}, found
        assert found["adam"] in {200, 404}


async def test_what_others_have_signed_is_in_receipts_on_the_page_and_verified_offline(
    desk: ApiDesk, database: Database, tmp_path: Path
) -> None:
    key = ReceiptKey(SECRET)
    log_key = VerifierKey(name=f"placet/{key.id}", public=key.public)
    witness = LocalWitness(logs={log_key.name: key.public})
    authority = LocalAuthority(tmp_path / "authority")
    auditor = await browser_of(desk, "audrey")
    assert (await (await browser_of(desk, "bob")).get("/log")).status_code == 403
    assert "There is no checkpoint yet" in (await auditor.get("/log")).text
    assert (await desk.get("/log/timestamp", as_="rex")).status_code == 404
    path = await decided(desk)
    await grown(database)
    page = (await auditor.get("/log")).text
    assert "Nobody: whoever keeps no checkpoint" in page
    async with serving(witness.answer) as witness.url, serving(authority.answer) as url:
        authority.url = f"{url}/tsr"
        settings = AttesterSettings(
            witnesses=witnesses_of(f"{witness.setting}, http://127.0.0.1:9 {LocalWitness(name='away.example').key}"),
            authority=Authority(
                url=authority.url, certificates=authority.certificates.read_bytes(), every=timedelta(hours=1)
            ),
        )
        await attest(database, settings, lambda: datetime.now(UTC))
    dated = (await desk.get("/log/checkpoint", as_="rex")).text
    size = int(dated.split("\n")[1])
    await decided(desk)
    await grown(database)  # nobody has signed the newest one yet
    page = (await auditor.get("/log")).text
    assert all(one in page for one in (witness.name, authority.url, "away.example", "cannot be reached", str(log_key)))
    assert all(one in page for one in ("Signed an older one", "Has not signed", f"timestamp-{size}.tsr"))
    receipt = (await desk.get(path, as_="bob")).json()
    assert receipt["inclusion"]["checkpoint"] == dated, "the newest that is dated, with the line of the witness"
    stamp = await desk.get(f"/log/timestamp?tree_size={size}", as_="rex")
    assert (stamp.status_code, stamp.headers["content-type"]) == (200, "application/timestamp-reply")
    assert (await desk.get(f"/log/timestamp?tree_size={size + 1}", as_="rex")).status_code == 404

    files = {name: tmp_path / name for name in ("receipt.json", "checkpoint.txt", "stamp.tsr")}
    files["receipt.json"].write_text(json.dumps(receipt))
    files["checkpoint.txt"].write_text(dated)
    files["stamp.tsr"].write_bytes(stamp.content)
    trusted = ["--timestamp", str(files["stamp.tsr"]), "--timestamp-certificates", str(authority.certificates)]
    kept = ["--checkpoint", str(files["checkpoint.txt"])]
    code, found = await said(*kept, "--log-key", str(log_key), "--witness", witness.key, *trusted)
    assert (code, found["tree_size"], list(found["cosigned"]), found["authority"]) == (
        0,
        size,
        [witness.name],
        "CN=Time of the tests",
    )
    code, found = await said("--receipt", str(files["receipt.json"]), "--witness", witness.key, *trusted)
    assert (code, list(found["checkpoint"]["cosigned"])) == (0, [witness.name])
    stranger = LocalWitness(name="w2")
    other = LocalAuthority(tmp_path / "other")
    for wrong, why in (
        ([*kept, "--witness", stranger.key], "w2 has not cosigned it"),
        ([*kept, "--log-key", str(VerifierKey(name=log_key.name, public=bytes(32)))], "not signed with the key"),
        ([*kept, *trusted[:3], str(other.certificates)], "no trusted certificate leads"),
        (["--receipt", str(files["receipt.json"]), "--witness", stranger.key], "w2 has not cosigned it"),
    ):
        code, found = await said(*wrong)
        assert (code, why in found["why"]) == (1, True), found
    for misused in (kept, [*kept, *trusted[:2]], ["--witness", witness.key], [*kept, "--witness", "nonsense"]):
        assert (await said(*misused))[0] == 2, misused
    text = await asyncio.to_thread(CliRunner().invoke, app, ["verify", *kept, "--log-key", str(log_key), *trusted])
    assert "It is signed with the key of the log." in text.output
    assert "CN=Time of the tests has dated it" in text.output.replace("\n", " ")

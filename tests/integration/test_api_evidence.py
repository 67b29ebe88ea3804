"""Evidence packs over HTTP: what is in them, who gets them, and that altered ones are refused."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import rfc8785
from sqlalchemy import Connection, and_, delete, update
from sqlmodel import col
from temporalio.client import Client
from typer.testing import CliRunner

from cli.main import app
from placet.audit.chain import canonical_json, link, moment
from placet.audit.receipts import ReceiptKey
from placet.transparency.checkpoints import Checkpoint
from placet.transparency.notes import Note
from service.evidence import archive
from service.evidence.archive import MANIFEST
from service.receipts import rotate
from service.transparency.growth import grow
from storage.database import Database
from storage.recording.outbox import delivery_genesis
from storage.retention.erasure import erase_content
from storage.tables.approvals import AuditEntry, Delivery
from storage.tables.evidence import EvidencePack
from tests.api_desk import ApiDesk, context_of, working_desk
from tests.approvals import EXPENSE, SECRET
from tests.evidence import faulty, members_of, packed, signed_again, verdict_of
from tests.integration.test_api_attachments import PDF, upload
from tests.stored import writing

PERIOD = {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
PACKS = "/workflow/evidence-packs/"


@pytest_asyncio.fixture
async def desk(database: Database, client: Client, tmp_path: Path) -> AsyncIterator[ApiDesk]:
    async with working_desk(database, client, attachments=str(tmp_path / "files")) as opened:
        yield opened


async def history(desk: ApiDesk, count: int = 3) -> tuple[str, list[str]]:
    """Have requests approved, rejected, and attached to; return their process and their ids."""
    name = await desk.publish(EXPENSE)
    ids = []
    for number in range(count):
        request = await desk.start(name, amount=str(10 + number))
        if number == 0:
            assert (await upload(desk, request)).status_code == 201
        (task,) = request["tasks"]
        decision = {"decision": "reject", "comment": "No."} if number == 1 else {"decision": "approve"}
        answer = await desk.post(f"/workflow/tasks/{task['id']}/decide/", decision, as_="bob")
        assert answer.status_code == 200, answer.text
        ids.append(request["id"])
    return name, ids


async def order(desk: ApiDesk, process: str, *, as_: str = "audrey", **changes: Any) -> dict[str, Any]:
    """Order a pack, and return it once it has ended."""
    given = {"process": process, **PERIOD, "sample": 2, "seed": "s", **changes}
    answer = await desk.post(PACKS, given, as_=as_)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "running"
    await context_of(desk).evidence.ended(answer.json()["id"])
    return dict((await desk.get(f"{PACKS}{answer.json()['id']}/", as_=as_)).json())


async def file_of(desk: ApiDesk, pack: dict[str, Any], *, as_: str = "audrey") -> bytes:
    answer = await desk.get(f"{PACKS}{pack['id']}/file/", as_=as_)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].startswith('attachment; filename="evidence-Expense-approval-')
    return answer.content


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def drawn(seed: str, size: int, ids: list[str]) -> list[str]:
    return sorted(ids, key=lambda one: sha256(f"{seed}\n{one}".encode()).hexdigest())[:size]


async def test_a_pack_has_the_population_the_sample_and_all_that_proves_it(desk: ApiDesk, tmp_path: Path) -> None:
    name, ids = await history(desk, 4)
    await desk.start(name, amount="99")  # nobody has decided it: it is not of the period
    other, _ = await history(desk, 1)
    pack = await order(desk, name, files=True, sample=3)
    assert (pack["status"], pack["population"], pack["sampled"], pack["error"]) == ("ready", 4, 3, None)
    assert (pack["from"], pack["until"]) == ("2020-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z")
    content = await file_of(desk, pack)
    assert (len(content), sha256(content).hexdigest()) == (pack["size"], pack["sha256"])
    members = members_of(content)
    population = lines(members["population.ndjson"])
    assert [one["request_id"] for one in population] == sorted(ids)
    assert sorted(one["outcome"] for one in population) == ["approved", "approved", "approved", "rejected"]
    sample = json.loads(members["sample.json"])["requests"]
    assert [one["request_id"] for one in sample] == drawn("s", 3, ids)
    body = json.loads(members[MANIFEST])["body"]
    assert body["population"]["by_outcome"] == {"approved": 3, "rejected": 1}
    assert (body["made_by"], body["process"]) == ("user:audrey", name)
    for one in sample:
        folder = one["folder"]
        timeline = (await desk.get(f"/workflow/requests/{one['request_id']}/timeline/", as_="audrey")).json()["items"]
        chain = [line["hash"] for line in lines(members[f"{folder}/chain.ndjson"])]
        assert chain == [
            entry["hash"] for entry in timeline if entry["kind"] not in {"notified", "notification_failed"}
        ]
        (receipt,) = lines(members[f"{folder}/receipts.ndjson"])
        issued = await desk.get(f"/workflow/decisions/{receipt['body']['task_id']}/receipt/", as_="audrey")
        assert receipt == issued.json()
    verdict = verdict_of(content, pack["key_id"])
    assert verdict.faults == ()
    file = tmp_path / "pack.zip"
    file.write_bytes(content)
    said = CliRunner().invoke(app, ["verify", "--evidence", str(file), "--key", pack["key_id"]])
    assert said.exit_code == 0, said.output
    assert "The evidence holds" in said.output
    said = CliRunner().invoke(app, ["verify", "--evidence", str(file), "--key", "another", "--json"])
    assert (said.exit_code, json.loads(said.stdout)["faults"][0]["member"]) == (1, MANIFEST)
    assert other != name


def delivered(session: Any, task: dict[str, Any]) -> None:
    """Record that two people were sent a notice of a task; the server has answered about the second one."""
    previous, answer = delivery_genesis(task["request_id"]), {"why": "550 <carl@example.com> is no mailbox of ours"}
    for seq, (person, kind, more) in enumerate([("bob", "notified", {}), ("carl", "notification_failed", answer)], 1):
        sent = link(
            previous,
            seq=seq,
            at=datetime.now(UTC),
            kind=kind,
            actor="system",
            stage=task["stage"],
            task_id=task["id"],
            detail={"event": "task_opened", "attempts": 1, "to": f"user:{person}", "channel": "smtp", **more},
            salts={f"/{name}": "0" * 32 for name in more},
        )
        previous = sent.hash
        written = {name: getattr(sent, name) for name in ("seq", "at", "kind", "stage", "task_id", "hash")}
        detail, salts = canonical_json(sent.detail).decode(), canonical_json(sent.salts).decode()
        request_id = task["request_id"]
        session.add(Delivery(request_id=request_id, outbox_key="k", detail=detail, salts=salts, **written))


async def test_a_pack_says_who_was_sent_which_notice_and_when(desk: ApiDesk, database: Database) -> None:
    name, ids = await history(desk, 2)
    asked = [(await desk.get(f"/workflow/requests/{one}/", as_="adam")).json()["tasks"] for one in ids]
    with writing(database) as session:
        for (task,) in asked:
            delivered(session, task)
    content = await file_of(desk, await order(desk, name, sample=2))
    members, key = members_of(content), ReceiptKey(SECRET)
    assert json.loads(members[MANIFEST])["body"]["deliveries"] == {"sent": 2, "failed": 2}
    deliveries = "requests/0001/deliveries.ndjson"
    first, second = lines(members[deliveries])
    assert (first["kind"], first["detail"]["to"], first["detail"]["channel"]) == ("notified", "user:bob", "smtp")
    assert (second["kind"], set(second["detail"]["why"])) == ("notification_failed", {"sealed"})
    assert b"example.com" not in content, "what servers answer names addresses"
    assert faulty(content) == []

    def edited(change: Callable[[list[dict[str, Any]]], Any]) -> list[str | None]:
        rows = lines(members[deliveries])
        change(rows)
        written = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        return faulty(signed_again({**members, deliveries: written}, key))

    assert edited(lambda rows: rows[0]["detail"].update(to="user:zoe")) == [deliveries]
    assert edited(lambda rows: rows[1].update(kind="notified")) == [deliveries, MANIFEST]
    assert edited(lambda rows: rows.pop(0)) == [deliveries, MANIFEST]
    assert edited(lambda rows: rows.pop()) == [MANIFEST], "a chain that is shorter is not what the manifest counts"
    assert edited(lambda rows: rows[0].update(more=1)) == [deliveries]
    other = {**members, deliveries: members["requests/0002/deliveries.ndjson"]}
    assert faulty(signed_again(other, key)) == [deliveries], "the notices of another request"


@pytest.mark.parametrize(("written_as", "later"), [(1, "requests/0001/deliveries.ndjson"), (2, "log.json")])
def test_a_pack_of_an_earlier_format_still_holds(written_as: int, later: str) -> None:
    content = (Path(__file__).parents[1] / "data" / f"evidence-in-format-{written_as}.zip").read_bytes()
    members = members_of(content)
    assert json.loads(members[MANIFEST])["format"] == written_as
    assert faulty(content) == []
    assert faulty(packed({**members, later: b""})) == [later]
    newer = json.loads(members[MANIFEST]) | {"format": 4}
    (fault,) = verdict_of(packed({**members, MANIFEST: rfc8785.dumps(newer)})).faults
    assert "reads the formats 1 to 3" in fault.message


async def test_a_pack_says_where_the_log_has_each_decision_and_which_it_does_not_have_yet(
    desk: ApiDesk, database: Database
) -> None:
    name, _ = await history(desk, 2)
    none = members_of(await file_of(desk, await order(desk, name)))
    assert json.loads(none["log.json"])["checkpoint"] is None
    await grow(database, SECRET, datetime.now(UTC), settled=timedelta())
    (late,) = (await desk.start(name, amount="30"))["tasks"]
    await desk.post(f"/workflow/tasks/{late['id']}/decide/", {"decision": "approve"}, as_="bob")
    content = await file_of(desk, await order(desk, name, sample=3))
    members, key = members_of(content), ReceiptKey(SECRET)
    receipts = {
        member: receipt
        for member, text in members.items()
        if member.endswith("receipts.ndjson")
        for receipt in lines(text)
    }
    (pending,) = (one["body"] for one in receipts.values() if one["inclusion"] is None)
    stated = json.loads(members["log.json"])
    expected = datetime.fromisoformat(pending["decided_at"]) + timedelta(minutes=10)
    assert stated["pending"] == [
        {
            "request_id": late["request_id"],
            "task_id": late["id"],
            "seq": pending["seq"],
            "expected_by": moment(expected),
        }
    ]
    included = [one["inclusion"] for one in receipts.values() if one["inclusion"] is not None]
    assert {one["checkpoint"] for one in included} == {stated["checkpoint"]}
    assert json.loads(members[MANIFEST])["body"]["log"] == {"included": 2, "pending": 1}
    assert faulty(content) == []

    def altered(log: dict[str, Any], member: str | None = None, **receipt: Any) -> list[str | None]:
        changed = {**members, "log.json": json.dumps({**stated, **log}).encode()}
        if member is not None:
            changed[member] = json.dumps({**receipts[member], **receipt}).encode() + b"\n"
        return faulty(signed_again(changed, key))

    logged = next(member for member, one in receipts.items() if one["inclusion"] is not None)
    assert altered({}) == []
    assert "log.json" in altered({"pending": []})
    assert altered({"checkpoint": None}) == ["log.json"]
    assert altered({"checkpoint": stated["checkpoint"].replace("\n", "x\n", 1)}) == ["log.json"]
    assert altered({"public_key": b64encode(ReceiptKey("another").public).decode()}) == ["log.json"]
    assert altered({}, logged, inclusion=None) == ["log.json"]
    proof = receipts[logged]["inclusion"]
    assert altered({}, logged, inclusion={**proof, "index": proof["index"] + 1})[0] == logged
    other = ReceiptKey("another")
    forged = Checkpoint.read(Note.read(proof["checkpoint"]).text)
    by_another = {
        **proof,
        "checkpoint": other.sign_checkpoint(forged),
        "public_key": b64encode(other.public).decode(),
    }
    assert altered({}, logged, inclusion=by_another) == ["log.json"], "a log of somebody else"


async def test_an_escalation_to_the_process_owner_and_what_the_owner_does_are_told_as_theirs(desk: ApiDesk) -> None:
    name, _ = await history(desk, 1)
    request = await desk.start(name, amount="3")
    (task,) = request["tasks"]
    body = {"to": "user:dora", "reason": "He is away."}
    assert (await desk.post(f"/workflow/tasks/{task['id']}/reassign/", body, as_="olivia")).status_code == 200
    assert (await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="dora")).is_success
    content = await file_of(desk, await order(desk, name, sample=2))
    assert faulty(content) == []
    members = members_of(content)
    assert {one["owner"] for one in lines(members["population.ndjson"])} == {"user:olivia"}
    (found,) = lines(members["exceptions.ndjson"])
    assert (found["exception"], found["actor"], found["by"]) == ("intervention", "user:olivia", "owner")


async def test_the_attached_files_are_in_the_pack_where_they_are_asked_for(desk: ApiDesk) -> None:
    name, ids = await history(desk, 1)
    name_in_pack = f"requests/0001/files/{sha256(PDF).hexdigest()}"
    with_files = members_of(await file_of(desk, await order(desk, name, files=True)))
    assert with_files[name_in_pack] == PDF
    without = members_of(await file_of(desk, await order(desk, name)))
    assert name_in_pack not in without
    (attached,) = lines(without["requests/0001/attachments.ndjson"])
    assert (attached["sha256"], attached["name"], attached["file"]) == (sha256(PDF).hexdigest(), "offer.pdf", None)
    await context_of(desk).files.delete(ids[0], sha256(PDF).hexdigest())
    lost = await file_of(desk, await order(desk, name, files=True))
    assert lines(members_of(lost)["requests/0001/attachments.ndjson"])[0]["file"] is None
    assert faulty(lost) == []


async def test_the_same_seed_draws_the_same_sample_and_another_seed_its_own(desk: ApiDesk) -> None:
    name, ids = await history(desk, 5)
    first, again, other = [
        json.loads(members_of(await file_of(desk, await order(desk, name, sample=2, seed=seed)))["sample.json"])
        for seed in ("one", "one", "two")
    ]
    assert first == again
    assert [one["request_id"] for one in other["requests"]] == drawn("two", 2, ids)


async def test_only_auditors_and_admins_get_packs_and_the_list_says_who_ordered_them(desk: ApiDesk) -> None:
    name, _ = await history(desk, 1)
    pack = await order(desk, name, as_="adam")
    for person, expected in {"audrey": 200, "adam": 200, "ann": 403, "bob": 403, "desi": 403}.items():
        for path in (PACKS, f"{PACKS}{pack['id']}/", f"{PACKS}{pack['id']}/file/"):
            assert (await desk.get(path, as_=person)).status_code == expected, (person, path)
    assert (await desk.post(PACKS, {"process": name, **PERIOD, "sample": 1, "seed": "s"}, as_="bob")).status_code == 403
    listed = (await desk.get(PACKS, as_="audrey")).json()["items"]
    assert [(one["id"], one["ordered_by"]) for one in listed] == [(pack["id"], "user:adam")]


async def test_an_order_that_makes_no_sense_is_refused_at_its_place(
    desk: ApiDesk,
) -> None:
    good = {"process": "Nobody's", **PERIOD, "sample": 1, "seed": "s"}
    for changes, pointer in (
        ({}, "/process"),
        ({"until": PERIOD["from"]}, "/until"),
        ({"sample": 1001}, "/sample"),
        ({"seed": ""}, "/seed"),
        ({"seed": "a\nb"}, "/seed"),
        ({"from": "yesterday"}, "/from"),
    ):
        answer = await desk.post(PACKS, {**good, **changes}, as_="audrey")
        assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])


async def test_a_repeated_order_makes_one_pack(desk: ApiDesk) -> None:
    name, _ = await history(desk, 1)
    given = {"process": name, **PERIOD, "sample": 1, "seed": "s"}
    first = await desk.post(PACKS, given, as_="audrey", key="once")
    again = await desk.post(PACKS, given, as_="audrey", key="once")
    assert first.json()["id"] == again.json()["id"]
    await context_of(desk).evidence.ended(first.json()["id"])
    assert len((await desk.get(PACKS, as_="audrey")).json()["items"]) == 1


async def test_the_file_of_a_pack_expires_and_its_order_stays_on_record(desk: ApiDesk, database: Database) -> None:
    name, _ = await history(desk, 1)
    pack = await order(desk, name)
    past = datetime.now(UTC) - timedelta(days=1)

    def age(connection: Any) -> None:
        connection.execute(update(EvidencePack).values(expires_at=past))

    await database.write(age)
    await context_of(desk).evidence.look()
    assert (await desk.get(f"{PACKS}{pack['id']}/", as_="audrey")).json()["status"] == "expired"
    assert (await desk.get(f"{PACKS}{pack['id']}/file/", as_="audrey")).status_code == 409


async def test_a_pack_whose_process_has_ended_fails_and_says_what_to_do(desk: ApiDesk, database: Database) -> None:
    name, _ = await history(desk, 1)
    pack = await order(desk, name)
    past = datetime.now(UTC) - timedelta(days=1)

    def leave(connection: Any) -> None:
        connection.execute(update(EvidencePack).values(status="running", held_until=past))

    await database.write(leave)
    await context_of(desk).evidence.look()
    found = (await desk.get(f"{PACKS}{pack['id']}/", as_="audrey")).json()
    assert (found["status"], "order it again" in found["error"]) == ("failed", True)


async def test_a_pack_holds_after_the_key_was_rotated(desk: ApiDesk, database: Database) -> None:
    name, _ = await history(desk, 2)
    before = await order(desk, name)
    content = await file_of(desk, before)
    fresh = await rotate(database, SECRET, datetime.now(UTC))
    assert verdict_of(content, before["key_id"]).faults == ()
    after = await order(desk, name)
    assert (after["key_id"], faulty(await file_of(desk, after))) == (fresh.id, [])


async def test_every_alteration_of_an_archive_is_refused_with_the_member_it_is_in(desk: ApiDesk) -> None:
    name, _ = await history(desk, 2)
    content = await file_of(desk, await order(desk, name, files=True))
    members = members_of(content)
    assert faulty(content) == []
    step = 211
    begins = {content.index(one): member for member, one in members.items() if one}
    for at in [*range(0, len(content), step), *range(len(content) - 1500, len(content))]:
        altered = bytearray(content)
        altered[at] ^= 1
        assert faulty(bytes(altered)), at
    for at, member in begins.items():
        altered = bytearray(content)
        altered[at] ^= 1
        assert faulty(bytes(altered)) == [member], "the checksum names the member"
    for cut in (1, 22, 200, len(content) // 2, len(content) - 1):
        assert faulty(content[:cut]), cut
    assert faulty(b"#" + content)
    assert faulty(content + b"#")
    for member, one in members.items():
        without = {name: other for name, other in members.items() if name != member}
        assert faulty(packed(without)) == [member], "removed"
        assert member in faulty(packed({**without, member: one + b" "})), "altered, with a checksum that fits"
        renamed = packed({**without, f"{member}.old": one})
        assert f"{member}.old" in faulty(renamed) or faulty(renamed) == [member], "renamed"
        assert member in faulty(packed([*members.items(), (member, one)])), "duplicated"
    assert faulty(packed({**members, "more.txt": b""})) == ["more.txt"]


async def test_what_somebody_with_the_key_puts_together_wrongly_is_refused(desk: ApiDesk) -> None:
    name, _ = await history(desk, 4)
    content = await file_of(desk, await order(desk, name, sample=2))
    members = members_of(content)
    key = ReceiptKey(SECRET)
    assert faulty(signed_again(members, key)) == []
    assert faulty(signed_again(members, ReceiptKey("another"))) != [], "its receipts are signed with another key"

    def edited(member: str, change: Callable[[list[dict[str, Any]]], Any]) -> list[str | None]:
        rows = lines(members[member])
        change(rows)
        written = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        return faulty(signed_again({**members, member: written}, key))

    chain, receipts = "requests/0001/chain.ndjson", "requests/0001/receipts.ndjson"
    assert edited(chain, lambda rows: rows[0]["detail"].update(input={"amount": "1"})) == [chain]
    assert edited(chain, lambda rows: rows.pop()) != []
    assert edited(chain, lambda rows: rows[1].update(more=1)) == [chain]
    assert edited(receipts, lambda rows: rows.clear()) == [receipts]
    assert edited(receipts, lambda rows: rows[0]["body"].update(decision="abstain")) == [receipts, receipts]
    assert "population.ndjson" in edited("population.ndjson", lambda rows: rows.pop(0))
    assert "population.ndjson" in edited("population.ndjson", lambda rows: rows.reverse())
    assert "population.ndjson" in edited("population.ndjson", lambda rows: rows.append(rows[-1]))
    assert "sample.json" in edited("sample.json", lambda rows: rows[0]["requests"].reverse())
    assert "sample.json" in edited("sample.json", lambda rows: rows[0].update(seed="t"))
    late = {"exception": "late", "request_id": json.loads(members["sample.json"])["requests"][0]["request_id"]}
    assert "exceptions.ndjson" in edited("exceptions.ndjson", lambda rows: rows.append(late))
    (policy,) = (one for one in members if one.startswith("policies/"))
    assert policy in edited(policy, lambda rows: rows[0]["blueprint"].update(owner="user:zoe"))
    assert policy in edited(policy, lambda rows: rows[0].update(certificate={}))
    body = json.loads(members[MANIFEST])["body"]
    assert "sample.json" in faulty(signed_again(members, key, sample={**body["sample"], "seed": "t"}))
    assert "population.ndjson" in faulty(signed_again(members, key, until="2021-01-01T00:00:00.000000Z"))
    assert faulty(signed_again({**members, "requests/0001/files/x": b""}, key)) == ["requests/0001/files/x"]


async def test_whatever_has_happened_to_a_request_an_honest_pack_holds(desk: ApiDesk, database: Database) -> None:
    stages = [
        {"stage_name": "First", "approvers": ["user:bob"], "undo_seconds": 600},
        {"stage_name": "Second", "approvers": ["user:dora"]},
    ]
    name = await desk.publish(EXPENSE, process_steps=stages, settings={"on_change": "restart"})

    async def open_task(request: dict[str, Any]) -> str:
        now = (await desk.get(f"/workflow/requests/{request['id']}/", as_="adam")).json()
        return next(str(task["id"]) for task in now["tasks"] if task["status"] == "open")

    async def act(path: str, body: dict[str, Any], as_: str) -> None:
        answer = await desk.post(path, body, as_=as_)
        assert answer.status_code == 200, answer.text

    async def decide(request: dict[str, Any], as_: str, decision: str = "approve") -> str:
        task = await open_task(request)
        await act(f"/workflow/tasks/{task}/decide/", {"decision": decision, "comment": "so"}, as_)
        return task

    pending = await desk.start(name, amount="1")
    await decide(pending, "bob")  # can still be undone: no receipt yet
    undone = await desk.start(name, amount="2")
    task = await decide(undone, "bob")
    await act(f"/workflow/tasks/{task}/undo/", {}, "bob")
    cancelled = await desk.start(name, amount="3")
    task = await decide(cancelled, "bob")
    await act(f"/workflow/requests/{cancelled['id']}/cancel/", {"reason": "No more."}, "adam")
    plain = await desk.publish(EXPENSE, process_steps=[{**one, "undo_seconds": 0} for one in stages])
    returned = await desk.start(plain, amount="4")
    await decide(returned, "bob")
    await decide(returned, "dora", "request_changes")
    await act(f"/workflow/requests/{returned['id']}/resubmit/", {"input": {"amount": "5"}, "comment": "less"}, "ann")
    await decide(returned, "bob")
    await decide(returned, "dora")
    moved = await desk.start(plain, amount="6")
    await decide(moved, "bob")
    erased = await desk.start(plain, amount="7")
    await decide(erased, "bob", "reject")
    await database.write(erase_content, erased["id"], datetime.now(UTC))
    delegated = await desk.start(plain, amount="8")
    task = await open_task(delegated)
    await act(f"/workflow/tasks/{task}/delegate/", {"to": "user:carl", "reason": "Away.", "keep": True}, "bob")
    await decide(delegated, "carl")
    body = {
        **EXPENSE,
        "name": plain,
        "version": "1.1.0",
        "process_steps": [{**one, "undo_seconds": 0} for one in stages],
    }
    body["description"] = "The same, told."
    made = await desk.post("/workflow/process-templates/", body, as_="desi")
    assert made.status_code == 201, made.text
    path = f"/workflow/process-templates/{made.json()['id']}"
    await act(f"{path}/publish/", {}, "desi")
    migrated = await desk.post(f"{path}/migrate/", {"dry_run": False}, as_="adam")
    assert migrated.status_code == 200, migrated.text
    await decide(moved, "dora")
    for process, expected in (
        (name, {"intervention": 1, "decision_undone": 1}),
        (plain, {"intervention": 2, "changed_after_approval": 3}),  # two were moved, one was resubmitted
    ):
        pack = await order(desk, process, sample=20)
        assert (pack["status"], pack["error"]) == ("ready", None)
        content = await file_of(desk, pack)
        assert [str(fault) for fault in verdict_of(content).faults] == []
        assert json.loads(members_of(content)[MANIFEST])["body"]["exceptions"] == expected


@pytest.mark.parametrize("tampered", ["an entry is edited", "an entry is nonsense", "the decision is gone"])
async def test_a_pack_of_records_that_somebody_has_edited_is_made_and_does_not_hold(
    desk: ApiDesk, database: Database, tampered: str
) -> None:
    name, ids = await history(desk, 2)
    decision = and_(col(AuditEntry.request_id) == ids[0], col(AuditEntry.kind) == "decided")

    def tamper(connection: Connection) -> None:
        if tampered == "the decision is gone":
            connection.execute(delete(AuditEntry).where(decision))
        else:
            detail = "}{" if tampered == "an entry is nonsense" else '{"decision":"reject"}'
            connection.execute(update(AuditEntry).where(decision).values(detail=detail))

    await database.write(tamper)
    pack = await order(desk, name)
    assert (pack["status"], pack["error"]) == ("ready", None)
    content = await file_of(desk, pack)
    sample = json.loads(members_of(content)["sample.json"])["requests"]
    (folder,) = (one["folder"] for one in sample if one["request_id"] == ids[0])
    assert f"{folder}/chain.ndjson" in faulty(content)


async def test_a_pack_that_would_be_too_large_fails_and_says_what_to_do(
    desk: ApiDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 3000)
    name, _ = await history(desk, 2)
    pack = await order(desk, name)
    assert (pack["status"], "sample fewer" in pack["error"]) == ("failed", True)
    assert (await desk.get(f"{PACKS}{pack['id']}/file/", as_="audrey")).status_code == 409

"""The transparency log on both databases: what becomes a leaf, crashes and clocks, and operators who rewrite."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from placet.audit.admin_acts import OPERATOR, Act
from placet.audit.chain import Entry, canonical_json, genesis, link
from placet.audit.receipts import ReceiptKey
from placet.errors import Conflict, InputInvalid
from placet.transparency.checkpoints import read_signed
from placet.transparency.leaves import Leaf
from placet.transparency.tree import consistency_plan, continues, includes, inclusion_plan, perfect, proof_of
from service.receipts import rotate
from service.transparency import growth
from service.transparency.growth import grow
from service.transparency.verifying import Kept, VerifiedLog, verify_log
from service.verification import verify
from storage.database import Database
from storage.queries import transparency_log as log
from storage.recording import admin_acts, metrics
from storage.recording.transparency_log import append
from storage.recording.verify import verify_rows
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry
from tests.api_desk import no_engine
from tests.approvals import SECRET
from tests.integration.recordings import NOW, Story, write
from tests.stored import reading, writing

LATER = NOW + timedelta(minutes=30)
NONE = timedelta()
ONLY_ADDED = ("log_entry", "log_node", "log_checkpoint", "log_attestation")


def store(database: Database, *stories: Story, at: datetime = NOW) -> None:
    for story in stories:
        with writing(database) as session:
            write(session, story.recording(), at)


async def grown(database: Database, at: datetime = LATER, **more: Any) -> Any:
    return await grow(database, SECRET, at, settled=NONE, **more)


def leaves(database: Database) -> list[tuple[str, int]]:
    with reading(database) as session:
        return [(one.chain, one.seq) for one in log.entries(session.connection(), start=0, limit=10_000)]


async def verified(database: Database, *kept: Kept, at: datetime = LATER) -> VerifiedLog:
    return await database.read(verify_log, at, kept)


async def test_the_heads_of_chains_that_moved_become_leaves_once_and_decisions_besides(database: Database) -> None:
    first, other = Story(request_id="r1").open("bob"), Story(request_id="r2").open("bob", "dora")
    store(database, first, other)
    await database.write(admin_acts.record, OPERATOR, Act(kind="key_rotated", target="key:1"), NOW)
    made = await grown(database)
    assert sorted(leaves(database)) == [("admin-acts", 1), ("r1", 2), ("r2", 3)]
    assert await grown(database, LATER + timedelta(minutes=1)) is None, "nothing has moved"
    decided = first.decide(end=True)
    store(database, decided, at=LATER)
    again = await grown(database, LATER + timedelta(minutes=1))
    assert leaves(database)[3:] == [("r1", 3), ("r1", decided.seq)], "the decision, and the head after it"
    public = ReceiptKey(SECRET).public
    old, new = (read_signed(one.note, public) for one in (made, again))
    assert (old.size, new.size, old.origin, new.origin) == (3, 5, f"placet/{ReceiptKey(SECRET).id}", old.origin)
    with reading(database) as session:
        connection = session.connection()
        plan = consistency_plan(3, 5)
        proof = proof_of(plan, log.hashes(connection, [node for nodes in plan for node in nodes]))
        assert continues(old.root, 3, new.root, 5, proof)
        path = inclusion_plan(3, 5)
        proof = proof_of(path, log.hashes(connection, [node for nodes in path for node in nodes]))
    assert includes(new.root, 5, Leaf(chain="r1", seq=3, head=decided.entries[-2].hash).hash, 3, proof)
    found = await verified(database)
    assert (found["ok"], found["leaves"], found["checkpoints"], found["warnings"]) == (True, 5, 2, [])
    assert found["root"] == new.root.hex()


async def test_what_was_recorded_just_now_waits_for_history_to_tell_it_again(database: Database) -> None:
    store(database, Story(request_id="r1").open("bob"), at=LATER)
    assert await grow(database, SECRET, LATER + timedelta(seconds=29)) is None
    assert leaves(database) == []
    assert await grow(database, SECRET, LATER + timedelta(seconds=31)) is not None


async def test_a_crash_between_leaves_and_checkpoint_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, Story(request_id="r1").open("bob"))

    with monkeypatch.context() as patch:
        patch.setattr(growth, "add_checkpoint", _refuses)
        with pytest.raises(Conflict, match="killed"):
            await grown(database)
    assert leaves(database) == [("r1", 2)]
    made = await grown(database)
    assert (leaves(database), made.tree_size) == ([("r1", 2)], 1)


async def test_processes_that_add_at_the_same_time_add_each_leaf_once(database: Database) -> None:
    store(database, *(Story(request_id=f"r{n}").open("bob") for n in range(20)))
    made = await asyncio.gather(*(grown(database) for _ in range(6)))
    assert sorted(leaves(database)) == sorted((f"r{n}", 2) for n in range(20))
    assert [one.tree_size for one in made if one is not None][-1:] == [20]
    assert (await verified(database))["ok"]


async def test_batches_end_and_go_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "BATCH", 3)
    monkeypatch.setattr(growth, "MOST_BATCHES", 2)
    monkeypatch.setattr(growth, "SWEPT", 1)
    for n in range(20):
        store(database, Story(request_id=f"r{n:02}").open("bob"), at=NOW + timedelta(minutes=3 * n))
    made = [await grown(database, NOW + timedelta(hours=2, minutes=minute)) for minute in range(6)]
    sizes = [one.tree_size for one in made if one is not None]
    assert sizes[-1] == 20
    assert max(b - a for a, b in zip([0, *sizes], sizes, strict=False)) <= 7, "two batches, and one that was swept"
    assert (await verified(database, at=NOW + timedelta(hours=3)))["ok"]


async def test_each_entry_is_looked_at_once_more_and_not_again_for_each_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "BATCH", 3)
    asked: list[tuple[datetime | None, datetime]] = []

    def moved(connection: Connection, *, since: datetime | None, **more: Any) -> log.Moved:
        found = real(connection, since=since, **more)
        asked.append((since, found.until))
        return found

    real = log.moved
    monkeypatch.setattr(log, "moved", moved)
    for n in range(20):
        store(database, Story(request_id=f"r{n:02}").open("bob"), at=NOW + timedelta(seconds=n))
    await grown(database, NOW + timedelta(seconds=20))
    for n in range(20, 40):
        store(database, Story(request_id=f"r{n:02}").open("bob"), at=NOW + timedelta(seconds=n))
    asked.clear()
    await grown(database, NOW + timedelta(seconds=40))
    since, ends = [since for since, _ in asked], [until for _, until in asked]
    assert since == [NOW + timedelta(seconds=20) - log.OVERLAP, *ends[:-1]], "only the first batch looks back"
    assert len(since) == len(set(since)) >= 7
    store(database, Story(request_id="late").open("bob"), at=NOW + timedelta(seconds=30))
    monkeypatch.setattr(log, "missed", lambda *_args, **_more: ([], ""))  # which finds it too, in its turn
    await grown(database, NOW + timedelta(seconds=50))
    assert len(leaves(database)) == 41
    assert (await verified(database, at=NOW + timedelta(hours=1)))["ok"]


async def test_what_a_clock_that_was_behind_has_recorded_is_found_by_sweeping(database: Database) -> None:
    store(database, Story(request_id="r1").open("bob"), at=LATER)
    await grown(database, LATER + timedelta(minutes=1))
    store(database, Story(request_id="r2").open("bob"), at=NOW - timedelta(days=1))
    await grown(database, LATER + timedelta(minutes=2))
    assert ("r2", 2) in leaves(database)


async def test_a_clock_that_was_ahead_for_a_while_hides_nothing(database: Database) -> None:
    store(database, Story(request_id="r1").open("bob"), at=LATER)
    await grown(database, LATER + timedelta(days=400))
    store(database, Story(request_id="r2").open("bob"), at=LATER + timedelta(minutes=1))
    with reading(database) as session:
        progress = log.progress(session.connection())
    assert progress is not None
    assert progress.complete_until > LATER + timedelta(days=399)
    await grown(database, LATER + timedelta(minutes=2))
    assert ("r2", 2) in leaves(database)
    found = await verified(database, at=LATER + timedelta(minutes=3))
    assert (found["ok"], len(found["warnings"])) == (True, 1)
    assert "a clock jumped" in found["warnings"][0]


async def test_the_metric_says_how_long_ago_the_log_was_complete_and_under_a_checkpoint(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behind(at: datetime) -> float:
        return (await database.read(log.behind, at)).total_seconds()

    async def told() -> float:
        return (await database.read(metrics.totals)).values["workflow_log_behind_seconds"][()]

    assert (await behind(LATER), await told()) == (0, 0), "it has not begun"
    store(database, Story(request_id="r1").open("bob"))
    await grow(database, SECRET, LATER)
    assert await behind(LATER) == growth.SETTLED.total_seconds(), "what was recorded since may still be taken back"
    assert await behind(LATER + timedelta(minutes=5)) == 330
    store(database, Story(request_id="r2").open("bob"), at=LATER)
    with monkeypatch.context() as patch:
        patch.setattr(growth, "add_checkpoint", _refuses)
        with pytest.raises(Conflict, match="killed"):
            await grow(database, SECRET, LATER + timedelta(minutes=10))
    assert await behind(LATER + timedelta(minutes=10)) == 630, "leaves without a checkpoint over them do not count"
    await grow(database, SECRET, LATER + timedelta(minutes=11))
    assert await behind(LATER + timedelta(minutes=11)) == 30
    assert await behind(LATER - timedelta(days=1)) == 0, "a clock that was set back"
    began = datetime.now(UTC)
    await grow(database, SECRET, began - timedelta(minutes=5))
    assert 330 <= await told() <= 330 + (datetime.now(UTC) - began).total_seconds(), "as Prometheus is told it"


def _refuses(*_args: object) -> None:
    raise Conflict("killed here")


async def test_a_rotated_key_signs_the_log_as_it_is_and_old_checkpoints_hold(database: Database) -> None:
    store(database, Story(request_id="r1").open("bob"))
    first = await grown(database)
    await rotate(database, SECRET, LATER)
    second = await grown(database, LATER + timedelta(minutes=1))
    assert second.key_id == ReceiptKey(SECRET, 2).id
    assert second.origin == first.origin, "a log keeps its name"
    assert read_signed(second.note, ReceiptKey(SECRET, 2).public).size == 2  # rotating is an act
    assert (await verified(database, Kept(name="mine", note=first.note)))["ok"]


async def test_a_log_keeps_the_origin_that_it_began_with(database: Database) -> None:
    store(database, Story(request_id="r1").open("bob"))
    with pytest.raises(InputInvalid, match="without spaces"):
        await grown(database, origin="with a space")
    made = await grown(database, origin="log.example.org/placet")
    assert made.note.startswith("log.example.org/placet\n1\n")
    with pytest.raises(InputInvalid, match="keeps its name"):
        await grown(database, origin="other.example.org")


async def test_rows_of_the_log_are_only_added(database: Database) -> None:
    store(database, Story(request_id="r1").open("bob"), Story(request_id="r2").open("bob"))
    await grown(database)
    for table in ONLY_ADDED[:3]:
        column = {"log_entry": "seq", "log_node": "level", "log_checkpoint": "number"}[table]
        for act in (f"UPDATE {table} SET {column} = {column} + 1", f"DELETE FROM {table}"):
            with pytest.raises(DBAPIError, match=f"rows of {table} are only added"), writing(database) as session:
                session.execute(text(act))


# The operator, who has the secret and both databases.


def forced(connection: Connection) -> None:
    """Take away the triggers, as whoever owns the database can."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        return
    for table in ONLY_ADDED:
        for act in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{act}"))


def rewrite_rows(database: Database, story: Story) -> str:
    """Turn the decision of a request into its opposite, and recompute every hash; returns the new head."""
    previous, fresh = genesis(story.request_id), list[Entry]()
    for entry in story.entries:
        detail = {**entry.detail, "decision": "reject"} if entry.kind == "decided" else entry.detail
        detail = {**detail, "outcome": "rejected"} if entry.kind == "completed" else detail
        fresh.append(
            link(
                previous, seq=entry.seq, at=entry.at, kind=entry.kind, actor=entry.actor, stage=entry.stage,
                task_id=entry.task_id, detail=detail, salts=entry.salts,
            )
        )  # fmt: skip
        previous = fresh[-1].hash
    with writing(database) as session:
        for entry in fresh:
            of_entry = (col(AuditEntry.request_id) == story.request_id, col(AuditEntry.seq) == entry.seq)
            detail = canonical_json(entry.detail).decode()
            session.execute(update(AuditEntry).where(*of_entry).values(detail=detail, hash=entry.hash))
        ended = {"head": previous, "outcome": "rejected"}
        session.execute(update(ApprovalRequest).where(col(ApprovalRequest.id) == story.request_id).values(**ended))
        of_task = col(ApprovalTask.request_id) == story.request_id
        session.execute(update(ApprovalTask).where(of_task).values(decision="reject"))
    return previous


async def rewrite_log(database: Database, at: datetime) -> None:
    """Begin the log anew over the rows as they are now, signed with the installation's own key."""
    with writing(database) as session:
        connection = session.connection()
        forced(connection)
        for table in (*ONLY_ADDED, "log_progress"):
            connection.execute(text(f"DELETE FROM {table}"))
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = origin"))
    await grown(database, at)


async def kept_by_somebody(database: Database) -> tuple[Story, Kept, Kept]:
    """Give an installation in which a decision was logged; a kept checkpoint, and what a kept receipt holds."""
    decided = Story(request_id="r1").open("bob").decide()
    store(database, Story(request_id="r0").open("bob"), Story(request_id="r1").open("bob"), decided)
    made = await grown(database)
    entry = next(one for one in decided.entries if one.kind == "decided")
    leaf = Leaf(chain="r1", seq=entry.seq, head=entry.hash)
    with reading(database) as session:
        place = log.known(session.connection(), [leaf])[leaf]
    checkpoint = Kept(name="checkpoint", note=made.note)
    receipt = Kept(name="receipt.json", note=made.note, leaf=leaf, index=place)
    assert (await verified(database, checkpoint, receipt))["ok"]
    return decided, checkpoint, receipt


async def test_whoever_rewrites_a_requests_rows_is_found_by_the_log(database: Database) -> None:
    story, _, receipt = await kept_by_somebody(database)
    rewrite_rows(database, story)
    with reading(database) as session:
        assert verify_rows(session.connection(), "r1")["ok"], "every hash was recomputed"
    faults = (await verified(database))["faults"]
    assert [fault.split(" had ")[0] for fault in faults] == ["Leaf 1: entry 3 of r1", "Leaf 2: entry 4 of r1"]
    assert any("receipt.json: entry 3 of r1 is not" in fault for fault in (await verified(database, receipt))["faults"])


async def test_whoever_rewrites_the_engines_history_is_found_by_the_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept_by_somebody(database)

    async def rewritten(_client: object, _request_id: str) -> str:
        return "0" * 64

    monkeypatch.setattr("service.verification.head_of", rewritten)
    monkeypatch.setattr("service.verification._PAUSE", 0.001)
    assert not (await verify(database, await no_engine(), "r1"))["ok"]


@pytest.mark.parametrize(
    ("edit", "finds"),
    [
        ("UPDATE log_entry SET head = replace(head, 'a', 'b') WHERE leaf_index = 0", "the log was rewritten"),
        ("UPDATE log_entry SET chain = 'other' WHERE leaf_index = 2", "the log was rewritten"),
        ("UPDATE log_entry SET head = 'nonsense' WHERE leaf_index = 1", "Leaf 1 cannot be read"),
        ("DELETE FROM log_entry WHERE leaf_index = 1", "Leaf 1 cannot be read"),
        ("DELETE FROM log_entry WHERE leaf_index = 2", "is over 3 leaves, and the log has 2"),
        ("UPDATE log_node SET hash = '00'", "The stored hash of Node(level=1, number=0)"),
        ("DELETE FROM log_node", "The stored hash of Node(level=1, number=0)"),
        ("UPDATE log_checkpoint SET root = '00'", "its row does not say what was signed"),
        ("UPDATE log_checkpoint SET note = replace(note, '3', '2')", "cannot be used"),
        ("UPDATE log_checkpoint SET key_id = 'other'", "not among those of this installation"),
        ("DELETE FROM log_checkpoint", "mine is of the log"),
    ],
)
async def test_whoever_edits_the_log_is_found(sqlite_url: str, edit: str, finds: str) -> None:
    database = Database(sqlite_url)
    _, checkpoint, _ = await kept_by_somebody(database)
    with writing(database) as session:
        forced(session.connection())
        session.execute(text(edit))
    faults = (await verified(database, Kept(name="mine", note=checkpoint.note)))["faults"]
    await database.close()
    assert any(finds in fault for fault in faults), faults


async def test_whoever_begins_the_log_anew_is_found_by_a_kept_checkpoint(database: Database) -> None:
    _, checkpoint, receipt = await kept_by_somebody(database)
    store(database, Story(request_id="r9").open("bob"), at=NOW - timedelta(minutes=1))  # in another order
    await rewrite_log(database, LATER)
    assert (await verified(database))["ok"], "nobody sees it who has kept nothing"
    for kept in (checkpoint, receipt):
        assert any("the log was rewritten" in fault for fault in (await verified(database, kept))["faults"])


async def test_whoever_rewrites_rows_history_and_log_together_is_found_by_what_was_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, checkpoint, receipt = await kept_by_somebody(database)
    head = rewrite_rows(database, story)
    await rewrite_log(database, LATER)

    async def rewritten(_client: object, _request_id: str) -> str:
        return head

    monkeypatch.setattr("service.verification.head_of", rewritten)
    assert (await verify(database, await no_engine(), "r1"))["ok"]
    assert (await verified(database))["ok"], "nobody sees it who has kept nothing"
    assert not (await verified(database, checkpoint))["ok"]
    faults = (await verified(database, receipt))["faults"]
    assert any("the log was rewritten" in fault for fault in faults)
    assert any("entry 3 of r1 is not the one that the receipt is about" in fault for fault in faults)


async def test_an_entry_that_history_told_otherwise_after_it_was_logged_is_said_to_be_replaced(
    database: Database,
) -> None:
    story, _, _ = await kept_by_somebody(database)
    with writing(database) as session:
        session.execute(
            text(
                "INSERT INTO audit_superseded (request_id, seq, at, kind, actor, detail, hash, superseded_at) "
                "SELECT request_id, seq, at, kind, actor, detail, hash, at FROM audit_entry WHERE request_id = 'r1'"
            )
        )
    rewrite_rows(database, story)
    assert all("was replaced after it had been logged" in one for one in (await verified(database))["faults"])


async def test_no_checkpoint_is_signed_over_a_log_that_contradicts_the_last_one(database: Database) -> None:
    await kept_by_somebody(database)
    with writing(database) as session:
        forced(session.connection())
        session.execute(text("UPDATE log_node SET hash = :other"), {"other": "0" * 64})
    store(database, Story(request_id="r7").open("bob"), at=LATER)
    with pytest.raises(Conflict, match="no checkpoint is signed"):
        await grown(database, LATER + timedelta(minutes=1))
    with writing(database) as session:
        forced(session.connection())
        session.execute(text("DELETE FROM log_node"))
    store(database, Story(request_id="r8").open("bob"), at=LATER)
    with pytest.raises(Conflict, match="The log lacks the hash of"):
        await grown(database, LATER + timedelta(minutes=2))


@pytest.mark.parametrize(
    ("note", "finds"),
    [
        ("no note", "it has no signature"),
        ("a\n1\nb\n\nnonsense\n", "is no line that signs a note"),
        ("x" * 70_000, "longer than"),
        ("a\x00b\n\n\N{EM DASH} a AAAA\n", "control character"),
    ],
)
async def test_what_is_no_checkpoint_is_refused_with_its_reason(sqlite_url: str, note: str, finds: str) -> None:
    database = Database(sqlite_url)
    store(database, Story(request_id="r1").open("bob"))
    await grown(database)
    faults = (await verified(database, Kept(name="f", note=note)))["faults"]
    await database.close()
    assert finds in faults[0]


async def test_a_log_of_many_leaves_is_added_to_and_proved_in_a_few_reads(database: Database) -> None:
    many = [Leaf(chain=f"r{n}", seq=1, head=f"{n:064x}") for n in range(20_000)]
    for start in range(0, len(many), 5_000):
        await database.write(append, many[start : start + 5_000], NOW)
    read: list[int] = []

    def proof(connection: Connection) -> Sequence[bytes]:
        plan = inclusion_plan(12_345, 20_000)
        nodes = {node for nodes in plan for node in nodes}
        read.append(len(nodes))
        return proof_of(plan, log.hashes(connection, nodes))

    path = await database.read(proof)
    root = await database.read(log.root, 20_000)
    assert includes(root, 20_000, many[12_345].hash, 12_345, path)
    assert read[0] <= 2 * 15
    assert len(perfect(0, 20_000)) <= 15
    with reading(database) as session:
        assert session.connection().execute(text("SELECT count(*) FROM log_node")).scalar_one() < 20_000

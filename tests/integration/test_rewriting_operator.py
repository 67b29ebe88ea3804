"""An operator who owns everything: the engine's history, the rows and the log, each rewritten on the real engine."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select
from temporalio.client import Client

from placet.audit.receipts import ReceiptKey
from placet.engine.events import Decide
from placet.transparency.leaves import Leaf
from service.transparency.attesting import attest
from service.transparency.settings import AttesterSettings, witnesses_of
from service.transparency.verifying import Kept, verify_log
from service.verification import verify
from storage.database import Database
from storage.queries import log_attestations
from storage.queries import transparency_log as log
from storage.tables.approvals import ApprovalRequest, ApprovalTask, AuditEntry
from storage.tables.transparency_log import LogAttester
from tests.approvals import SECRET, by, desk, store_people
from tests.attesters import LocalWitness, serving
from tests.integration.test_transparency_log import grown, rewrite_log
from tests.stored import reading, writing
from workflows.approval import ApprovalWorkflow, Start

REWRITTEN = (ApprovalRequest, ApprovalTask, AuditEntry)


def now() -> datetime:
    return datetime.now(UTC)


def decide(request_id: str, decision: Any) -> Decide:
    return Decide(by=by("bob"), task_id=f"{request_id}.1", decision=decision, comment="So.")


def copied(source: Database, target: Connection, request_id: str) -> None:
    """Put the rows of a request in another database in the place of those here."""
    with reading(source) as session:
        for model in REWRITTEN:
            columns = model.__table__.columns  # type: ignore[attr-defined]  # SQLModel adds it with table=True
            key = columns.id if model is ApprovalRequest else columns.request_id
            rows = [
                dict(row) for row in session.connection().execute(select(model).where(key == request_id)).mappings()
            ]
            target.execute(delete(model).where(key == request_id))
            target.execute(insert(model), rows)


async def test_an_operator_who_rewrites_is_found_by_what_is_left_and_at_last_by_what_others_have_kept(
    client: Client, sqlite_url: str, tmp_path: Path
) -> None:
    scratch_file = tmp_path / "scratch.db"
    shutil.copyfile(sqlite_url.removeprefix("sqlite:///"), scratch_file)
    database, scratch = Database(sqlite_url), Database(f"sqlite:///{scratch_file}")
    await store_people(database)
    await store_people(scratch)
    key = ReceiptKey(SECRET)
    witness = LocalWitness(logs={f"placet/{key.id}": key.public})
    async with serving(witness.answer) as witness.url:
        settings = AttesterSettings(witnesses=witnesses_of(witness.setting))
        async with desk(client, database) as honest:
            handle = await honest.start()
            request_id = handle.id
            await handle.execute_update(ApprovalWorkflow.decide, decide(request_id, "approve"))
            await handle.result()
            beginning = (
                await client.data_converter.decode(
                    (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes.input.payloads,
                    [Start],
                )
            )[0]
        made = await grown(database, now() + timedelta(minutes=1))
        await attest(database, settings, now)
        with reading(database) as session:
            decided = (
                session.connection()
                .execute(
                    select(AuditEntry).where(AuditEntry.request_id == request_id, AuditEntry.kind == "decided")  # type: ignore[arg-type]
                )
                .mappings()
                .one()
            )
            leaf = Leaf(chain=request_id, seq=decided["seq"], head=decided["hash"])
            place = log.known(session.connection(), [leaf])[leaf]
        receipt = Kept(name="receipt.json", note=made.note, leaf=leaf, index=place)
        checkpoint = Kept(name="checkpoint.txt", note=made.note)
        assert (await verify(database, client, request_id))["ok"]
        assert (await database.read(verify_log, now(), (receipt, checkpoint), settings))["ok"]

        # The engine is told the request anew, under the same id, and with another decision.
        async with desk(client, scratch) as forged:
            again = await client.start_workflow(
                ApprovalWorkflow.run, beginning, id=request_id, task_queue=forged.task_queue
            )
            await again.execute_update(ApprovalWorkflow.decide, decide(request_id, "reject"))
            assert (await again.result()).outcome == "rejected"
            found = await verify(database, client, request_id)
            assert (found["ok"], found["rows"]["ok"]) == (False, True), "the rows and the history differ"
            assert (await database.read(verify_log, now(), (), settings))["ok"], "the log is that of the rows"
            with writing(database) as session:
                copied(scratch, session.connection(), request_id)
            assert (await verify(database, client, request_id))["ok"], "rows and history agree, and every hash holds"
        faults = (await database.read(verify_log, now(), (), settings))["faults"]
        assert any("had the hash" in one and request_id in one for one in faults), faults

        # The log is begun anew over what is there now, and signed with the installation's own key.
        await rewrite_log(database, now() + timedelta(minutes=2))
        assert (await verify(database, client, request_id))["ok"]
        assert (await database.read(verify_log, now(), (), AttesterSettings()))["ok"], "nobody sees it who kept nothing"
        for kept, finds in ((receipt, "is not the one that the receipt is about"), (checkpoint, "was rewritten")):
            faults = (await database.read(verify_log, now(), (kept,), settings))["faults"]
            assert any(finds in one for one in faults), faults
        with writing(database) as session:
            session.execute(delete(LogAttester))  # the witness is asked as if it were new
        await attest(database, settings, now)
        with reading(database) as session:
            (state,) = log_attestations.attesters(session.connection())
        assert state.failure is not None
        assert "it has" in state.failure, "the witness has kept a checkpoint as well"
    await database.close()
    await scratch.close()

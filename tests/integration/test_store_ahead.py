"""What a lost workflow task has stored, and nobody repeats, is taken back once somebody sees that history lacks it."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlmodel import select
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from activities.audit import Recorder, StoredSequence
from activities.notifications.delivery import confirmation
from placet.engine.events import Comment
from placet.engine.recording import Recording
from service.engine import client as engine_client
from service.verification import verify
from storage.database import Database
from storage.recording.record import stored_seq
from storage.tables.approvals import AuditEntry, AuditSuperseded
from tests.approvals import SECRET, Desk, by, desk, store_people
from tests.dispatching import add_people, dispatching, settings_for, soon
from tests.integration.recordings import Story, write
from tests.lost_tasks import lose
from tests.mailbox import FaultyMailbox
from tests.replays import replay
from tests.stored import reading, writing
from tests.waiting import until
from workflows.approval import Answer, ApprovalWorkflow
from workflows.registration import approval_worker, beside_recording

Handle = WorkflowHandle[ApprovalWorkflow, Answer]


async def begun(there: Desk) -> Handle:
    """Start a request, and return once its beginning is stored."""
    handle = await there.start()
    await until(lambda: soon(kinds(there.database, handle.id) == ["started", "task_opened"]))
    return handle


def kinds(database: Database, request_id: str) -> list[str]:
    """Return the kinds of the stored entries of a request."""
    with reading(database) as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.request_id == request_id)).all()
    return [entry.kind for entry in sorted(entries, key=lambda entry: entry.seq)]


async def test_what_a_lost_task_stored_and_nobody_repeats_is_taken_back(client: Client, database: Database) -> None:
    await store_people(database)
    async with desk(client, database) as there:
        handle = await begun(there)
        head = await lose(database, handle)
        assert not (await verify(database, client, handle.id))["ok"]
        assert await engine_client.tell_store_ahead(client, handle.id)
        await until(lambda: soon(kinds(database, handle.id) == ["started", "task_opened", "taken_back"]))
        with reading(database) as session:
            assert [row.hash for row in session.scalars(select(AuditSuperseded)).all()] == [head]
        assert (await verify(database, client, handle.id))["ok"]
        told = await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="and on it goes"))
        assert told.seq == 4
        assert (await verify(database, client, handle.id))["ok"]
        await handle.terminate()
        await replay(handle, client.data_converter)


async def test_where_the_store_is_not_ahead_nothing_is_recorded(client: Client, database: Database) -> None:
    await store_people(database)
    async with desk(client, database) as there:
        handle = await begun(there)
        await handle.signal("store_ahead", args=["whatever", {"it": "carries"}])
        await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="after it"))
        assert kinds(database, handle.id) == ["started", "task_opened", "commented"]
        await handle.terminate()
        assert not await engine_client.tell_store_ahead(client, handle.id)


async def test_any_number_of_words_that_the_store_is_ahead_is_one_look(client: Client, database: Database) -> None:
    await store_people(database)
    looks: list[str] = []
    recorded = asyncio.Event()
    recorded.set()

    class Counting(StoredSequence):
        @activity.defn(name="stored_seq")
        async def stored_seq(self, request_id: str) -> int:
            looks.append(request_id)
            return await StoredSequence.stored_seq(self, request_id)

    class Held(Recorder):
        @activity.defn(name="record")
        async def record(self, recording: Recording) -> bool:
            await recorded.wait()
            return await Recorder.record(self, recording)

    queue = f"looking-{uuid.uuid4().hex[:8]}"
    others = [a for a in beside_recording(client, database, SECRET) if a.__name__ != "stored_seq"]
    activities = [Held(database).record, Counting(database).stored_seq, *others]
    async with approval_worker(client, task_queue=queue, activities=activities):
        handle = await begun(Desk(client=client, database=database, task_queue=queue))
        recorded.clear()
        said = asyncio.create_task(
            handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="takes long to be stored"))
        )
        for _ in range(50):
            await handle.signal("store_ahead")
        recorded.set()
        await said
        await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="after them"))
        await handle.terminate()
    assert 1 <= len(looks) <= 5, "one for those that wait, and one for each batch that came later"


async def test_a_request_is_told_where_history_has_not_confirmed_for_long_what_is_stored(
    database: Database, mailbox: FaultyMailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(confirmation, "LONG", 0.08)
    await add_people(database, "bob")
    ahead, even = Story(request_id="ahead").open("bob"), Story(request_id="even").open("bob")
    with writing(database) as session:
        for recording in (ahead.recording(), ahead.comment("lost").recording(), even.recording()):
            write(session, recording, ahead.at)
    told: list[str] = []
    asked: list[str] = []

    async def engine(request_id: str) -> tuple[int, str]:
        asked.append(request_id)
        # Of one request another head than the stored one is known, at the same place.
        return (ahead.seq, ahead.head) if request_id == "ahead" else (even.seq, "another")

    async def tell(request_id: str) -> None:
        told.append(request_id)
        raise OSError("the engine is away")  # it is told again

    async with dispatching(database, settings_for(mailbox), confirm=engine, tell=tell):
        await until(lambda: soon(len(told) >= 2))
        assert asked.index("ahead") < len(asked) - 4, "not at the first questions"
    assert set(told) == {"ahead"}
    assert await database.read(stored_seq, "ahead") == ahead.seq + 1

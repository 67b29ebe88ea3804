"""A database that is away for longer than a workflow task is to wait: a timer, answers to questions, and no loss."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from activities.audit import Recorder
from placet.engine.events import Comment
from placet.errors import Unavailable
from storage.database import Database
from storage.tables.approvals import ApprovalRequest
from tests.approvals import EXPENSE, SECRET, Desk, by, store_people
from tests.integration.recordings import RefusingRecorder
from tests.replays import replay
from tests.stored import reading
from tests.waiting import until
from workflows import local_activities
from workflows.approval import ApprovalWorkflow
from workflows.registration import approval_worker, beside_recording


async def test_a_request_waits_for_the_database_with_a_timer_and_answers_questions_meanwhile(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_activities, "LOCAL_RETRIES", replace(local_activities.LOCAL_RETRIES, maximum_attempts=3))
    monkeypatch.setattr(local_activities, "LONGEST_PAUSE", timedelta(seconds=2))
    await store_people(database)
    recorder = RefusingRecorder(Recorder(database), Unavailable("The database does not answer."))
    queue = "long-outage"
    activities = [recorder.record, *beside_recording(client, database, SECRET)]
    async with approval_worker(client, task_queue=queue, activities=activities):
        handle = await Desk(client=client, database=database, task_queue=queue).start(EXPENSE)
        await until(lambda: _is_stored(database, handle.id), what="the start")
        recorder.times = inf
        comment = Comment(by=by("ann"), text="once")
        update = asyncio.create_task(handle.execute_update(ApprovalWorkflow.comment, comment))

        async def has_waited_twice() -> bool:
            return await _timers(handle) >= 2

        try:
            await until(has_waited_twice, what="two timers")
            asked = await handle.query(ApprovalWorkflow.recorded)
            assert not update.done()
        finally:
            recorder.times = 0
        told = await update
        assert told.seq == asked.seq
        with reading(database) as session:
            row = session.get(ApprovalRequest, handle.id)
        assert row is not None
        assert (row.seq, row.head) == (told.seq, told.head)
        await handle.terminate()
    await replay(handle)


async def _is_stored(database: Database, request_id: str) -> bool:
    with reading(database) as session:
        return session.get(ApprovalRequest, request_id) is not None


async def _timers(handle: WorkflowHandle[ApprovalWorkflow, object]) -> int:
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    return kinds.count(EventType.EVENT_TYPE_TIMER_FIRED)

"""What a recording knows of its workflow task: when it began, as the engine says, and in replays too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.audit import Recorder
from activities.workflow_tasks import TASKS
from placet.engine.events import Comment, Decide
from placet.engine.recording import Recording
from storage.database import Database
from storage.recording import record
from storage.recording.new_part import Overtaken
from storage.tables.approvals import ApprovalRequest
from tests.approvals import EXPENSE, SECRET, Desk, by, store_people
from tests.integration.recordings import RefusingRecorder
from tests.replays import replay
from tests.stored import reading
from workflows.approval import ApprovalWorkflow
from workflows.registration import approval_worker, beside_recording


async def test_a_recording_tells_when_its_workflow_task_began_by_the_engines_clock(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_people(database)
    original, told = record.write_all, list[Recording]()

    def write_all(connection: Any, recordings: Any, now: datetime) -> Any:
        told.extend(recordings)
        return original(connection, recordings, now)

    monkeypatch.setattr("activities.audit.write_all", write_all)

    def worker(queue: str) -> Any:
        activities = [Recorder(database).record, *beside_recording(client, database, SECRET)]
        return approval_worker(client, task_queue=queue, activities=activities, cached=0 if "none" in queue else 100)

    for queue in ("tasks-cached", "tasks-none-cached"):  # each task of the second is after a replay
        told.clear()
        async with worker(queue):
            handle = await Desk(client=client, database=database, task_queue=queue).start(EXPENSE)
            for number in range(3):
                await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text=str(number)))
            decision = Decide(task_id=f"{handle.id}.1", by=by("bob"), decision="approve")
            await handle.execute_update(ApprovalWorkflow.decide, decision)
            await handle.result()
        events = list((await handle.fetch_history()).events)
        began = [_at(event) for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED]
        assert len(told) == 5
        assert [one.task_began for one in told] == sorted(one.task_began for one in told if one.task_began)
        assert {one.task_began for one in told} <= set(began)
        assert told[-1].task_began == began[-1]
        with reading(database) as session:
            row = session.get(ApprovalRequest, handle.id)
        assert row is not None
        assert row.workflow_task_at == began[-1]
        assert TASKS.of(handle.first_execution_run_id or "") is None, "nothing is kept of a run that has ended"


def _starts(event: HistoryEvent) -> bool:
    return event.event_type == EventType.EVENT_TYPE_TIMER_STARTED


def _at(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(tzinfo=UTC)


async def test_what_is_refused_since_another_task_has_recorded_is_recorded_from_a_later_task(
    client: Client, database: Database
) -> None:
    await store_people(database)
    refusal = ApplicationError("another one has recorded", type=Overtaken.__name__, non_retryable=True)
    recorder, queue = RefusingRecorder(Recorder(database), refusal), "tasks-overtaken"
    activities = [recorder.record, *beside_recording(client, database, SECRET)]
    async with approval_worker(client, task_queue=queue, activities=activities):
        handle = await Desk(client=client, database=database, task_queue=queue).start(EXPENSE)
        recorder.times = 2
        told = await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="once"))
        with reading(database) as session:
            row = session.get(ApprovalRequest, handle.id)
        assert row is not None
        assert (row.seq, row.head) == (told.seq, told.head), "an answer comes after the recording"
        (repeated, _), *_ = Counter(one.seq for one in recorder.given).most_common()
        first, *others = [one for one in recorder.given if one.seq == repeated]
        assert not first.in_history
        assert others == [replace(first, in_history=True)] * 2, "only of a task that is over it is said so"
        events = list((await handle.fetch_history()).events)
        began = [_at(event) for event in events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED]
        assert row.workflow_task_at == began[-1]
        assert sum(event.event_type == EventType.EVENT_TYPE_TIMER_FIRED for event in events) == 2
        spans = [e.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta() for e in events if _starts(e)]
        assert spans[:2] == [timedelta(milliseconds=100), timedelta(milliseconds=200)], "nothing is waited for"
        await handle.terminate()
    await replay(handle)

"""A cancellation in the engine that comes while the end of a request is recorded: what was readable stays true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from activities.audit import Recorder, StoredSequence
from activities.decision_tokens import DecisionTokens
from placet.engine.events import Decide, Withdraw
from placet.engine.recording import Recording
from storage.database import Database
from storage.queries.requests import requests
from tests.approvals import EXPENSE, SECRET, Desk, by, store_people
from tests.clocks import machine_time
from tests.replays import replay
from tests.sandbox import passing_runner
from tests.stored import reading
from workflows.approval import Answer, ApprovalWorkflow, SignedDecision
from workflows.registration import approval_worker, beside_recording

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
Read = tuple[str, str | None]
End = Callable[[Handle, TimeSkipper, asyncio.Event], Awaitable[None]]
EXPIRING = EXPENSE | {
    "process_steps": [
        EXPENSE["process_steps"][0]
        | {"sla_hours": 1, "escalation_to": "department_head", "reminders": None}
        | {"re_escalate_after_hours": 1, "final": "expire"}
    ]
}


@dataclass
class CancellingRecorder:
    """Record as the worker does; what ends a request is cancelled in the engine first, while its task runs."""

    client: Client
    database: Database
    recorder: Recorder
    reads: list[Read] = field(default_factory=list)
    cancelled: bool = False
    again: asyncio.Event = field(default_factory=asyncio.Event)  # the workflow task after the one that was given up

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        """Cancel once, commit, and note what a reader sees."""
        if self.cancelled:
            self.again.set()
        elif recording.status != "pending":
            self.cancelled = True
            await self.client.get_workflow_handle(recording.request_id).cancel()
        await self.recorder.record(recording)
        with reading(self.database) as session:
            stored = requests.read(session.connection(), recording.request_id).request
        self.reads.append((stored.status, stored.outcome))

    @activity.defn(name="stored_seq")
    async def stored_seq(self, request_id: str) -> int:
        """Answer as the worker does, and let what was cut off be offered again only then."""
        seq = await StoredSequence(self.database).stored_seq(request_id)
        self.again.set()
        return seq


@asynccontextmanager
async def cancelling(client: Client, database: Database) -> AsyncIterator[tuple[Desk, CancellingRecorder]]:
    await store_people(database)
    recorder = CancellingRecorder(client, database, Recorder(database))
    queue = f"cancelling-{id(recorder)}"
    others = [a for a in beside_recording(client, database, SECRET) if a.__name__ != "stored_seq"]
    activities = [recorder.record, recorder.stored_seq, *others]
    async with approval_worker(client, task_queue=queue, activities=activities, runner=passing_runner()):
        yield Desk(client=client, database=database, task_queue=queue), recorder


async def _offered(handle: Handle, update: str, event: Decide | Withdraw, again: asyncio.Event) -> None:
    """Offer an update as the API does, again where its workflow task was given up, but after the cancellation."""
    while True:
        try:
            await handle.execute_update(update, event, id="the-end")
        except RPCError as error:
            if "unexpected workflow task failure" not in error.message:
                raise
            await again.wait()
        else:
            return


async def _by_update(handle: Handle, _: TimeSkipper, again: asyncio.Event) -> None:
    await _offered(handle, "decide", Decide(task_id=f"{handle.id}.1", by=by("bob"), decision="approve"), again)


async def _by_withdrawal(handle: Handle, _: TimeSkipper, again: asyncio.Event) -> None:
    await _offered(handle, "withdraw", Withdraw(by=by("ann")), again)


async def _by_signal(handle: Handle, *_: object) -> None:
    task = f"{handle.id}.1"
    token = DecisionTokens(SECRET, machine_time).issue("bob", task, 1)
    await handle.signal("decide", SignedDecision(token=token, task_id=task, decision="approve"))


async def _by_timer(handle: Handle, clock: TimeSkipper, *_: object) -> None:
    await clock.fast_forward(handle, timedelta(hours=3))


ENDS: dict[str, tuple[End, Read]] = {
    "update": (_by_update, ("completed", "approved")),
    "withdrawal": (_by_withdrawal, ("cancelled", "withdrawn")),
    "signal": (_by_signal, ("completed", "approved")),
    "timer": (_by_timer, ("completed", "expired")),
}


@pytest.mark.parametrize("edge", ENDS)
async def test_an_end_that_was_readable_stays_when_a_cancellation_comes_while_it_is_recorded(
    client: Client, database: Database, edge: str
) -> None:
    end, came_to = ENDS[edge]
    clock = TimeSkipper(client, config=TimeSkippingConfig(enabled=False))
    async with cancelling(client, database) as (desk, recorder):
        handle = await desk.start(EXPIRING, client=clock.client)
        await end(handle, clock, recorder.again)
        answer = await handle.result()
        seen = [event.event_type for event in (await handle.fetch_history()).events]
        assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED in seen, "the cancellation came in between"
        assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED in seen
        assert {read for read in recorder.reads if read[0] != "pending"} == {came_to}
        assert (answer.status, answer.outcome) == came_to
        with reading(database) as session:
            stored = requests.read(session.connection(), handle.id).request
        assert (stored.outcome, stored.head) == (answer.outcome, answer.head)
        await replay(handle, client.data_converter)

"""Messages that the workflow takes, by people who may send them and by strangers, on the real engine and databases."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlmodel import col
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.audit import Recorder
from activities.decision_tokens import DecisionTokens
from activities.directory import DirectoryReader
from activities.messages import DirectoryQuery, DirectoryResult, SubprocessQuery
from activities.subprocesses import SubprocessResultReader, SubprocessResultSigner
from placet.definition.model import parse_definition
from placet.engine.events import Comment, Decide
from placet.engine.recording import Recording
from placet.engine.state import ChildCall, State
from placet.errors import Conflict
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from storage.database import Database
from storage.queries.requests import requests, timelines
from storage.tables.approvals import ApprovalRequest
from tests.approvals import SECRET, Desk, by, desk, store_people
from tests.clocks import machine_time
from tests.replays import replay
from tests.stored import reading, writing
from tests.unit.core import blueprint, graph
from tests.waiting import until
from workflows import local_activities, registration
from workflows.approval import Answer, ApprovalWorkflow, SignedDecision
from workflows.calls import result_to_sign
from workflows.registration import approval_worker, beside_recording
from workflows.signals import SignedSubprocessResult

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
AMOUNT = {"name": "amount", "type": "decimal"}


@pytest_asyncio.fixture
async def office(client: Client, database: Database) -> AsyncIterator[Desk]:
    await store_people(database)
    async with desk(client, database) as there:
        yield there


async def state_of(handle: Handle) -> State:
    return await handle.query(ApprovalWorkflow.state)


async def entries_of(database: Database, handle: Handle, kind: str) -> list[Any]:
    with reading(database) as session:
        return [row for row in timelines.of_request(session.connection(), handle.id) if row.kind == kind]


async def events_of(handle: Handle, kind: EventType.ValueType) -> int:
    return sum(event.event_type == kind for event in (await handle.fetch_history()).events)


async def replays(client: Client, handle: Handle) -> None:
    await replay(handle, client.data_converter)


def decide(handle: Handle, who: str, task: int = 1) -> Decide:
    return Decide(by=by(who), task_id=f"{handle.id}.{task}", decision="approve")


def signed(handle: Handle, token: str) -> SignedDecision:
    return SignedDecision(token=token, task_id=f"{handle.id}.1", decision="approve")


async def refused(database: Database, handle: Handle, times: int = 1) -> list[Any]:
    """Wait until that many signals were refused, and return their entries."""

    async def there() -> list[Any]:
        rows = await entries_of(database, handle, "signal_refused")
        return rows if len(rows) >= times else []

    return await until(there, what=f"the refusal of {times} signals")


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def raw(value: Any) -> RawValue:
    """Write what our own converter would not."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode()))


# Sub-processes


def calling() -> dict[str, Any]:
    node = {
        "type": "subprocess",
        "template": "Child",
        "input": {"sum": {"expr": "amount"}},
        "output": {"amount": "sum"},
    }
    edges = ("start -> sub", "sub -> approved", "sub -> rejected on rejected")
    return blueprint(variables=[AMOUNT], graph_spec=graph(*edges, nodes={"sub": node}))


def child() -> dict[str, Child]:
    variables = [{"name": "sum", "type": "decimal", "required": True}]
    raw = blueprint({"approvers": ["user:bob"]}, variables=variables) | {"name": "Child"}
    return {"Child": Child(template_id="child", plan=compile_plan(parse_definition(raw), start=datetime.now(UTC)))}


async def called(there: Desk) -> tuple[Handle, Handle, ChildCall]:
    """Start a request whose sub-process waits for bob, and return both, with what one asked of the other."""
    handle = await there.start(calling(), children=child())

    async def children() -> tuple[ChildCall, ...]:
        return (await state_of(handle)).children

    (call,) = await until(children, what="the sub-process")
    inner = there.client.get_workflow_handle_for(ApprovalWorkflow.run, call.request_id)
    await until(lambda: entries_of(there.database, inner, "task_opened"), what="its task")
    return handle, inner, call


def told(call: ChildCall, **more: Any) -> SignedSubprocessResult:
    fields = {"node": call.node, "visit": call.visit, "outcome": "approved", "output": {"sum": "1"}, "signature": ""}
    return SignedSubprocessResult(**(fields | more))


async def signature(call: ChildCall, parent: str, secret: str = SECRET, **more: Any) -> str:
    return await SubprocessResultSigner(secret).sign(
        result_to_sign(told(call, **more), parent=parent, child=call.request_id)
    )


async def test_what_a_sub_process_came_to_cannot_be_forged_by_whoever_may_send_signals(office: Desk) -> None:
    handle, inner, call = await called(office)
    elsewhere = await signature(call, "another-request")
    deep = nested(180)  # as deep as can be read; an activity's input could not
    of_another_visit = await signature(call, handle.id, visit=2)
    for forged in (
        told(call),
        told(call, signature="nonsense"),
        told(call, signature=elsewhere),
        told(call, signature=of_another_visit),
        told(call, signature=await signature(call, handle.id, secret="another secret, not ours")),
        told(call, output={"sum": "2"}, signature=await signature(call, handle.id)),
        told(call, outcome="No \0", signature=await signature(call, handle.id, outcome="No \0")),
        told(call, output=deep, signature="of something that is too deep to be looked at"),
    ):
        await handle.signal("child_ended", forged)
    rows = await refused(office.database, handle, times=8)
    assert len(rows) == 8
    assert {row.detail["claimed"]["node"] for row in rows} == {"sub"}
    assert [c.request_id for c in (await state_of(handle)).children] == [inner.id]
    await inner.execute_update(ApprovalWorkflow.decide, decide(inner, "bob"))
    assert (await handle.result()).outcome == "approved"
    (row,) = await entries_of(office.database, handle, "child_ended")
    assert row.detail["request"] == inner.id
    assert not await events_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED), "what was told is not looked for"
    await replays(office.client, handle)
    await replays(office.client, inner)


async def test_the_end_of_a_sub_process_that_nobody_waits_for_changes_nothing(office: Desk) -> None:
    handle = await office.start()
    nobody = ChildCall(request_id="x", node="sub", visit=1, child="c", title="", input={})
    await handle.signal("child_ended", told(nobody))
    await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
    assert (await handle.result()).outcome == "approved"
    assert await entries_of(office.database, handle, "child_ended") == []


async def test_a_sub_process_that_was_ended_by_a_worker_that_does_not_sign_is_found_out_about(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unsigned(*_: Any, **__: Any) -> str:
        return ""

    handle, inner, _ = await called(office)
    monkeypatch.setattr("workflows.calls.local", unsigned)
    await inner.execute_update(ApprovalWorkflow.decide, decide(inner, "bob"))
    assert (await handle.result()).outcome == "approved"
    assert len(await refused(office.database, handle)) == 1
    (row,) = await entries_of(office.database, handle, "child_ended")
    assert (row.detail["outcome"], row.detail["after"]) == ("approved", {"amount": "100"})
    await replays(office.client, handle)


@pytest.mark.parametrize("how", ["terminated", "decided", "terminated between the runs"])
async def test_a_sub_process_is_looked_after_once_its_parent_has_continued_as_new(
    office: Desk, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    handle, inner, _ = await called(office)
    first = (await handle.describe()).run_id
    if how == "terminated between the runs":
        monkeypatch.setattr("workflows.calls.Calls._child_failed", _hears_nothing)
        await inner.terminate("by an operator")
    await _continue_as_new(handle, monkeypatch)
    assert (await handle.describe()).run_id != first
    if how == "decided":
        await inner.execute_update(ApprovalWorkflow.decide, decide(inner, "bob"))
    elif how == "terminated":
        await inner.terminate("by an operator")
    answer = await handle.result()
    assert (answer.status, answer.outcome) == (("completed", "approved") if how == "decided" else ("failed", None))
    with reading(office.database) as session:
        stored = requests.read(session.connection(), handle.id).request
    assert (stored.status, stored.head) == (answer.status, answer.head)
    await replays(office.client, handle)


async def test_what_a_sub_process_came_to_is_what_engine_and_store_agree_on(office: Desk) -> None:
    results = SubprocessResultReader(office.client, office.database)

    async def found(request_id: str) -> tuple[str | None, dict[str, Any]]:
        child = await results.result(SubprocessQuery(child=request_id))
        return child.outcome, child.output

    handle = await office.start()
    await until(lambda: entries_of(office.database, handle, "task_opened"))
    with pytest.raises(ApplicationError, match="still runs"):
        await found(handle.id)
    await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
    answer = await handle.result()
    assert await found(handle.id) == ("approved", {"amount": "100"})
    row = update(ApprovalRequest).where(col(ApprovalRequest.id) == handle.id)
    with writing(office.database) as session:  # an older copy
        session.execute(row.values(head="of another chain"))
    with pytest.raises(Conflict):
        await found(handle.id)
    with writing(office.database) as session:
        session.execute(row.values(head=answer.head))
        copy = requests.read(session.connection(), handle.id).request
        session.add(ApprovalRequest(**{**asdict(copy), "id": "long-gone"}))
    assert await found("long-gone") == ("approved", {"amount": "100"}), "the engine keeps nothing for ever"
    assert await found("never-there") == ("failed", {})
    other = await office.start()
    await other.terminate()
    assert await found(other.id) == ("failed", {})


async def test_looking_after_a_sub_process_costs_one_event_as_long_as_it_runs(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "workflows.calls._LOOKS", local_activities.LOCAL_RETRIES
    )  # one look after the other, within seconds
    handle, _, _ = await called(office)
    await _continue_as_new(handle, monkeypatch)

    async def attempts() -> int:
        pending = (await handle.describe()).raw_description.pending_activities
        return next((p.attempt for p in pending if p.activity_type.name == "child_result"), 0)

    assert await until(lambda: _at_least(attempts, 4), what="four looks at the sub-process")
    assert await events_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED) == 1
    assert await events_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED) == 0


async def test_a_request_without_sub_processes_is_not_looked_after(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await office.start()
    await until(lambda: entries_of(office.database, handle, "task_opened"))
    await _continue_as_new(handle, monkeypatch)
    await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
    await handle.result()
    kinds = {event.event_type for event in (await handle.fetch_history()).events}
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in kinds


async def _hears_nothing(*_: Any) -> None:
    """Stand for a parent that continued as new before its child's end arrived."""


async def _continue_as_new(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a request continue as new now, as it does when the server suggests it."""

    def suggested(self: ApprovalWorkflow) -> bool:
        return self._start.state is None and self._state.seq > seq and self._calls.idle

    first = (await handle.describe()).run_id
    seq = (await state_of(handle)).seq
    with monkeypatch.context() as patch:
        patch.setattr(ApprovalWorkflow, "_may_continue_as_new", suggested)
        await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="go on"))

        async def another() -> bool:
            return (await handle.describe()).run_id != first

        await until(another, what="the next run")

    async def begun() -> bool:
        try:
            return bool((await state_of(handle)).seq)
        except RPCError:  # it has nothing to say before its first task
            return False

    await until(begun, what="the next run's first task")


async def _at_least(count: Any, many: int) -> bool:
    return await count() >= many


# Whoever sends what: nothing fails a request


@dataclass
class _Away:
    """A recorder whose database goes away, and keeps those who ask it waiting."""

    inner: Recorder
    there: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        self.waiting += 1
        await self.there.wait()
        self.waiting -= 1
        await self.inner.record(recording)


@asynccontextmanager
async def two_slots(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Desk, _Away]]:
    """Run a worker that has two slots for local activities, and a database that can go away."""
    monkeypatch.setattr(registration, "Worker", partial(Worker, max_concurrent_local_activities=2))
    away = _Away(Recorder(database))
    away.there.set()
    queue = f"away-{uuid.uuid4().hex[:8]}"
    activities = [away.record, *beside_recording(client, database, SECRET)]
    async with approval_worker(client, task_queue=queue, activities=activities):
        try:
            yield Desk(client=client, database=database, task_queue=queue), away
        finally:
            away.there.set()


async def test_no_message_fails_a_request_while_a_database_that_is_away_holds_every_slot(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store_people(database)
    async with two_slots(client, database, monkeypatch) as (there, away):
        asked, pestered = [await there.start() for _ in range(2)]
        for handle in (asked, pestered):
            await until(lambda handle=handle: entries_of(database, handle, "task_opened"))
        away.there.clear()
        others = [await there.start() for _ in range(2)]
        await until(lambda: _holds(away, 2), what="both slots taken")
        # What gives up after a time of queueing gives up at once from here.
        monkeypatch.setattr(local_activities, "LOCAL_TIMEOUT", timedelta(milliseconds=100))
        await asked.signal(
            "decide", signed(asked, DecisionTokens(SECRET, machine_time).issue("bob", f"{asked.id}.1", 1))
        )
        await pestered.signal("decide", signed(pestered, "forged"))
        await pestered.signal("decide", "nonsense")
        await pestered.signal("directory_changed")
        await pestered.signal("child_ended", {"point": "sub", "visit": 1, "outcome": "approved"})
        for handle in (asked, pestered):
            # A workflow task is prolonged where a local activity has waited for most of ten seconds.
            tasks = await events_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
            await until(lambda h=handle, t=tasks: _prolonged(h, t), what="a workflow task that waits for a slot")
            assert (await state_of(handle)).status == "pending"
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "ann"))
        monkeypatch.setattr(local_activities, "LOCAL_TIMEOUT", timedelta(seconds=30))
        away.there.set()
        assert (await asked.result()).outcome == "approved"
        assert len(await refused(database, pestered, times=2)) == 2
        for other in (pestered, *others):
            await other.execute_update(ApprovalWorkflow.decide, decide(other, "bob"))
            assert (await other.result()).outcome == "approved"


async def _holds(away: _Away, many: int) -> bool:
    return away.waiting >= many


async def _prolonged(handle: Handle, before: int) -> bool:
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    return await events_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) > before


async def test_a_query_changes_nothing_and_fails_alone(office: Desk) -> None:
    handle = await office.start()
    before = await until(lambda: entries_of(office.database, handle, "task_opened")) and await state_of(handle)
    for name in workflow._Definition.must_from_class(ApprovalWorkflow).queries:
        for args in ([], ["x"], [nested(190)], ["a", "b"]):
            with suppress(WorkflowQueryFailedError):
                await handle.query(str(name), args=args)
    with pytest.raises(WorkflowQueryFailedError):
        await handle.query("no such query")
    assert await state_of(handle) == before
    await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
    assert (await handle.result()).outcome == "approved"


async def test_any_number_of_words_that_the_directory_has_changed_is_one_reading(
    client: Client, database: Database
) -> None:
    await store_people(database)
    asked: list[DirectoryQuery] = []

    class Counting(DirectoryReader):
        @activity.defn(name="look_up")
        async def look_up(self, question: DirectoryQuery) -> DirectoryResult:
            asked.append(question)
            return await DirectoryReader.look_up(self, question)

    queue = f"counting-{uuid.uuid4().hex[:8]}"
    there = Desk(client=client, database=database, task_queue=queue)
    handle = await there.start()
    for _ in range(50):
        await handle.signal("directory_changed")
    others = [a for a in beside_recording(client, database, SECRET) if a.__name__ != "look_up"]
    activities = [Recorder(database).record, Counting(database).look_up, *others]
    async with approval_worker(client, task_queue=queue, activities=activities):
        await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
        assert (await handle.result()).outcome == "approved"
    assert len(asked) <= 2
    await replays(client, handle)


# Tokens


# Updates

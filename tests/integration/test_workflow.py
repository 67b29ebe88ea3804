"""The driver on the real engine, with real databases and virtual time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.decision_tokens import DecisionTokens
from placet.audit.chain import first_bad, genesis
from placet.definition.model import parse_definition
from placet.engine.events import Claim, Comment, Decide, Extend, Migrate, Withdraw
from placet.engine.state import State
from placet.plan.compiler import compile_plan
from storage.database import Database
from storage.queries.requests import requests, timelines
from tests.approvals import EXPENSE, SECRET, Desk, by, desk, store_people, worker
from tests.clocks import machine_time
from tests.replays import replay
from tests.stored import reading
from tests.waiting import until
from workflows import search_attributes
from workflows.approval import Answer, ApprovalWorkflow, SignedDecision, Timeline

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def office(client: Client, database: Database) -> AsyncIterator[Desk]:
    await store_people(database)
    async with desk(client, database) as there:
        yield there


def standing(client: Client) -> TimeSkipper:
    """A clock that moves only when it is told to."""
    return TimeSkipper(client, config=TimeSkippingConfig(enabled=False))


async def state_of(handle: Handle) -> State:
    return await handle.query(ApprovalWorkflow.state)


async def rows_of(database: Database, handle: Handle) -> list[Any]:
    with reading(database) as session:
        return timelines.of_request(session.connection(), handle.id)


async def kinds_of(database: Database, handle: Handle) -> list[str]:
    return [row.kind for row in await rows_of(database, handle)]


def refusal(error: pytest.ExceptionInfo[WorkflowUpdateFailedError]) -> str:
    cause = error.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type or ""


async def test_one_step_approval_takes_at_most_sixteen_events(office: Desk) -> None:
    handle = await office.start()
    await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob"))
    answer = await handle.result()
    assert (answer.status, answer.outcome) == ("completed", "approved")
    kinds = [event.event_type for event in (await handle.fetch_history()).events]
    # On a busy machine a workflow task may be late, or prolonged by another while its record is written: three more.
    ends = {EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT}
    again = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
    in_vain = sum(one in ends and following == again for one, following in pairwise(kinds))
    assert len(kinds) - 3 * in_vain <= 16


async def test_what_the_workflow_holds_is_what_the_database_holds(office: Desk) -> None:
    handle = await office.start()
    answer = await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob"))
    rows = await rows_of(office.database, handle)
    assert [row.kind for row in rows] == ["started", "task_opened", "decided", "stage_settled", "completed"]
    assert rows[-1].hash == answer.head
    timeline = await handle.query(ApprovalWorkflow.timeline)
    assert [(e.seq, e.hash) for e in timeline.entries] == [(row.seq, row.hash) for row in rows]
    assert first_bad(genesis(handle.id), timeline.entries) is None


async def test_the_ladder_is_climbed_in_virtual_time(office: Desk) -> None:
    clock = standing(office.client)
    handle = await office.start(client=clock.client)
    assert await clock.fast_forward(handle, 21 * HOUR)
    assert await kinds_of(office.database, handle) == ["started", "task_opened", "reminded", "reminded"]
    assert await clock.fast_forward(handle, 2 * HOUR)
    assert (await state_of(handle)).open_tasks[0].sla_state == "warning"
    assert await clock.fast_forward(handle, 2 * HOUR)
    task = (await state_of(handle)).open_tasks[0]
    assert (task.sla_state, task.assignee, task.level) == ("breached", "dora", 1)
    assert await clock.fast_forward(handle, 24 * HOUR)
    assert (await state_of(handle)).open_tasks[0].assignee == "carl"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob"))
    assert refusal(refused) == "NotPermitted"
    await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "carl"))
    kinds = await kinds_of(office.database, handle)
    assert kinds.count("escalated") == 2
    assert kinds[-1] == "completed"


async def test_what_a_substitute_has_is_given_back_at_the_virtual_moment_the_absence_ends(office: Desk) -> None:
    clock = standing(office.client)
    until = datetime.now(UTC) + timedelta(hours=3)
    away = [{"from": "2020-01-01T00:00:00Z", "until": until.isoformat(), "substitute": "carl"}]
    await store_people(office.database, ({"id": "bob", "manager": "dora", "away": away},))
    handle = await office.start(client=clock.client)
    assert [task.assignee for task in (await state_of(handle)).open_tasks] == ["carl"]
    assert await clock.fast_forward(handle, 4 * HOUR)
    assert [task.assignee for task in (await state_of(handle)).open_tasks] == ["bob"]
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "carl"))
    assert refusal(refused) == "NotPermitted"
    answer = await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob"))
    assert answer.status == "completed"


async def test_escalation_lands_at_its_virtual_moment(office: Desk) -> None:
    clock = standing(office.client)
    handle = await office.start(client=clock.client)
    await clock.fast_forward(handle, 25 * HOUR)
    rows = await rows_of(office.database, handle)
    begun = rows[0].at
    escalated = next(row for row in rows if row.kind == "escalated")
    # The workflow's clock goes on while a busy machine works; how late escalations are, the benchmarks measure.
    assert timedelta(0) <= escalated.at - begun - 24 * HOUR < timedelta(minutes=5)


async def test_a_timer_is_armed_once_its_deadline_is_recorded_and_the_escalation_is_of_the_moment(office: Desk) -> None:
    clock = standing(office.client)
    handle = await office.start(client=clock.client)
    due = datetime.now(UTC) + 7 * HOUR
    await handle.execute_update(ApprovalWorkflow.extend, Extend(by=by("olivia", admin=True), due_at=due))
    await state_of(handle)  # which is answered once the workflow task has been completed
    kinds = [event.event_type for event in (await handle.fetch_history()).events]
    accepted = kinds.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED)
    after = kinds[accepted:]
    recorded = after.index(EventType.EVENT_TYPE_MARKER_RECORDED)
    assert recorded < after.index(EventType.EVENT_TYPE_TIMER_STARTED)
    await clock.fast_forward(handle, 8 * HOUR)
    escalated = next(row for row in await rows_of(office.database, handle) if row.kind == "escalated")
    assert timedelta(0) <= escalated.at - due < timedelta(minutes=5)  # on a quiet machine it is the very moment
    await replay(handle)


async def test_refused_updates_leave_no_history(office: Desk) -> None:
    handle = await office.start()
    await state_of(handle)  # which is answered once the first workflow task has been completed
    before = len((await handle.fetch_history()).events)
    for person, expected in (("ann", "NotPermitted"), ("dora", "NotPermitted")):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, person))
        assert refusal(refused) == expected
    events = (await handle.fetch_history()).events
    accepted = [e for e in events if e.HasField("workflow_execution_update_accepted_event_attributes")]
    assert not accepted
    assert len(events) - before <= 2 * 4  # nothing but workflow tasks, where the server keeps even those


async def test_repeated_update_with_the_same_key_is_answered_again(office: Desk) -> None:
    handle = await office.start(
        deepcopy(EXPENSE)
        | {"process_steps": [*EXPENSE["process_steps"], {"stage_name": "B", "approvers": ["role:cfo"]}]}
    )
    event = _decide(handle, 1, "bob", key="once")
    first = await handle.execute_update(ApprovalWorkflow.decide, event, id="once")
    again = await handle.execute_update(ApprovalWorkflow.decide, event, id="another id for the same key")
    assert again.seq == first.seq
    assert (await kinds_of(office.database, handle)).count("decided") == 1


async def test_of_two_decisions_at_once_one_stands(office: Desk) -> None:
    both = deepcopy(EXPENSE)
    both["process_steps"][0] |= {"approvers": ["user:bob"], "quorum": "any"}
    handle = await office.start(both)
    results = await asyncio.gather(
        *(
            handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob", decision=d))
            for d in ("approve", "reject")
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(r, Answer) for r in results) == 1
    assert (await kinds_of(office.database, handle)).count("decided") == 1


async def test_signal_with_a_good_token_decides(office: Desk) -> None:
    handle = await office.start()
    token = DecisionTokens(SECRET, machine_time).issue("bob", f"{handle.id}.1", 1)
    await handle.signal(
        ApprovalWorkflow.decide_by_signal, SignedDecision(token=token, task_id=f"{handle.id}.1", decision="approve")
    )
    assert (await handle.result()).outcome == "approved"


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        DecisionTokens("another secret, not ours", machine_time).issue("bob", "{id}.1", 1),
        DecisionTokens(SECRET, machine_time).issue("bob", "some-other-request.1", 1),
        DecisionTokens(SECRET, machine_time).issue("ann", "{id}.1", 1),
    ],
    ids=["not a token", "signed elsewhere", "for another task", "by the requester"],
)
async def test_signal_with_a_bad_token_changes_nothing_and_is_on_record(office: Desk, token: str) -> None:
    handle = await office.start()
    task = f"{handle.id}.1"
    if "{id}" in token or token == DecisionTokens(SECRET, machine_time).issue("ann", "{id}.1", 1):
        token = DecisionTokens(SECRET, machine_time).issue("ann", task, 1)
    await handle.signal(
        ApprovalWorkflow.decide_by_signal, SignedDecision(token=token, task_id=task, decision="approve")
    )
    kinds = await until(lambda: _with(office.database, handle, "signal_refused"))
    assert "decided" not in kinds
    assert (await state_of(handle)).open_tasks[0].id == task


@pytest.mark.parametrize("signal", ["decide", "child_ended"])
@pytest.mark.parametrize(
    "given",
    [[], ["yes"], [[]], [{}], [{"token": "x"}], [{"token": "x", "task_id": 1, "decision": "approve"}], ["a", "b"]],
    ids=["nothing", "text", "a list", "an empty object", "half of it", "another type", "two values"],
)
async def test_a_signal_that_carries_anything_else_is_on_record_and_stops_nothing(
    office: Desk, signal: str, given: list[Any]
) -> None:
    handle = await office.start()
    await handle.signal(signal, args=given)
    await handle.signal("directory_changed", args=["and", "more"])
    kinds = await until(lambda: _with(office.database, handle, "signal_refused"))
    assert "decided" not in kinds
    await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob"))
    assert (await handle.result()).outcome == "approved"


async def test_replays_tell_the_same_times_whatever_came_while_local_activities_ran(
    client: Client, database: Database
) -> None:
    await store_people(database)
    queue = f"times-of-replays-{uuid.uuid4().hex[:8]}"
    there = Desk(client=client, database=database, task_queue=queue)

    async def disturbed() -> tuple[Handle, Timeline]:
        handle = await there.start()
        for token in ("a", "b", "c", "d", "e", "f"):
            forged = {"token": token, "task_id": f"{handle.id}.1", "decision": "approve"}
            await handle.signal("decide", forged if token in "ace" else token)
        await handle.query(ApprovalWorkflow.state)  # it splits the task that is in the middle of them
        await until(lambda: _with(database, handle, "signal_refused", times=6))
        return handle, await handle.query(ApprovalWorkflow.timeline)

    async with worker(client, database, queue):
        lived = [await disturbed() for _ in range(12)]
    async with worker(client, database, queue):  # a worker that remembers nothing
        for handle, timeline in lived:
            assert await handle.query(ApprovalWorkflow.timeline) == timeline
            await handle.terminate()


async def test_withdrawal_closes_tasks_and_tells_people(office: Desk) -> None:
    handle = await office.start()
    await handle.execute_update(ApprovalWorkflow.withdraw, Withdraw(by=by("ann"), reason="not needed"))
    assert (await handle.result()).outcome == "withdrawn"
    with reading(office.database) as session:
        stored = requests.read(session.connection(), handle.id)
    assert [task.status for task in stored.tasks] == ["cancelled"]
    assert stored.request.status == "cancelled"


async def test_cancelling_in_the_temporal_web_ui_ends_the_request_in_order(office: Desk) -> None:
    handle = await office.start()
    await until(lambda: kinds_of(office.database, handle))
    await handle.cancel()
    assert (await handle.result()).outcome == "cancelled"
    assert (await kinds_of(office.database, handle))[-1] == "cancelled"


async def test_a_cancellation_that_asks_the_store_takes_three_events_more(office: Desk) -> None:
    handle = await office.start()
    await until(lambda: kinds_of(office.database, handle))
    await handle.cancel()
    await handle.result()
    events = (await handle.fetch_history()).events
    asked = [
        event
        for event in events
        if b"settle-in-turn" in event.SerializeToString() or b"stored_seq" in event.SerializeToString()
    ]
    assert [(event.event_type, event.marker_recorded_event_attributes.marker_name) for event in asked] == [
        (EventType.EVENT_TYPE_MARKER_RECORDED, "core_patch"),
        (EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, ""),
        (EventType.EVENT_TYPE_MARKER_RECORDED, "core_local_activity"),
    ]


async def test_search_attributes_follow_the_request(office: Desk) -> None:
    clock = standing(office.client)
    handle = await office.start(client=clock.client)
    await clock.fast_forward(handle, 25 * HOUR)
    shown = (await handle.describe()).typed_search_attributes
    assert shown.get(search_attributes.ASSIGNEES) == ["dora"]
    assert shown.get(search_attributes.SLA_STATE) == "breached"
    assert shown.get(search_attributes.STAGE) == "Manager Approval"
    await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "dora"))
    await handle.result()
    shown = (await handle.describe()).typed_search_attributes
    assert shown.get(search_attributes.OUTCOME) == "approved"
    assert shown.get(search_attributes.ASSIGNEES) is None


async def test_an_operator_moves_the_deadline_and_the_timer_follows(office: Desk) -> None:
    clock = standing(office.client)
    handle = await office.start(client=clock.client)
    await clock.fast_forward(handle, 20 * HOUR)
    await handle.execute_update(ApprovalWorkflow.extend, Extend(by=by("olivia"), seconds=10 * 3600.0))
    await clock.fast_forward(handle, 10 * HOUR)
    assert (await state_of(handle)).open_tasks[0].assignee == "bob"
    await clock.fast_forward(handle, 5 * HOUR)
    assert (await state_of(handle)).open_tasks[0].assignee == "dora"


async def test_a_queue_is_claimed_on_the_engine(office: Desk) -> None:
    queue = deepcopy(EXPENSE)
    queue["process_steps"][0] |= {"approvers": ["role:cfo"], "claim": True}
    handle = await office.start(queue)
    await handle.execute_update(ApprovalWorkflow.claim, Claim(by=by("carl"), task_id=f"{handle.id}.1"))
    await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "carl"))
    assert (await handle.result()).outcome == "approved"


async def test_a_very_long_process_continues_as_new_and_loses_nothing(client: Client, database: Database) -> None:
    """Hundreds of comments pass the server's suggestion to continue; the next run has the version it moved to."""
    await store_people(database)
    long = deepcopy(EXPENSE)
    long["process_steps"][0] = {"stage_name": "Slow", "approvers": ["user:bob"], "reminders": {"every_hours": 24}}
    async with desk(client, database) as office:
        clock = standing(client)
        handle = await office.start(long, client=clock.client)
        first_run = (await handle.describe()).run_id
        more = {**long, "version": "2.0.0"}
        more["process_steps"] = [*long["process_steps"], {"stage_name": "Then", "approvers": ["role:cfo"]}]
        plan = compile_plan(parse_definition(more), start=(await state_of(handle)).started_at)
        move = Migrate(by=by("olivia", admin=True), plan=plan, template_id="the later one")
        await handle.execute_update(ApprovalWorkflow.migrate, move)
        key = "an answer from the first run"
        await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="first", key=key), id=key)
        count = 1
        while (await handle.describe()).run_id == first_run:
            await asyncio.gather(
                *(
                    handle.execute_update(
                        ApprovalWorkflow.comment, Comment(by=by("ann"), text=f"note {n} " + "x" * 2000)
                    )
                    for n in range(50)
                )
            )
            count += 50
            assert count < 3000, "the server never suggested to continue as new"
        again = await handle.execute_update(
            ApprovalWorkflow.comment, Comment(by=by("ann"), text="first", key=key), id=key
        )
        rows = await rows_of(database, handle)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert sum(row.kind == "commented" for row in rows) == count
        assert again.head == rows[-1].hash
        await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "bob"))
        await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 2, "carl"))
        assert (await handle.result()).outcome == "approved"
        with reading(database) as session:
            stored = requests.read(session.connection(), handle.id).request
        assert (stored.version, stored.template_id) == ("2.0.0", "the later one")


async def test_workflows_run_under_the_bare_sandbox(client: Client, database: Database) -> None:
    await store_people(database)
    async with desk(client, database, runner=SandboxedWorkflowRunner(), failing=True) as office:
        clock = standing(client)
        handle = await office.start(client=clock.client)
        await clock.fast_forward(handle, 25 * HOUR)
        await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "dora"))
        assert (await handle.result()).outcome == "approved"


async def test_histories_replay(office: Desk) -> None:
    clock = standing(office.client)
    handle = await office.start(client=clock.client)
    await clock.fast_forward(handle, 25 * HOUR)
    await handle.execute_update(ApprovalWorkflow.decide, _decide(handle, 1, "dora"))
    await handle.result()
    await replay(handle, office.client.data_converter)


async def _with(database: Database, handle: Handle, kind: str, *, times: int = 1) -> list[str]:
    kinds = await kinds_of(database, handle)
    return kinds if kinds.count(kind) >= times else []


def _decide(handle: Handle, task: int, person: str, *, decision: Any = "approve", key: str | None = None) -> Decide:
    return Decide(by=by(person), task_id=f"{handle.id}.{task}", decision=decision, key=key)

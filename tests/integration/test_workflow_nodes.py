"""Nodes on the real engine: actions and their retries, forks, waits in virtual time, and sub-processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import col
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import Worker

from activities.action_runner import QUEUE_SUFFIX, ActionRunner
from activities.actions.executor import ActionFailed, ActionJob
from placet.definition.action_spec import ActionSpec
from placet.definition.model import parse_definition
from placet.engine.events import Comment, Decide, Happened, Withdraw
from placet.engine.state import State
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from storage.database import Database
from storage.queries.requests import requests, timelines
from storage.tables.approvals import Outbox
from tests.approvals import Desk, by, desk, store_people
from tests.replays import replay
from tests.stored import reading
from tests.unit.core import blueprint, graph
from tests.waiting import until
from workflows.approval import Answer, ApprovalWorkflow

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
HOUR = timedelta(hours=1)
AMOUNT = {"name": "amount", "type": "decimal"}
BOB = {"approvers": ["user:bob"]}


@dataclass
class Machine:
    """An executor that does as it is told, and remembers what it was asked."""

    jobs: list[ActionJob] = field(default_factory=list)
    behave: Callable[[ActionJob], dict[str, Any]] = field(default=lambda job: {"echo": dict(job.input)})
    gate: asyncio.Event | None = None
    config_schema: dict[str, Any] = field(default_factory=dict)

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Carry out a job."""
        self.jobs.append(job)
        if self.gate is not None:
            await self.gate.wait()
        return self.behave(job)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A desk whose workers also run actions."""

    desk: Desk
    machine: Machine
    database: Database

    async def start(self, raw: dict[str, Any], **more: Any) -> Handle:
        actions = {
            "send": spec("send", is_idempotent=False, latency_class="slow"),  # tests make it wait
            "keyed": spec("keyed", is_idempotent=False, accepts_key=True),
            "look": spec("look", is_idempotent=True),
        }
        return await self.desk.start(raw, actions=actions, **more)

    async def kinds(self, request_id: str) -> list[str]:
        with reading(self.database) as session:
            return [row.kind for row in timelines.of_request(session.connection(), request_id)]


def spec(name: str, **more: Any) -> ActionSpec:
    fields: dict[str, Any] = {"executor": "machine", "latency_class": "fast", **more}
    schema = {"type": "object", "properties": {"n": {"type": "string"}}, "additionalProperties": False}
    return ActionSpec(name=name, input_schema=schema, output_schema={"required": ["echo"]}, **fields)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The nodes do nothing with a database that one kind does not show."""
    return sqlite_url


@pytest_asyncio.fixture
async def shop(client: Client, database: Database) -> AsyncIterator[Shop]:
    await store_people(database)
    machine = Machine()
    async with desk(client, database) as there:
        runner = ActionRunner(database, {"machine": machine}, environ={})
        queue = there.task_queue + QUEUE_SUFFIX
        async with Worker(client, task_queue=queue, activities=[runner.run], max_cached_workflows=0):
            yield Shop(desk=there, machine=machine, database=database)


def standing(client: Client) -> TimeSkipper:
    """A clock that moves only when it is told to."""
    return TimeSkipper(client, config=TimeSkippingConfig(enabled=False))


async def state_of(handle: Handle) -> State:
    return await handle.query(ApprovalWorkflow.state)


async def decide(handle: Handle, person: str, number: int = 1, decision: Any = "approve") -> Answer:
    event = Decide(by=by(person), task_id=f"{handle.id}.{number}", decision=decision)
    return await handle.execute_update(ApprovalWorkflow.decide, event)


async def replays(client: Client, handle: Handle) -> None:
    await replay(handle, client.data_converter)


def acting(action: str, *more: str, **node: Any) -> dict[str, Any]:
    full = {"type": "action", "action": action, "input": {"n": {"expr": "amount"}}, **node}
    edges = more or ("act -> approved", "act -> rejected on failed")
    return blueprint(variables=[AMOUNT], graph_spec=graph("start -> act", *edges, nodes={"act": full}))


async def test_an_action_gets_its_input_and_its_output_sets_variables(shop: Shop) -> None:
    handle = await shop.start(acting("look", output={"amount": "/echo/n"}), given={"amount": "7"})
    assert (await handle.result()).outcome == "approved"
    [job] = shop.machine.jobs
    assert (job.input, job.key, job.node) == ({"n": "7"}, f"{handle.id}:act:1", "act")
    kinds = await shop.kinds(handle.id)
    assert kinds == ["started", "action_started", "action_run", "completed"]
    await replays(shop.desk.client, handle)


@pytest.mark.parametrize(
    ("action", "attempts", "outcome"), [("send", 1, "rejected"), ("keyed", 2, "approved"), ("look", 2, "approved")]
)
async def test_only_what_may_be_repeated_is_tried_again(shop: Shop, action: str, attempts: int, outcome: str) -> None:
    def fails_once(job: ActionJob) -> dict[str, Any]:
        if len(shop.machine.jobs) == 1:
            raise ActionFailed("the line is busy")
        return {"echo": {}}

    shop.machine.behave = fails_once
    handle = await shop.start(acting(action))
    assert (await handle.result()).outcome == outcome
    assert [job.attempt for job in shop.machine.jobs] == list(range(1, attempts + 1))
    assert len({job.key for job in shop.machine.jobs}) == 1


async def test_what_breaks_the_schemas_takes_the_failed_way_at_once(shop: Shop) -> None:
    handle = await shop.start(acting("look", input={"n": 7}))
    assert (await handle.result()).outcome == "rejected"
    assert not shop.machine.jobs
    shop.machine.behave = lambda job: {"wrong": True}
    handle = await shop.start(acting("look"))
    assert (await handle.result()).outcome == "rejected"
    assert len(shop.machine.jobs) == 1
    state = await state_of(handle)
    assert state.status == "completed"


async def test_an_action_that_is_no_longer_needed_ends_before_the_workflow_does(shop: Shop) -> None:
    shop.machine.gate = asyncio.Event()
    handle = await shop.start(acting("send"))
    await until(lambda: _jobs(shop))
    answer = await handle.execute_update(ApprovalWorkflow.withdraw, Withdraw(by=by("ann")))
    assert answer.outcome == "withdrawn"
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    shop.machine.gate.set()
    assert (await handle.result()).outcome == "withdrawn"
    assert (await shop.kinds(handle.id))[-2:] == ["branch_ended", "withdrawn"]
    await replays(shop.desk.client, handle)


async def test_a_cancellation_that_comes_after_the_end_changes_nothing(shop: Shop) -> None:
    shop.machine.gate = asyncio.Event()
    handle = await shop.start(parallel("any"))
    await until(lambda: _jobs(shop))
    await decide(handle, "bob")
    answer = await decide(handle, "carl", 2)
    assert answer.outcome == "approved"
    await handle.cancel()

    async def asked() -> bool:
        events = (await handle.fetch_history()).events
        seen = [e.event_type for e in events]
        wanted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
        return wanted in seen and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in seen[seen.index(wanted) :]

    await until(asked, what="the workflow's answer to the cancellation")
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    shop.machine.gate.set()
    assert (await handle.result()).outcome == "approved"
    await replays(shop.desk.client, handle)


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_cancellation_at_the_very_end_leaves_engine_and_store_at_one(shop: Shop, decision: str) -> None:
    """Whichever comes first: the engine never says cancelled of a request that came to something else."""
    for _ in range(5):
        handle = await shop.start(blueprint(BOB, variables=[AMOUNT]))
        await until(lambda handle=handle: _with(shop, handle, "task_opened"))
        await asyncio.gather(decide(handle, "bob", decision=decision), handle.cancel(), return_exceptions=True)
        answer = await handle.result()
        with reading(shop.database) as session:
            stored = requests.read(session.connection(), handle.id).request
        assert (stored.outcome, stored.head) == (answer.outcome, answer.head)


def parallel(need: Any = "all") -> dict[str, Any]:
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "a": {"step": "Stage 1"},
        "act": {"type": "action", "action": "look"},
        "w": {"type": "wait", "hours": 30},
        "j": {"type": "join", "need": need},
        "last": {"step": "Stage 2"},
    }
    drawn = (
        "start -> f",
        "f -> a",
        "f -> act",
        "f -> w",
        "a -> j",
        "act -> j",
        "w -> j",
        "j -> last",
        "last -> approved",
    )
    return blueprint(BOB, {"approvers": ["role:cfo"]}, variables=[AMOUNT], graph_spec=graph(*drawn, nodes=nodes))


async def test_branches_go_on_side_by_side_and_come_together(shop: Shop) -> None:
    clock = standing(shop.desk.client)
    handle = await shop.start(parallel(), client=clock.client)
    await decide(handle, "bob")
    await until(lambda: _with(shop, handle, "action_run"))
    assert await clock.fast_forward(handle, 29 * HOUR)
    assert "joined" not in await shop.kinds(handle.id)
    assert await clock.fast_forward(handle, 2 * HOUR)
    await until(lambda: _with(shop, handle, "joined"))
    await decide(handle, "carl", 2)
    assert (await handle.result()).outcome == "approved"
    await replays(shop.desk.client, handle)


async def test_a_join_of_any_goes_on_with_the_first_and_ignores_what_comes_later(shop: Shop) -> None:
    shop.machine.gate = asyncio.Event()
    handle = await shop.start(parallel("any"))
    await until(lambda: _jobs(shop))
    await decide(handle, "bob")
    shop.machine.gate.set()
    kinds = await until(lambda: _with(shop, handle, "action_ignored"))
    assert kinds.count("branch_ended") == 2
    await decide(handle, "carl", 2)
    assert (await handle.result()).outcome == "approved"


async def test_a_wait_ends_at_its_virtual_moment(shop: Shop) -> None:
    clock = standing(shop.desk.client)
    on = (datetime.now(UTC) + 9 * 24 * HOUR).isoformat()
    raw = blueprint(
        variables=[{"name": "at", "type": "datetime"}],
        graph_spec=graph("start -> w", "w -> approved", nodes={"w": {"type": "wait", "until": "at"}}),
    )
    handle = await shop.start(raw, given={"at": on}, client=clock.client)
    await until(lambda: _with(shop, handle, "waiting"))
    await clock.fast_forward(handle, 9 * 24 * HOUR + HOUR)
    assert (await handle.result()).outcome == "approved"
    with reading(shop.database) as session:
        rows = timelines.of_request(session.connection(), handle.id)
    waited = next(row for row in rows if row.kind == "waited")
    # The workflow's clock goes on while a busy machine works.
    assert timedelta(0) <= waited.at - datetime.fromisoformat(on) < timedelta(minutes=5)


def listening(**more: Any) -> dict[str, Any]:
    node = {"type": "wait", "event": "signed", "output": {"amount": "sum"}, **more}
    edges = ("start -> w", "w -> approved on event", "w -> rejected on timeout")
    return blueprint(variables=[AMOUNT], graph_spec=graph(*edges, nodes={"w": node}))


async def test_an_outside_event_ends_a_wait_once(shop: Shop) -> None:
    handle = await shop.start(listening())
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(ApprovalWorkflow.happened, Happened(by=by("ann"), name="signed"))
    event = Happened(by=by("olivia", admin=True), name="signed", payload={"sum": 12.5}, key="once")
    await handle.execute_update(ApprovalWorkflow.happened, event, id="once")
    assert (await handle.result()).outcome == "approved"
    assert (await state_of(handle)).input == {"amount": "12.5"}


async def test_an_event_that_does_not_come_times_out(shop: Shop) -> None:
    clock = standing(shop.desk.client)
    handle = await shop.start(listening(timeout_hours=48), client=clock.client)
    await until(lambda: _with(shop, handle, "waiting"))
    await clock.fast_forward(handle, 49 * HOUR)
    assert (await handle.result()).outcome == "rejected"


def child() -> dict[str, Child]:
    raw = blueprint(BOB, variables=[{"name": "sum", "type": "decimal", "required": True}]) | {"name": "Child"}
    return {"Child": Child(template_id="child", plan=compile_plan(parse_definition(raw), start=datetime.now(UTC)))}


def calling(*more: str, **fields: Any) -> dict[str, Any]:
    node = {
        "type": "subprocess",
        "template": "Child",
        "input": {"sum": {"expr": "amount"}},
        "output": {"amount": "sum"},
    }
    edges = more or ("sub -> approved", "sub -> rejected on rejected")
    return blueprint(variables=[AMOUNT], graph_spec=graph("start -> sub", *edges, nodes={"sub": node}), **fields)


async def child_of(shop: Shop, handle: Handle) -> Handle:
    call = (await until(lambda: _children(handle)))[0]
    client = shop.desk.client
    found: Handle = client.get_workflow_handle_for(ApprovalWorkflow.run, call.request_id)
    await until(lambda: _with(shop, found, "task_opened"))
    return found


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "approved"), ("reject", "rejected")])
async def test_the_outcome_of_a_sub_process_is_its_parents_way_on(shop: Shop, decision: str, outcome: str) -> None:
    handle = await shop.start(calling(), children=child())
    inner = await child_of(shop, handle)
    assert inner.id == f"{handle.id}~1"
    await decide(inner, "bob", decision=decision)
    assert (await handle.result()).outcome == outcome
    assert (await inner.result()).outcome == outcome
    with reading(shop.database) as session:
        stored = requests.read(session.connection(), inner.id)
        assert (stored.request.template, stored.request.requester) == ("Child", "ann")
        first = timelines.of_request(session.connection(), inner.id)[0]
    assert first.detail["parent"] == handle.id
    await replays(shop.desk.client, handle)
    await replays(shop.desk.client, inner)


async def test_withdrawing_a_request_cancels_its_sub_process_in_order(shop: Shop) -> None:
    handle = await shop.start(calling(), children=child())
    inner = await child_of(shop, handle)
    await handle.execute_update(ApprovalWorkflow.withdraw, Withdraw(by=by("ann")))
    assert (await inner.result()).outcome == "cancelled"
    assert (await shop.kinds(inner.id))[-2:] == ["task_closed", "cancelled"]
    assert (await handle.result()).outcome == "withdrawn"


async def test_a_sub_process_that_is_terminated_in_the_engine_has_failed(shop: Shop) -> None:
    handle = await shop.start(calling(), children=child())
    inner = await child_of(shop, handle)
    await inner.terminate("by an operator")
    answer = await handle.result()
    assert answer.status == "failed"
    with reading(shop.database) as session:
        stored = requests.read(session.connection(), handle.id).request
    assert (stored.status, stored.head) == (answer.status, answer.head), "recorded before the workflow closed"


async def test_whatever_waits_goes_on_after_continue_as_new(shop: Shop) -> None:
    """A running action holds the run; a wait, a sub-process and an approval are passed on to the next."""
    nodes: dict[str, dict[str, Any]] = {
        "f": {"type": "fork"},
        "act": {"type": "action", "action": "send"},
        "w": {"type": "wait", "event": "go"},
        "sub": {"type": "subprocess", "template": "Child", "input": {"sum": 1}},
        "a": {"step": "Stage 1"},
        "j": {"type": "join"},
    }
    branches = ("act", "w", "sub", "a")
    drawn = ("start -> f", *(f"f -> {b}" for b in branches), *(f"{b} -> j" for b in branches), "j -> approved")
    raw = blueprint(BOB, variables=[AMOUNT], graph_spec=graph(*drawn, nodes=nodes))
    shop.machine.gate = asyncio.Event()
    handle = await shop.start(raw, children=child())
    inner = await child_of(shop, handle)
    await until(lambda: _jobs(shop))
    first = (await handle.describe()).run_id
    for _ in range(4):
        await _comments(handle, 50)
    assert (await handle.describe()).run_id == first, "the action's result would be lost"
    shop.machine.gate.set()
    count = 0
    while (await handle.describe()).run_id == first:
        await _comments(handle, 25)
        count += 1
        assert count < 40, "the server never suggested to continue as new"
    assert (await inner.describe()).status is WorkflowExecutionStatus.RUNNING
    await handle.execute_update(ApprovalWorkflow.happened, Happened(by=by("x", admin=True), name="go"))
    await decide(inner, "bob")
    await until(lambda: _with(shop, handle, "child_ended"))
    await decide(handle, "bob")
    assert (await handle.result()).outcome == "approved"


async def test_people_who_are_told_have_a_notice_in_the_outbox_and_the_request_goes_on(shop: Shop) -> None:
    told = {"type": "notify", "to": ["user:ann", "user:nobody"], "message": {"expr": '"For " + string(amount)'}}
    drawn = graph("start -> tell", "tell -> approved", nodes={"tell": told})
    handle = await shop.start(blueprint(variables=[AMOUNT], graph_spec=drawn), given={"amount": "7"})
    assert (await handle.result()).outcome == "approved"
    assert await shop.kinds(handle.id) == ["started", "informed", "completed"]
    with reading(shop.database) as session:
        rows = session.scalars(select(Outbox).where(col(Outbox.request_id) == handle.id)).all()
        [entry] = [row for row in timelines.of_request(session.connection(), handle.id) if row.kind == "informed"]
    assert [(row.person, row.seq) for row in rows if row.event == "informed"] == [("ann", entry.seq)]
    assert (entry.detail["why"], entry.detail["missing"]) == ("For 7", ["user:nobody"])
    await replays(shop.desk.client, handle)


async def _comments(handle: Handle, count: int) -> None:
    texts = [Comment(by=by("ann"), text="x" * 9000) for _ in range(count)]
    await asyncio.gather(*(handle.execute_update(ApprovalWorkflow.comment, text) for text in texts))


async def _jobs(shop: Shop) -> list[ActionJob]:
    return shop.machine.jobs


async def _children(handle: Handle) -> Any:
    return (await state_of(handle)).children


async def _with(shop: Shop, handle: Handle, kind: str) -> list[str]:
    kinds = await shop.kinds(handle.id)
    return kinds if kind in kinds else []

"""The courses of events that are recorded: each ends, and together they take every way through the workflow."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from temporalio.testing import TimeSkipper, TimeSkippingConfig

from activities.decision_tokens import DecisionTokens
from placet.definition.model import parse_definition
from placet.engine.events import (
    AddApprover,
    Claim,
    Comment,
    Delegate,
    Extend,
    Migrate,
    Reassign,
    Release,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.engine.state import State
from placet.plan.compiler import compile_plan
from placet.plan.plan import Child
from tests.approvals import EXPENSE, SECRET, Desk, by, store_people
from tests.clocks import machine_time
from tests.histories.actions import action, claimed, failing
from tests.histories.steps import HOUR, Handle, blueprint, decide, open_tasks
from tests.lost_tasks import lose
from tests.waiting import until
from workflows.approval import ApprovalWorkflow, SignedDecision

Scenario = Callable[[Desk], Awaitable[Handle]]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def one_step(desk: Desk) -> Handle:
    """Approve at once."""
    handle = await desk.start()
    await decide(handle, 1, "bob")
    return handle


async def split(desk: Desk) -> Handle:
    """Be asked at once where it stands: what the first task did is told in two."""
    handle = await desk.start()
    await asyncio.gather(*(handle.query(ApprovalWorkflow.recorded) for _ in range(5)))
    await decide(handle, 1, "bob")
    return handle


async def rejected(desk: Desk) -> Handle:
    """Reject with a comment."""
    handle = await desk.start()
    await decide(handle, 1, "bob", decision="reject", comment="too dear")
    return handle


async def escalation(desk: Desk) -> Handle:
    """Let reminders, warning, breach and two levels of escalation pass."""
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    handle = await desk.start(client=clock.client)
    for hours in (21, 2, 2, 24):
        await clock.fast_forward(handle, hours * HOUR)
    await decide(handle, 1, "carl")
    return handle


async def punctual(desk: Desk) -> Handle:
    """Let a timer that was armed ahead of its moment remind, and another one escalate."""
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    handle = await desk.start(client=clock.client)
    await handle.execute_update(
        ApprovalWorkflow.extend, Extend(by=by("olivia", admin=True), due_at=datetime.now(UTC) + 12 * HOUR)
    )
    for hours in (9, 4):
        await clock.fast_forward(handle, hours * HOUR)
    await decide(handle, 1, "dora")
    return handle


async def quorum(desk: Desk) -> Handle:
    """Have two of three approve; the third task closes as superseded."""
    step = {"approvers": ["user:bob", "user:dora", "user:carl"], "quorum": {"at_least": 2}}
    handle = await desk.start(blueprint(step))
    await decide(handle, 1, "bob")
    await decide(handle, 3, "carl")
    return handle


async def rework(desk: Desk) -> Handle:
    """Ask for changes, resubmit, comment, and approve in the second round."""
    handle = await desk.start()
    await decide(handle, 1, "bob", decision="request_changes", comment="which trip?")
    await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by("ann"), text="the one to Oslo"))
    await handle.execute_update(ApprovalWorkflow.resubmit, Resubmit(by=by("ann"), input={"amount": "90"}))
    await decide(handle, 2, "bob")
    return handle


async def hands(desk: Desk) -> Handle:
    """Reassign, delegate, extend, and decide by delegation."""
    handle = await desk.start(blueprint({"approvers": ["user:bob"], "sla_hours": 24}))
    task = f"{handle.id}.1"
    await handle.execute_update(ApprovalWorkflow.reassign, Reassign(by=by("bob"), task_id=task, to="user:dora"))
    await handle.execute_update(ApprovalWorkflow.delegate, Delegate(by=by("dora"), task_id=task, to="user:carl"))
    await handle.execute_update(ApprovalWorkflow.extend, Extend(by=by("olivia", admin=True), seconds=18_000))
    await decide(handle, 1, "carl")
    return handle


async def approvers(desk: Desk) -> Handle:
    """Add an approver, who is asked again in the next round."""
    handle = await desk.start(blueprint({"approvers": ["user:bob"]}))
    event = AddApprover(by=by("bob"), task_id=f"{handle.id}.1", to="user:carl", reason="Carl signs for it.")
    await handle.execute_update(ApprovalWorkflow.add_approver, event)
    await decide(handle, 2, "carl", decision="request_changes", comment="Which one?")
    await handle.execute_update(ApprovalWorkflow.resubmit, Resubmit(by=by("ann"), input={"amount": "90"}))
    await decide(handle, 3, "bob")
    await decide(handle, 4, "carl")
    return handle


async def undo(desk: Desk) -> Handle:
    """Undo a decision while it can be undone, decide otherwise, and let that decision stand by the timer."""
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    handle = await desk.start(blueprint({"approvers": ["user:bob"], "undo_seconds": 3_600}), client=clock.client)
    await decide(handle, 1, "bob", decision="reject", comment="too dear")
    await handle.execute_update(ApprovalWorkflow.undo, Undo(by=by("bob"), task_id=f"{handle.id}.1"))
    await decide(handle, 1, "bob")
    await clock.fast_forward(handle, 2 * HOUR)
    return handle


async def queue(desk: Desk) -> Handle:
    """Claim from a queue, release, and claim again."""
    handle = await desk.start(blueprint({"approvers": ["role:cfo"], "claim": True}))
    task = f"{handle.id}.1"
    await handle.execute_update(ApprovalWorkflow.claim, Claim(by=by("carl"), task_id=task))
    await handle.execute_update(ApprovalWorkflow.release, Release(by=by("carl"), task_id=task))
    await handle.execute_update(ApprovalWorkflow.claim, Claim(by=by("carl"), task_id=task))
    await decide(handle, 1, "carl")
    return handle


async def branch(desk: Desk) -> Handle:
    """Take a decision's condition to a second stage."""
    graph = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "first", "type": "approval", "step": "Stage 1"},
            {"id": "large", "type": "decision"},
            {"id": "second", "type": "approval", "step": "Stage 2"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "first"},
            {"from": "first", "to": "large", "on": "approved"},
            {"from": "first", "to": "no", "on": "rejected"},
            {"from": "large", "to": "second", "condition": "amount > 50"},
            {"from": "large", "to": "yes", "default": True},
            {"from": "second", "to": "yes", "on": "approved"},
            {"from": "second", "to": "no", "on": "rejected"},
        ],
    }
    handle = await desk.start(blueprint({}, {"approvers": ["role:cfo"]}, graph_spec=graph))
    await decide(handle, 1, "bob")
    await decide(handle, 2, "carl")
    return handle


async def withdrawn(desk: Desk) -> Handle:
    """Withdraw an open request."""
    handle = await desk.start()
    await handle.execute_update(
        ApprovalWorkflow.withdraw, Withdraw(by=by("ann"), how="withdrawn", reason="bought by myself")
    )
    return handle


async def cancelled(desk: Desk) -> Handle:
    """Cancel from outside, as the Temporal Web UI does."""
    handle = await desk.start()
    await until(lambda: open_tasks(handle), what="the first task")
    await handle.cancel()
    return handle


async def signals(desk: Desk) -> Handle:
    """Decide by signed signal, after one whose signature does not hold."""
    handle = await desk.start()
    await until(lambda: open_tasks(handle), what="the first task")
    task = f"{handle.id}.1"
    good = DecisionTokens(SECRET, machine_time).issue("bob", task, 1, decision="approve")
    for token in ("forged", good):
        await handle.signal(
            ApprovalWorkflow.decide_by_signal, SignedDecision(token=token, task_id=task, decision="approve")
        )
    return handle


async def malformed(desk: Desk) -> Handle:
    """Take signals that are none, and put them on record."""
    handle = await desk.start()
    await until(lambda: open_tasks(handle), what="the first task")
    await handle.signal("decide")
    await handle.signal("decide", {"token": 1, "task_id": f"{handle.id}.1"})
    await decide(handle, 1, "bob")
    return handle


async def left(desk: Desk) -> Handle:
    """Read the directory again while a task is open."""
    handle = await desk.start()
    await until(lambda: open_tasks(handle), what="the first task")
    await handle.signal(ApprovalWorkflow.directory_changed)
    await decide(handle, 1, "bob")
    return handle


async def ahead(desk: Desk) -> Handle:
    """Take back what a workflow task has stored that was lost, and that nobody has repeated."""
    handle = await desk.start()
    await until(lambda: open_tasks(handle), what="the first task")
    await lose(desk.database, handle)
    await handle.signal(ApprovalWorkflow.store_ahead)
    await until(lambda: _has(handle, entries=3), what="the entry that takes back")
    await decide(handle, 1, "bob")
    return handle


async def absence(desk: Desk) -> Handle:
    """Have a substitute decide one stage, and give the next one back with the end of the absence."""
    await _eve_is_away(desk)
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    step = {"approvers": ["user:eve"], "separation_of_duties": {"repeat": "carry"}}
    handle = await desk.start(blueprint(step, step), client=clock.client)
    await decide(handle, 1, "zoe")
    await clock.fast_forward(handle, 4 * HOUR)
    await decide(handle, 2, "eve")
    return handle


async def choice(desk: Desk) -> Handle:
    """Pass people over where a stage opens and where its tasks escalate: the requester, who is away, who has a seat."""
    await _eve_is_away(desk)
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    names = ["user:ann", "user:eve", "role:cfo", "role:pilot"]
    step = {"approvers": names, "sla_hours": 1, "escalation_to": "department_head"}
    handle = await desk.start(blueprint(step), client=clock.client)
    await clock.fast_forward(handle, 2 * HOUR)
    await decide(handle, 1, "dora")
    return handle


async def added(desk: Desk) -> Handle:
    """Add somebody who is away, and have their substitute decide for them."""
    await _eve_is_away(desk)
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    step = {"approvers": ["user:bob"], "sla_hours": 1, "escalation": [{"to": "user:eve", "action": "add"}]}
    handle = await desk.start(blueprint(step), client=clock.client)
    await clock.fast_forward(handle, 2 * HOUR)
    await decide(handle, 1, "zoe", stands_in=True)
    return handle


async def notify(desk: Desk) -> Handle:
    """Tell people something before and after a stage, some of whom there are not."""
    graph = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "asked", "type": "notify", "to": ["user:bob", "role:pilot"], "message": "It is asked for."},
            {"id": "first", "type": "approval", "step": "Stage 1"},
            {"id": "told", "type": "notify", "to": ["requester"], "message": {"expr": '"For " + string(amount)'}},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
        ],
        "edges": [
            {"from": "start", "to": "asked"},
            {"from": "asked", "to": "first"},
            {"from": "first", "to": "told", "on": "approved"},
            {"from": "told", "to": "yes"},
        ],
    }
    amount = {"name": "amount", "type": "decimal", "required": True}
    raw = blueprint({"approvers": ["user:bob"]}, variables=[amount], graph_spec=graph)
    handle = await desk.start(raw, given={"amount": "7"})
    await decide(handle, 1, "bob")
    return handle


async def fork(desk: Desk) -> Handle:
    """Go two ways at once, wait on one of them, and come together."""
    graph = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {"id": "both", "type": "fork"},
            {"id": "first", "type": "approval", "step": "Stage 1"},
            {"id": "pause", "type": "wait", "hours": 3},
            {"id": "together", "type": "join"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "both"},
            {"from": "both", "to": "first"},
            {"from": "both", "to": "pause"},
            {"from": "first", "to": "together", "on": "approved"},
            {"from": "first", "to": "no", "on": "rejected"},
            {"from": "pause", "to": "together"},
            {"from": "together", "to": "yes"},
        ],
    }
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    handle = await desk.start(blueprint({}, graph_spec=graph), client=clock.client)
    await decide(handle, 1, "bob")
    await clock.fast_forward(handle, 4 * HOUR)
    return handle


async def subprocess(desk: Desk) -> Handle:
    """Run another process, and go the way on that its outcome says."""
    handle, _ = await _with_child(desk)
    return handle


async def subprocess_child(desk: Desk) -> Handle:
    """Be that other process, and tell how it ended."""
    _, inner = await _with_child(desk)
    return inner


async def moved(desk: Desk) -> Handle:
    """Go on under a version with a longer deadline, another owner and one more stage, and end by its rules."""
    first = {"approvers": ["user:bob"], "sla_hours": 4}
    clock = TimeSkipper(desk.client, config=TimeSkippingConfig(enabled=False))
    handle = await desk.start(blueprint(first), client=clock.client)
    await clock.fast_forward(handle, 3 * HOUR)
    steps = {**first, "sla_hours": 48}, {"approvers": ["role:cfo"]}
    state: State = await handle.query(ApprovalWorkflow.state)
    later = parse_definition(blueprint(*steps, version="2.0.0", owner="role:department_head"))
    plan = compile_plan(later, start=state.started_at)
    event = Migrate(by=by("olivia", admin=True), plan=plan, template_id="later", seq=state.seq, reason="new policy")
    await handle.execute_update(ApprovalWorkflow.migrate, event)
    await clock.fast_forward(handle, 3 * HOUR)
    await decide(handle, 1, "bob")
    await decide(handle, 2, "carl")
    return handle


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__.replace("_", "-"): scenario
    for scenario in (
        one_step,
        split,
        rejected,
        escalation,
        punctual,
        quorum,
        rework,
        hands,
        approvers,
        undo,
        queue,
        branch,
        withdrawn,
        cancelled,
        signals,
        malformed,
        left,
        ahead,
        absence,
        choice,
        added,
        notify,
        fork,
        action,
        claimed,
        subprocess,
        subprocess_child,
        failing,
        moved,
    )
}


async def _with_child(desk: Desk) -> tuple[Handle, Handle]:
    """Run a process with a sub-process whose variables come back, and decide the one task in it."""
    graph = {
        "nodes": [
            {"id": "start", "type": "trigger"},
            {
                "id": "sub",
                "type": "subprocess",
                "template": "Inner",
                "input": {"amount": {"expr": "amount"}},
                "output": {"amount": "amount"},
            },
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "sub"},
            {"from": "sub", "to": "yes", "on": "approved"},
            {"from": "sub", "to": "no", "on": "rejected"},
        ],
    }
    inner = compile_plan(parse_definition({**blueprint({"approvers": ["user:bob"]}), "name": "Inner"}), start=START)
    outer = {key: value for key, value in EXPENSE.items() if key != "process_steps"} | {"graph_spec": graph}
    handle = await desk.start(outer, children={"Inner": Child(template_id="inner", plan=inner)})
    await until(lambda: _children(handle), what="the sub-process")
    child: Handle = desk.client.get_workflow_handle_for(ApprovalWorkflow.run, f"{handle.id}~1")
    await until(lambda: open_tasks(child), what="the sub-process's task")
    await decide(child, 1, "bob")
    await handle.result()
    return handle, child


async def _children(handle: Handle) -> int:
    state: State = await handle.query(ApprovalWorkflow.state)
    return len(state.children)


async def _eve_is_away(desk: Desk) -> None:
    """Let eve be away for three hours from now, and zoe stand in for her."""
    now = datetime.now(UTC)
    away = {"from": (now - HOUR).isoformat(), "until": (now + 3 * HOUR).isoformat(), "substitute": "zoe"}
    await store_people(desk.database, ({"id": "eve", "away": [away]}, {"id": "zoe"}))


async def _has(handle: Handle, *, entries: int) -> bool:
    state: State = await handle.query(ApprovalWorkflow.state)
    return state.seq >= entries

"""No simulation changes anything: every table, the mailbox, the webhook sink and the engine are the same after it.

The process does all that a process can do to the world: it asks people, sends mail, calls an HTTP server, starts
another request and a sub-process. Each of it really happens for a real request here, so a simulation that let any of it
through would show.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlmodel import SQLModel
from temporalio.client import Client

from activities.notifications.channels.webhook_secrets import WebhookSecrets
from storage.database import Database
from tests.acceptance.test_simulations import PATH, simulate
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import SECRET, worker
from tests.dispatching import dispatching, settings_for
from tests.integration.test_channels import add_endpoint
from tests.mailbox import FaultyMailbox
from tests.receiver import Receiver
from tests.stored import reading
from tests.unit.core import blueprint, graph
from tests.waiting import until
from worker.actions import action_worker
from worker.catalog import seed_catalog
from workflows.approval import Answer, ApprovalWorkflow

OWN = {"workflow_simulation", "workflow_simulation_row"}
NOTED = {("api_token", "last_used_at")}  # by each call, whatever it asks for
AMOUNT = {"name": "amount", "type": "decimal", "required": True}
CHILD = blueprint({"stage_name": "Check"}, variables=[AMOUNT], name="Check")


@dataclass(kw_only=True)
class World:
    """Everything that a request can leave a trace in."""

    desk: ApiDesk
    client: Client
    queue: str
    mailbox: FaultyMailbox
    receiver: Receiver

    async def photograph(self) -> dict[str, Any]:
        """Return every row of every table but for simulations' own, every mail, every call, and every workflow."""
        found: dict[str, Any] = {"mails": len(self.mailbox.mails()), "calls": len(self.receiver.got)}
        with reading(self.desk.database) as session:
            for table in SQLModel.metadata.sorted_tables:
                if table.name not in OWN:
                    columns = [column for column in table.columns if (table.name, column.name) not in NOTED]
                    rows = [repr(tuple(row)) for row in session.execute(select(*columns)).all()]
                    found[table.name] = sorted(row for row in rows if "'workflow_simulation_total'" not in row)
        async for one in self.client.list_workflows():
            if one.task_queue == self.queue or one.id.startswith("rehearsal-"):
                described = await self.client.get_workflow_handle(one.id, run_id=one.run_id).describe()
                found[f"workflow {one.id}"] = (described.status, described.history_length)
        return found

    async def settled(self) -> dict[str, Any]:
        """Return a photograph in which no notice is on its way any more."""
        taken = [await self.photograph()]

        async def quiet() -> dict[str, Any] | None:
            taken.append(await self.photograph())
            now = taken[-1]
            waiting = [row for row in now["outbox"] if "'ready'" in row or "'held'" in row]
            waiting += [row for row in now["notification_message"] if "'pending'" in row]
            # The endpoint was there before anything happened, so it gets every entry.
            posted = sum("'webhook:" in row for row in now["notification_message"])
            # And the engine's list of workflows is written a moment after each begins.
            listed = sum(name.startswith("workflow ") for name in now)
            caught_up = posted == len(now["audit_entry"]) and listed == len(now["approval_request"])
            return now if not waiting and caught_up and now == taken[-2] else None

        return await until(quiet, what="that all notices have left") or {}

    async def recorded(self, request_id: str) -> tuple[int, str] | None:
        """Tell what history holds of a request, as a worker asks before a notice leaves."""
        answer: Answer = await self.client.get_workflow_handle(request_id).query(ApprovalWorkflow.recorded)
        return answer.seq, answer.head


@pytest_asyncio.fixture
async def world(
    database: Database,
    client: Client,
    mailbox: FaultyMailbox,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """Give a whole installation: API, workers for approvals and for actions, and the turns of notifications."""
    host = receiver.url.split("/")[2]
    for name, value in {
        "ACTION_HOSTS": host,
        "ACTION_PRIVATE": "1",
        "SMTP_HOST": mailbox.host,
        "SMTP_PORT": str(mailbox.port),
        "SMTP_TLS": "none",
        "MAIL_FROM": "placet@example.org",
    }.items():
        monkeypatch.setenv(f"PLACET_{name}", value)
    await seed_catalog(database)
    await add_endpoint(database, receiver.url)
    queue = f"world-{uuid.uuid4().hex[:8]}"
    settings = settings_for(mailbox, webhook_allow_loopback=True)
    async with (
        worker(client, database, queue),
        action_worker(client, database, task_queue=queue),
        api_desk(database, client, task_queue=queue) as desk,
    ):
        for person in ("adam", "ann", "bob", "desi"):
            await desk.token(person)
        found = World(desk=desk, client=client, queue=queue, mailbox=mailbox, receiver=receiver)
        async with dispatching(database, settings, confirm=found.recorded, secrets=WebhookSecrets(SECRET, settings)):
            yield found


def everything(url: str, child: str) -> dict[str, Any]:
    """Return a process that does all that a process can do to the world."""
    mail = {"to": "ann@example.com", "subject": "Begun", "text": "It has begun."}
    nodes: dict[str, dict[str, Any]] = {
        "call": {"type": "action", "action": "http_call", "input": {"url": url, "method": "POST", "body": {}}},
        "mail": {"type": "action", "action": "send_mail", "input": mail},
        "other": {
            "type": "action",
            "action": "create_request",
            "input": {"template": child, "input": {"amount": {"expr": "amount"}}},
        },
        "inner": {"type": "subprocess", "template": child, "input": {"amount": {"expr": "amount"}}},
        "boss": {"type": "approval", "step": "Boss"},
    }
    edges = ("start -> call", "call -> mail", "mail -> other", "other -> inner", "inner -> boss")
    return blueprint(
        {"stage_name": "Boss", "approvers": ["manager_of(requester)"], "sla_hours": 24},
        variables=[AMOUNT],
        graph_spec=graph(*edges, "boss -> approved", nodes=nodes, ends=("approved",)),
    )


async def test_no_mode_changes_anything_but_its_own_record(world: World) -> None:
    desk = world.desk
    child = await desk.publish(CHILD)
    name = await desk.publish(everything(world.receiver.url, child))
    done = await desk.start(name, amount="7")
    await _decided(desk, done)
    running = await desk.start(name, amount="8")
    await until(lambda: _tasks(desk, 2), what="the tasks of the other request and of the sub-process")
    before = await world.settled()
    assert before["mails"] >= 3, "mails went out for a real request"
    assert before["calls"] >= 3, "and calls"

    shorter = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 1 / 3600}]
    orders: list[dict[str, Any]] = [
        {"mode": "explore", "template": name, "input": {"amount": "1"}},
        {"mode": "rehearse", "template": name, "input": {"amount": "1"}},
        {"mode": "rehearse", "template": name, "input": {"amount": "1"}, "script": {"Boss": "wait"}, "horizon_days": 3},
        {"mode": "replay", "request_id": done["id"]},
        {"mode": "replay", "request_id": running["id"], "patch": shorter},
        {"mode": "backtest", "template": name, "patch": shorter},
        {"mode": "shadow", "template": name, "patch": shorter, "for_hours": 0},
        {"mode": "shadow", "template": name, "patch": shorter, "for_hours": 3 / 3600},
    ]
    for order in orders:
        found = await simulate(desk, **order, as_="adam")
        assert found["status"] == "completed", found
        assert await world.photograph() == before, order
        if order == {"mode": "replay", "request_id": done["id"]}:  # and what its actions came to is known
            assert [row for row in found["timelines"] if not row["same"]] == []
    priced = await desk.get(
        f"/workflow/requests/{done['id']}/cost/?approver_hour=60&notice=0.10&minutes_per_decision=30"
    )
    cost = priced.json()
    assert (priced.status_code, cost["running"], cost["decisions"]) == (200, False, {"user:bob": 1})
    assert cost["action_runs"] == {"create_request": 1, "http_call": 1, "send_mail": 1}
    assert cost["approvers"] == "30.00"
    assert float(cost["total"]) == 30 + cost["notices"] * 0.1
    assert (await desk.get(f"/workflow/requests/{done['id']}/cost/", as_="desi")).status_code == 404
    assert len((await desk.get(PATH, as_="adam")).json()["items"]) == len(orders)


async def _tasks(desk: ApiDesk, count: int = 1) -> list[dict[str, Any]]:
    """Return bob's open tasks once there are so many."""
    found = (await desk.get("/workflow/tasks/?assignee=me&status=open", as_="bob")).json()["items"]
    return list(found) if len(found) >= count else []


async def _decided(desk: ApiDesk, request: dict[str, Any]) -> None:
    """Have bob approve whatever comes until the request is approved and nothing is left."""

    async def ended() -> bool:
        for task in await _tasks(desk):
            await desk.post(f"/workflow/tasks/{task['id']}/decide/", {"decision": "approve"}, as_="bob")
        found = (await desk.get(f"/workflow/requests/{request['id']}/")).json()
        assert found["outcome"] in {None, "approved"}, found
        return found["outcome"] == "approved" and not await _tasks(desk)

    await until(ended, what="the approval")

"""Undoing a decision, on the real engine and over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from placet.engine.events import Decide, Undo
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, by, desk, store_people, worker
from tests.integration.test_workflow import kinds_of, rows_of, standing, state_of
from tests.pages import browser_of, send
from tests.replays import replay
from tests.waiting import until
from worker.jobs import presence_job
from workflows.approval import ApprovalWorkflow

LONG = 86_400
UNDOABLE: dict[str, Any] = {
    **EXPENSE,
    "process_steps": [{"stage_name": "Manager Approval", "undo_seconds": LONG, "sla_hours": 24}],
}


@pytest_asyncio.fixture
async def there(database: Database, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"undo-{uuid.uuid4().hex[:8]}"
    async with (
        worker(client, database, queue),
        presence_job(database, client, queue),
        api_desk(database, client, task_queue=queue) as opened,
    ):
        yield opened


async def test_a_decision_stands_when_the_one_timer_says_so_and_cannot_be_undone_after(
    client: Client, database: Database
) -> None:
    await store_people(database)
    async with desk(client, database) as office:
        clock = standing(client)
        handle = await office.start(UNDOABLE, client=clock.client)
        task = f"{handle.id}.1"
        await handle.execute_update(ApprovalWorkflow.decide, Decide(by=by("bob"), task_id=task, decision="reject"))
        await clock.fast_forward(handle, timedelta(hours=20))
        await handle.execute_update(ApprovalWorkflow.undo, Undo(by=by("bob"), task_id=task))
        assert [t.id for t in (await state_of(handle)).open_tasks] == [task]
        await handle.execute_update(ApprovalWorkflow.decide, Decide(by=by("bob"), task_id=task, decision="approve"))
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(ApprovalWorkflow.undo, Undo(by=by("dora"), task_id=task))
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "NotPermitted"
        await clock.fast_forward(handle, timedelta(hours=25))
        answer = await handle.result()
        assert (answer.status, answer.outcome) == ("completed", "approved")
        rows = await rows_of(database, handle)
        assert [row.kind for row in rows[2:]] == [
            *("decided", "decision_undone", "decided", "decision_stands", "stage_settled", "completed")
        ]
        assert timedelta(0) <= rows[5].at - rows[4].at - timedelta(seconds=LONG) < timedelta(minutes=5)
        await replay(handle)
        assert await kinds_of(database, handle) == [row.kind for row in rows]


async def test_an_undone_decision_is_open_again_for_who_decided_and_nobody_else(there: ApiDesk) -> None:
    request = await there.start(await there.publish(UNDOABLE), amount=1)
    task = request["tasks"][0]["id"]
    decided = await there.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob", key="first")
    assert (decided.status_code, decided.json()["status"]) == (200, "pending")
    shown = decided.json()["tasks"][0]
    assert (shown["status"], shown["decision"], shown["undo_until"] is not None) == ("decided", "approve", True)
    twice = await there.post(f"/workflow/tasks/{task}/decide/", {"decision": "reject"}, as_="bob")
    assert (twice.status_code, twice.json()["standing"]["undo_until"]) == (409, shown["undo_until"])

    for other in ("dora", "olivia", "adam"):
        refused = await there.post(f"/workflow/tasks/{task}/undo/", as_=other)
        assert refused.status_code in {403, 404}, refused.text
    undone = await there.post(f"/workflow/tasks/{task}/undo/", {}, as_="bob", key="undo")
    assert undone.status_code == 200, undone.text
    assert undone.json()["tasks"] == request["tasks"]
    again = await there.post(f"/workflow/tasks/{task}/undo/", {}, as_="bob", key="undo")
    assert again.json() == undone.json()
    nothing = await there.post(f"/workflow/tasks/{task}/undo/", {}, as_="bob")
    assert nothing.status_code == 409

    # The first decision's key is answered as before, and decides nothing.
    assert (
        await there.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob", key="first")
    ).json() == decided.json()
    assert (await there.get(f"/workflow/tasks/{task}/", as_="bob")).json()["status"] == "open"

    timeline = (await there.get(f"/workflow/requests/{request['id']}/timeline/")).json()["items"]
    assert [item["kind"] for item in timeline][-2:] == ["decided", "decision_undone"]
    checked = (await there.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()
    assert checked["ok"] is True, checked


async def test_a_form_that_is_sent_again_after_an_undo_decides_nothing(
    there: ApiDesk,
) -> None:
    request = await there.start(await there.publish(UNDOABLE), amount=1)
    task = request["tasks"][0]["id"]
    form = {"decision": "approve", "revision": "1", "key": "of this page"}
    browser = await browser_of(there, "bob")
    sent = await send(browser, f"/tasks/{task}/decide", **form)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/?done=approve&undo={task}")
    notice = (await browser.get(sent.headers["location"])).text
    assert f'action="/tasks/{task}/undo"' in notice
    undone = await send(browser, f"/tasks/{task}/undo", back="/?tab=mine")
    assert (undone.status_code, undone.headers["location"]) == (303, "/?tab=mine&done=undo")
    again = await send(browser, f"/tasks/{task}/decide", **form)
    assert again.status_code == 409
    assert "You have undone this decision" in again.text
    late = await send(browser, f"/tasks/{task}/undo")
    assert late.status_code == 409
    assert "There is nothing to undo" in late.text
    other = await send(browser, f"/tasks/{task}/decide", **(form | {"key": "of another page"}))
    assert "undo=" in other.headers["location"]
    browser = await browser_of(there, "dora")
    hers = await browser.get("/", params={"undo": task})
    assert hers.status_code == 200
    assert f"/tasks/{task}/undo" not in hers.text


async def test_after_its_time_an_undo_is_answered_with_what_stands(there: ApiDesk) -> None:
    step = {"stage_name": "Manager Approval", "undo_seconds": 0.1}
    request = await there.start(await there.publish(EXPENSE, process_steps=[step]), amount=1)
    task = request["tasks"][0]["id"]
    await there.post(f"/workflow/tasks/{task}/decide/", {"decision": "reject", "comment": "no"}, as_="bob")

    async def ended() -> bool:
        return bool((await there.get(f"/workflow/requests/{request['id']}/")).json()["status"] == "completed")

    await until(ended)
    late = await there.post(f"/workflow/tasks/{task}/undo/", as_="bob")
    assert late.status_code == 409
    standing_one = late.json()["standing"]
    assert (standing_one["decision"], standing_one["decided_by"], standing_one["outcome"]) == (
        *("reject", "user:bob", "rejected"),
    )
    checked = (await there.get(f"/workflow/requests/{request['id']}/audit/verify/")).json()
    assert checked["ok"] is True, checked


async def test_whoever_takes_a_request_over_lets_its_decisions_stand(client: Client, database: Database) -> None:
    """The worker that took the decision is gone; what it left is in the state, and the timer in the engine."""
    await store_people(database)
    async with desk(client, database) as office:
        handle = await office.start({**EXPENSE, "process_steps": [{"stage_name": "Manager", "undo_seconds": 3}]})
        decide = Decide(by=by("bob"), task_id=f"{handle.id}.1", decision="approve")
        await handle.execute_update(ApprovalWorkflow.decide, decide)
    async with worker(client, database, office.task_queue):
        assert (await handle.result()).outcome == "approved"
    assert (await kinds_of(database, handle)).count("decision_stands") == 1

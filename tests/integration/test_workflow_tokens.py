"""Tokens and messages that nobody should have sent: they stop nothing, and a token ends with what it was for."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
)

from activities.decision_tokens import DecisionTokens
from placet.audit.reasons import WORDS
from placet.engine import machine
from placet.engine.events import AddApprover, Comment, Delegate, Reassign
from placet.engine.state import State
from placet.errors import Unavailable
from storage.database import Database
from storage.queries.people import people
from storage.queries.requests import requests
from storage.queries.requests.deciders import refusal_of_token
from tests.approvals import SECRET, Desk, by, desk, person, store_people
from tests.clocks import machine_time
from tests.integration.test_workflow_messages import decide, entries_of, nested, raw, refused, signed, state_of
from tests.stored import reading, writing
from tests.waiting import until
from workflows import local_activities
from workflows.approval import ApprovalWorkflow


@pytest_asyncio.fixture
async def office(client: Client, database: Database) -> AsyncIterator[Desk]:
    await store_people(database)
    async with desk(client, database) as there:
        yield there


@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_a_token_is_checked_until_the_database_answers(
    office: Desk, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    handle = await office.start()
    await until(lambda: entries_of(office.database, handle, "task_opened"))
    read, asked = Database.read, 0

    async def away(self: Database, work: Any, *args: Any) -> Any:
        nonlocal asked
        asked += work is refusal_of_token
        if work is refusal_of_token and asked < 4:
            if how == "hangs":
                await asyncio.Event().wait()
            raise Unavailable("The database does not answer")
        return await read(self, work, *args)

    monkeypatch.setattr(Database, "read", away)
    monkeypatch.setattr(local_activities, "LOCAL_TIMEOUT", timedelta(seconds=1))  # of one attempt
    await handle.signal(
        "decide", signed(handle, DecisionTokens(SECRET, machine_time).issue("bob", f"{handle.id}.1", 1))
    )
    assert (await handle.result()).outcome == "approved"
    assert asked >= 4


@pytest.mark.parametrize(
    "form",
    [nested(150), nested(500), {"n": float("inf")}, {"n": "\0"}, {"n": 10**4000}, {"n": ["x"] * 200_000}],
    ids=["deep", "too deep to read", "infinite", "NUL", "a long number", "a megabyte"],
)
async def test_a_signal_with_any_content_stops_nothing(office: Desk, form: Any) -> None:
    handle = await office.start()
    token = DecisionTokens(SECRET, machine_time).issue("bob", f"{handle.id}.1", 1)
    sent = {"token": token, "task_id": f"{handle.id}.1", "decision": "approve", "form": form}
    await handle.signal("decide", raw(sent))
    await handle.signal("decide", sent | {"token": "x" * 1_000_000, "form": None})
    await handle.signal("child_ended", raw({"point": "p", "visit": 1, "outcome": "o" * 100_000, "output": form}))
    await handle.signal("directory_changed", raw(form))
    await handle.signal("no such signal", raw(form))
    assert await refused(office.database, handle)
    await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
    assert (await handle.result()).outcome == "approved"


async def test_a_token_dies_when_its_task_changes_hands_also_when_it_comes_back(office: Desk) -> None:
    handle = await office.start()
    task = f"{handle.id}.1"
    token = DecisionTokens(SECRET, machine_time).issue("bob", task, 1, hand_overs=0)
    for giver, taker in (("bob", "dora"), ("dora", "bob")):
        event = Reassign(by=by(giver), task_id=task, to=f"user:{taker}")
        await handle.execute_update(ApprovalWorkflow.reassign, event)
    await handle.signal("decide", signed(handle, token))
    await refused(office.database, handle)
    with reading(office.database) as session:
        stored = requests.read(session.connection(), handle.id).tasks[0]
    assert (stored.assignee, stored.status, stored.hand_overs) == ("bob", "open", 2)
    fresh = DecisionTokens(SECRET, machine_time).issue("bob", task, 1, hand_overs=stored.hand_overs)
    await handle.signal("decide", signed(handle, fresh))
    assert (await handle.result()).outcome == "approved"


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"active": False}, "token_left"), ({"access": []}, "token_without_access")],
    ids=["left", "approves nothing any more"],
)
async def test_a_token_says_nothing_once_its_person_has_left(office: Desk, changed: dict[str, Any], code: str) -> None:
    handle = await office.start()
    await until(lambda: entries_of(office.database, handle, "task_opened"))
    token = DecisionTokens(SECRET, machine_time).issue("bob", f"{handle.id}.1", 1)
    with writing(office.database) as session:
        people.put(session.connection(), person(id="bob", manager="dora", **changed))
    await handle.signal("decide", signed(handle, token))  # before anybody told the request
    (row,) = await refused(office.database, handle)
    assert row.detail["why"] == WORDS[code]
    assert (await state_of(handle)).open_tasks[0].assignee == "bob"


@pytest.mark.parametrize("to", ["user:x\0y", "user:" + "x" * 100_000, "", "role:cfo", "manager_of(user:bob)"])
async def test_an_update_that_names_no_person_is_refused_and_stops_nothing(office: Desk, to: str) -> None:
    handle = await office.start()
    named = {"by": by("bob"), "task_id": f"{handle.id}.1", "to": to, "reason": "So."}
    for offer, event in (
        (ApprovalWorkflow.reassign, Reassign(**named)),
        (ApprovalWorkflow.delegate, Delegate(**named)),
        (ApprovalWorkflow.add_approver, AddApprover(**named)),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(offer, event)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(ApprovalWorkflow.comment, Comment(by=by(to), text="as nobody"))
    await handle.execute_update(ApprovalWorkflow.decide, decide(handle, "bob"))
    assert (await handle.result()).outcome == "approved"


async def test_what_the_validator_worked_out_is_what_the_handler_applies(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await office.start()
    await until(lambda: entries_of(office.database, handle, "task_opened"), what="the task")
    applied = []

    def counting(plan: Any, state: State, event: Any, now: datetime) -> Any:
        applied.append(event)
        return apply(plan, state, event, now)

    apply = machine.apply
    monkeypatch.setattr(machine, "apply", counting)
    await handle.execute_update(
        ApprovalWorkflow.comment, Comment(by=by("ann"), text="first", key="k1"), id=uuid.uuid4().hex
    )
    assert len(applied) == 1
    # The second of two at once was validated before the first changed the state, so it is worked out anew.
    await asyncio.gather(
        *(
            handle.execute_update(
                ApprovalWorkflow.comment, Comment(by=by("ann"), text=key, key=key), id=uuid.uuid4().hex
            )
            for key in ("k2", "k3")
        )
    )
    texts = [row.detail["why"] for row in await entries_of(office.database, handle, "commented")]
    assert (texts[0], sorted(texts[1:])) == ("first", ["k2", "k3"])

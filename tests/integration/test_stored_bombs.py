"""What was stored before there was a bound: it is refused where it is used, and hangs neither worker nor API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update
from sqlmodel import col
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from placet.definition import fields
from placet.engine.events import Actor, Decide
from storage.database import Database
from storage.tables.approvals import DefinitionVersion
from tests import bombs
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.approvals import EXPENSE, Desk, desk, store_people
from tests.stored import writing
from workflows.approval import ApprovalWorkflow

NODE = {"$ref": "#/$defs/n"}
FORMS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "nested references": (bombs.doubling(30, "oneOf"), {"a": 1}, bombs.EXPANSIONS),
    "a reference to itself": ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, {"a": 1}, bombs.ENDLESS),
    "a tree": (
        {"$defs": {"n": {"properties": {"a": {"anyOf": [NODE, NODE]}}, "required": ["z"]}}, **NODE},
        bombs.deep(28),
        bombs.STEPS,
    ),
}


@pytest_asyncio.fixture
async def office(client: Client, database: Database) -> AsyncIterator[Desk]:
    await store_people(database)
    async with desk(client, database) as there:
        yield there


@pytest_asyncio.fixture
async def alone(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened
    await database.close()


@pytest.mark.parametrize("name", FORMS)
async def test_a_decision_on_a_form_that_asks_for_too_much_is_refused_and_the_request_goes_on(
    office: Desk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, filled, bound = FORMS[name]
    step = {"stage_name": "Manager Approval", "form": form}
    with monkeypatch.context() as before:
        before.setattr(fields, "check_schema", lambda _: None)
        handle = await office.start(EXPENSE | {"process_steps": [step]})

    def decide(decision: Any, **more: Any) -> Decide:
        return Decide(by=Actor(person="bob"), task_id=f"{handle.id}.1", decision=decision, **more)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(ApprovalWorkflow.decide, decide("approve", form=filled))
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "InputInvalid"
    assert bound in json.dumps(cause.details)
    await handle.execute_update(ApprovalWorkflow.decide, decide("reject"))
    assert (await handle.result()).outcome == "rejected"


async def test_a_published_blueprint_whose_form_asks_for_too_much_starts_nothing(alone: ApiDesk) -> None:
    name = await alone.publish()
    step = EXPENSE["process_steps"][0] | {"form": bombs.doubling(30, "oneOf")}
    raw = EXPENSE | {"name": name, "process_steps": [step]}
    with writing(alone.database) as session:
        changed = update(DefinitionVersion).where(col(DefinitionVersion.name) == name)
        session.execute(changed.values(blueprint=raw, digest="of before"))
    answer = await alone.post("/workflow/requests/", {"template": name, "input": {"amount": "7"}})
    assert answer.status_code == 422
    assert pointers(answer) == ["/process_steps/0/form"]
    assert bombs.EXPANSIONS in answer.text

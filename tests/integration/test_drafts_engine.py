"""A draft of a running process is mended, rehearsed and published, and its running requests move to it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from placet.errors import BlueprintInvalid, NotPermitted
from service.drafts import drafts
from service.drafts.analysis import analyse, preflight, rehearse
from service.migration.move import MoveOrder, move
from service.migration.preflight import Selection
from service.principal import Principal
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, context_of
from tests.approvals import worker
from tests.waiting import until

EXPENSE = json.loads((Path(__file__).parents[2] / "blueprints" / "expense.json").read_text())
DESI = Principal(person="desi", access=frozenset({"designer"}))
ADAM = Principal(person="adam", access=frozenset({"admin"}))


@pytest_asyncio.fixture
async def desk(sqlite_url: str, client: Client) -> AsyncIterator[ApiDesk]:
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    database = Database(sqlite_url)
    async with worker(client, database, queue), api_desk(database, client, task_queue=queue) as opened:
        yield opened
    await database.close()


async def test_expense_is_edited_found_wanting_mended_rehearsed_published_and_moved_to(desk: ApiDesk) -> None:
    context = context_of(desk)
    name = await desk.publish(EXPENSE)
    request = await desk.start(name, amount="6000", department="sales")
    draft = await drafts.create(context, DESI, based_on=(name, None))
    gap = deepcopy(draft.content) | {"version": "1.1.0"}
    small = next(edge for edge in gap["graph_spec"]["edges"] if edge.pop("default", False))
    small["condition"] = "amount < 4000"
    saved = await drafts.save(context, DESI, draft.id, revision=1, content=gap)
    found = await analyse(context, DESI, saved.draft)
    (finding,) = [one for one in found.findings if one.code == "gap"]
    assert finding.witness is not None
    assert not found.publishable

    mended = deepcopy(draft.content) | {"version": "1.1.0"}
    large = next(edge for edge in mended["graph_spec"]["edges"] if edge.get("condition"))
    large["condition"] = "amount >= 4000"
    saved = await drafts.save(context, DESI, draft.id, revision=2, content=mended)
    assert (await analyse(context, DESI, saved.draft)).publishable
    rehearsed = await rehearse(context, DESI, saved.draft, {"input": finding.witness})
    result = await _ended(desk, rehearsed.row.id)
    assert (result["mode"], result["status"]) == ("rehearse", "completed"), result
    assert [one["stage"] for one in result["approval_chain"]] == ["Manager Approval", "CFO Approval"]

    selection = Selection()
    with pytest.raises(NotPermitted):
        await preflight(context, DESI, saved.draft, selection)
    verdicts, left_out = await preflight(context, ADAM, saved.draft, selection)
    assert [(one.request_id, one.verdict) for one in verdicts] == [(request["id"], "maps")]
    assert left_out == 0
    broken = await drafts.create(context, DESI, content={"name": name, "version": "9.0.0"})
    with pytest.raises(BlueprintInvalid):
        await preflight(context, ADAM, broken, selection)

    ended, _ = await drafts.publish(context, DESI, draft.id, revision=3)
    target = await context.database.read(drafts.version_of, ended)
    moved, _ = await move(context, ADAM, target, MoveOrder(selection=selection, key=uuid.uuid4().hex))
    assert [(one.request_id, one.result) for one in moved] == [(request["id"], "moved")]
    assert (await desk.get(f"/workflow/requests/{request['id']}/")).json()["version"] == "1.1.0"


async def _ended(desk: ApiDesk, simulation_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = (await desk.get(f"/workflow/workflow-simulations/{simulation_id}/", as_="desi")).json()
        return None if found["status"] == "running" else dict(found)

    found = await until(look, what="the end of the rehearsal")
    assert found is not None
    return found

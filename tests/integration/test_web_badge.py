"""The number of tasks that wait for the reader: it stands beside the word Inbox, on whatever page they are."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from sqlalchemy import update

from storage.database import Database
from storage.tables.approvals import ApprovalRequest
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.recordings import Story, write
from tests.pages import browser_of, send
from tests.stored import writing
from tests.unit.core import blueprint
from web.access import PAGES, PUBLIC

STEPS = {"stage_name": "Manager Approval", "approvers": ["user:adam"]}
PROCESS = blueprint(STEPS, variables=[{"name": "amount", "type": "decimal"}, {"name": "note", "type": "string"}])
# What is looked at elsewhere, because the pages need what no desk without an engine has; or is no page.
LEFT_OUT = {
    "/live",
    "/live/rows",
    "/live/forecasts",
    "/requests/{request_id}/people",
    "/requests/{request_id}/process.svg",
    "/processes/{template_id}/process.svg",
    "/drafts/{draft_id}/export",
    "/operations/people/{person_id}/export",
    "/tasks/{task_id}/consequences",
    "/tasks/{task_id}/receipt",
    "/drafts/{draft_id}/move",
    "/simulations/compare",
    "/preferences",
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


@pytest_asyncio.fixture
async def template_id(desk: ApiDesk) -> str:
    """Record a request that waits for Adam and of which no engine knows; return the version of its process."""
    name = await desk.publish(PROCESS, owner="user:desi")
    listed = (await desk.get("/workflow/process-templates/?limit=500", as_="desi")).json()["items"]
    template: str = next(one["id"] for one in listed if one["name"] == name)
    with writing(desk.database) as session:
        write(session, Story(request_id="r1").open("adam").recording(requester="ann"), datetime.now(UTC))
        session.execute(update(ApprovalRequest).values(template_id=template))
    return template


async def test_every_page_says_how_many_tasks_wait(
    desk: ApiDesk, template_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patience in ("service.verification._PATIENCE", "service.consequences.SECONDS_OF_ENGINE"):
        monkeypatch.setattr(patience, 0.05)
    process = (await desk.get(f"/workflow/process-templates/{template_id}/", as_="adam")).json()["name"]
    fast = {"name": "Fast", "template": process, "target_duration_seconds": 60}
    sla = await desk.post("/workflow/workflow-slas/", fast, as_="adam")
    draft = await desk.post("/workflow/blueprint-drafts/", {"content": PROCESS}, as_="adam")
    values = {
        "template_id": template_id,
        "request_id": "r1",
        "task_id": "r1.1",
        "draft_id": draft.json()["id"],
        "person_id": "bob",
        "identity": "action_catalog",
        "sla_id": sla.json()["id"],
    }
    adam = await browser_of(desk, "adam")
    looked, without = 0, []
    for page, rule in PAGES.items():
        method, path = page.split()
        if method == "GET" and rule is not PUBLIC and path not in LEFT_OUT:
            if set(re.findall(r"{(\w+)}", path)) - values.keys():
                continue  # of simulations, suggestions and the like
            looked += 1
            answer = await adam.get(path.format_map(values))
            if answer.status_code != 200 or 'id="badge">1<' not in answer.text:
                without.append(f"{path}: {answer.status_code}")
    assert without == []
    assert looked > 30


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/tasks/decide", {"task": "r1.1:1"}),
        ("/tasks/delegate", {"task": "r1.1:1"}),
        ("/tasks/delegate", {"task": "r1.1:1", "step": "delegate", "to": "no body"}),
        ("/operations/requests", {"verb": "cancel", "request": "r1"}),
    ],
)
async def test_what_is_done_to_several_says_it_as_well(
    desk: ApiDesk, template_id: str, path: str, form: dict[str, str]
) -> None:
    answer = await send(await browser_of(desk, "adam"), path, **form)
    assert 'id="badge">1<' in answer.text, (template_id, answer.status_code)

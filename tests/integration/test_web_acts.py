"""The page of administrative acts: who did what to what, each by its name, and by its id once it has none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest_asyncio

from activities.notifications.settings import NotifySettings
from api.routes.examples import EXPENSE_APPROVAL
from storage.database import Database
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    notify = NotifySettings(webhook_allow_loopback=True)
    async with api_desk(database, await no_engine(), seconds=0.2, notify=notify) as opened:
        yield opened


async def shown(desk: ApiDesk) -> dict[str, str]:
    """Return what each kind of act says that it was done to, in the words of the page."""
    page = (await (await browser_of(desk, "audrey")).get("/operations/acts")).text
    rows = re.findall(r'<strong class="title whole">(.*?)</strong>.*?<span class="whole">(.*?)</span>', page, re.DOTALL)
    return {unescape(word): unescape(target) for word, target in rows}


async def test_what_acts_were_done_to_is_called_by_its_name(desk: ApiDesk) -> None:
    content = {**EXPENSE_APPROVAL, "name": "Travel <b>costs</b>", "version": "7.0.0"}
    version = await desk.post("/workflow/process-templates/", content, as_="desi")
    assert version.status_code == 201, version.text
    draft = await desk.post("/workflow/blueprint-drafts/", {"content": {**content, "name": "Moves"}}, as_="desi")
    assert draft.status_code == 201, draft.text
    hook = await desk.post("/workflow/webhooks/", {"url": "http://127.0.0.1:9/", "description": "The ERP"}, as_="adam")
    token = await desk.post("/auth/tokens/", {"name": "My laptop"}, as_="zoe")
    assert (hook.status_code, token.status_code) == (201, 201), token.text
    await desk.call("PUT", "/workflow/people/gus/", as_="adam", body={"name": "Gus", "groups": ["legal"]})
    said = await shown(desk)
    assert said["Version of a process stored"] == "Travel <b>costs</b> 7.0.0"
    assert said["Draft begun"] == "Moves"
    assert said["Webhook added"] == "The ERP"
    assert said["API token made"] == "My laptop, Zoe"
    assert said["Person changed"] == "Gus"
    await desk.call("DELETE", f"/workflow/webhooks/{hook.json()['id']}/", as_="adam")
    assert (await shown(desk))["Webhook removed"] == hook.json()["id"]

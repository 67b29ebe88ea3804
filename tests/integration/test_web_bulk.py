"""Several requests at once, on the pages: what would happen to each is shown first, and what changed is left alone."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client

from storage.database import Database
from tests.api_desk import ApiDesk, api_desk
from tests.approvals import EXPENSE, worker
from tests.pages import browser_of, send

PATH = "/operations/requests"
ITEM = re.compile(r'name="item" value="([^"]+)"')
KEY = re.compile(r'name="key" value="([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Office:
    """Where admins act on several requests."""

    desk: ApiDesk
    browser: httpx.AsyncClient
    process: str

    async def start(self, *, as_: str = "ann", **more: Any) -> dict[str, Any]:
        body = {"template": self.process, "input": {"amount": "5"}, **more}
        made = await self.desk.post("/workflow/requests/", body, as_=as_)
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def read(self, request_id: str) -> dict[str, Any]:
        return dict((await self.desk.get(f"/workflow/requests/{request_id}/", as_="adam")).json())

    async def preview(self, verb: str, *requests: str, **form: str) -> str:
        page = await send(
            self.browser, PATH, verb=verb, request=list(requests), step="preview", reason="Tidy up", **form
        )
        assert page.status_code == 200, page.text
        return unescape(page.text)

    async def confirm(self, page: str, verb: str, **form: str) -> str:
        """Send the form of a preview; return the page with its results."""
        key, items = KEY.search(page), ITEM.findall(page)
        assert key is not None
        answer = await send(self.browser, PATH, verb=verb, step="do", reason="Tidy up", key=key[1], item=items, **form)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    async def kinds(self, request_id: str) -> list[tuple[str, str]]:
        found = (await self.desk.get(f"/workflow/requests/{request_id}/timeline/", as_="adam")).json()["items"]
        return [(line["kind"], line["actor"]) for line in found]

    async def acts(self, kind: str) -> list[dict[str, Any]]:
        return list((await self.desk.get(f"/workflow/admin-acts/?kind={kind}", as_="adam")).json()["items"])


@pytest_asyncio.fixture
async def office(sqlite_url: str, client: Client) -> AsyncIterator[Office]:
    database, queue = Database(sqlite_url), f"bulk-{uuid.uuid4().hex}"
    async with api_desk(database, client, task_queue=queue) as desk, worker(client, database, queue):
        process = await desk.publish(EXPENSE)
        yield Office(desk=desk, browser=await browser_of(desk, "adam"), process=process)
    await database.close()


async def test_what_the_preview_shows_is_what_happens_and_the_rest_is_left_out(office: Office) -> None:
    one, two, own = await office.start(), await office.start(), await office.start(as_="adam")
    ended = await office.start()
    await office.desk.post(f"/workflow/requests/{ended['id']}/withdraw/", {}, as_="ann")
    page = await office.preview("cancel", *(each["id"] for each in (one, two, own, ended)))
    assert "This would happen to 2" in page
    assert "2 are left out" in page
    assert "Nobody operates their own request" in page
    assert "The request has ended: withdrawn" in page
    assert page.count("The request ends as cancelled.") == 2
    assert (await office.read(one["id"]))["status"] == "pending", "a preview changes nothing"

    done = await office.confirm(page, "cancel")
    assert "2 of 2 done" in done
    for each in (one, two):
        assert (await office.read(each["id"]))["outcome"] == "cancelled"
        assert ("cancelled", "user:adam") in await office.kinds(each["id"])
    assert (await office.read(own["id"]))["status"] == "pending"
    end, begun = await office.acts("requests_cancelled")
    assert (begun["outcome"], set(begun["detail"]["items"])) == ("begun", {one["id"], two["id"]})
    assert (end["outcome"], end["detail"], end["way"]) == ("done", {"begun": begun["seq"], "done": 2}, "page")


async def test_what_changed_since_the_preview_is_left_alone_and_said(office: Office) -> None:
    one, two = await office.start(), await office.start()
    page = await office.preview("cancel", one["id"], two["id"])
    said = await office.desk.post(f"/workflow/requests/{two['id']}/comments/", {"text": "wait"}, as_="ann")
    assert said.status_code == 200, said.text
    done = await office.confirm(page, "cancel")
    assert "1 of 2 done" in done
    assert "The request has changed since it was read" in done
    assert (await office.read(two["id"]))["status"] == "pending"
    assert "1 of 2 done" in await office.confirm(page, "cancel"), "a form that comes twice counts once"
    assert [kind for kind, _ in await office.kinds(one["id"])].count("cancelled") == 1
    assert (await office.acts("requests_cancelled"))[0]["outcome"] == "partly"


async def test_all_tasks_of_somebody_who_left_go_to_another(office: Office) -> None:
    tasks = [(await office.start())["tasks"][0] for _ in range(2)]
    assert {task["assignee"] for task in tasks} == {"user:bob"}
    first = await send(office.browser, PATH, verb="reassign", holder="bob")
    assert "2 tasks" in first.text
    page = await office.preview("reassign", holder="bob", to="carl")
    assert "Carl gets it from Bob" in page
    done = await office.confirm(page, "reassign", to="carl")
    assert "2 of 2 done" in done
    found = [(await office.desk.get(f"/workflow/tasks/{task['id']}/", as_="adam")).json() for task in tasks]
    assert {task["assignee"] for task in found} == {"user:carl"}
    assert "This person has no open task" in (await send(office.browser, PATH, verb="reassign", holder="bob")).text
    refused = await office.preview("reassign", holder="carl", to="ann")
    assert "2 are left out" in refused
    assert "user:ann may not have this task" in refused
    assert (await office.acts("tasks_reassigned"))[1]["detail"]["to"] == "user:carl"


async def test_deadlines_of_all_that_match_are_extended(office: Office) -> None:
    one, other = await office.start(title="Trip to Rome"), await office.start(title="Desk")
    due = one["tasks"][0]["due_at"]
    listed = (await office.browser.get("/requests?whose=all&q=rome")).text
    assert 'name="everything"' in listed
    page = await office.preview("extend", everything="1", q="rome", hours="8")
    assert "This would happen to one" in page
    assert "instead of" in page
    assert "1 of 1 done" in await office.confirm(page, "extend", hours="8")
    assert (await office.read(one["id"]))["tasks"][0]["due_at"] > due
    assert (await office.read(other["id"]))["tasks"][0]["due_at"] == other["tasks"][0]["due_at"]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"verb": "cancel", "reason": " "}, "Say why"),
        ({"verb": "extend", "reason": "x", "hours": "0"}, "Enter the working hours"),
        ({"verb": "extend", "reason": "x", "hours": "NaN"}, "Enter the working hours"),
        ({"verb": "reassign", "reason": "x", "to": "no body"}, "Name a person"),
        ({"verb": "destroy", "reason": "x"}, "Choose what to do"),
    ],
)
async def test_what_is_missing_is_said(office: Office, form: dict[str, str], says: str) -> None:
    request = (await office.start())["id"]
    answer = await send(office.browser, PATH, request=request, step="preview", **form)
    assert answer.status_code == 422
    assert says in answer.text


async def test_only_admins_see_and_use_it(office: Office) -> None:
    request = (await office.start())["id"]
    for person in ("ann", "audrey"):
        browser = await browser_of(office.desk, person)
        assert PATH not in (await browser.get("/requests?whose=all")).text
        assert (await send(browser, PATH, verb="cancel", request=request)).status_code == 403
    assert "Nothing is selected" in (await send(office.browser, PATH, verb="cancel")).text

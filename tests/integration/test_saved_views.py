"""Saved views of the inbox: named, opened, renamed, deleted, and one of them the first that the inbox shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from storage.database import Database
from storage.queries.people.saved_views import LONGEST_NAME, MOST, of_person
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of, send


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


async def save(browser: httpx.AsyncClient, name: str, query: str = "tab=queues", **form: str) -> httpx.Response:
    return await send(browser, "/views", name=name, query=query, **form)


async def ids(desk: ApiDesk, person: str = "ann") -> dict[str, str]:
    return {view.name: view.id for view in await desk.database.read(of_person, person)}


async def test_a_view_is_saved_under_a_name_without_its_page_and_is_a_link_in_the_inbox(desk: ApiDesk) -> None:
    ann = await browser_of(desk, "ann")
    answer = await save(ann, "  Late \n ones ", "tab=mine&sla=breached&q=chair&cursor=abc&nonsense=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=chair&sla=breached&done=saved")
    page = (await ann.get("/?tab=mine")).text
    assert '<a href="/?q=chair&amp;sla=breached">Late ones</a>' in page
    shown = (await ann.get("/?sla=breached&q=chair")).text
    assert '<a href="/?q=chair&amp;sla=breached" aria-current="true">Late ones</a>' in shown
    assert "data-save-view" not in shown
    assert "data-save-view" in (await ann.get("/?q=table")).text
    assert "Late ones" not in (await (await browser_of(desk, "bob")).get("/")).text


async def test_the_inbox_opens_with_the_view_that_was_chosen_and_its_tabs_still_show_everything(desk: ApiDesk) -> None:
    ann = await browser_of(desk, "ann")
    await save(ann, "First", "q=first")
    await save(ann, "Queues", "tab=queues&q=desk", standard="1")
    assert 'value="desk"' in (await ann.get("/")).text
    assert 'value="desk"' in (await ann.get("/?done=saved")).text
    assert 'value="desk"' not in (await ann.get("/?tab=mine")).text
    assert 'class="clear" href="/?tab=queues"' in (await ann.get("/")).text
    await send(ann, f"/views/{(await ids(desk))['First']}", step="standard")
    assert 'value="first"' in (await ann.get("/")).text
    await send(ann, f"/views/{(await ids(desk))['First']}", step="usual")
    assert 'value="first"' not in (await ann.get("/")).text


async def test_a_view_is_renamed_and_deleted_by_its_person_alone(desk: ApiDesk) -> None:
    ann, bob = await browser_of(desk, "ann"), await browser_of(desk, "bob")
    for name in ("One", "Two"):
        await save(ann, name)
    one = (await ids(desk))["One"]
    for step in ("rename", "delete", "standard"):
        assert (await send(bob, f"/views/{one}", step=step, name="Mine")).status_code == 404
    taken = await send(ann, f"/views/{one}", step="rename", name="Two")
    assert taken.status_code == 422
    assert "another of your views is called" in taken.text
    assert (await send(ann, f"/views/{one}", step="rename", name="Three")).status_code == 303
    assert set(await ids(desk)) == {"Two", "Three"}
    assert (await send(ann, f"/views/{one}", step="delete")).status_code == 303
    assert set(await ids(desk)) == {"Two"}
    assert (await send(ann, f"/views/{one}", step="delete")).status_code == 404


async def test_the_same_name_again_shows_something_else_from_then_on(desk: ApiDesk) -> None:
    ann = await browser_of(desk, "ann")
    for query in ("q=old", "q=new"):
        await save(ann, "Mine", query)
    (view,) = await desk.database.read(of_person, "ann")
    assert view.query == "q=new"


@pytest.mark.parametrize("name", ["", "  ", "\0", "a\u202eb", "x" * (LONGEST_NAME + 1)])
async def test_a_name_that_cannot_be_is_refused_and_what_was_to_be_saved_is_still_there(
    desk: ApiDesk, name: str
) -> None:
    answer = await save(await browser_of(desk, "ann"), name, "q=chair")
    assert answer.status_code == 422
    assert 'name="query" value="q=chair"' in answer.text
    assert await ids(desk) == {}


async def test_the_number_of_views_of_a_person_is_bounded(desk: ApiDesk) -> None:
    ann = await browser_of(desk, "ann")
    for number in range(MOST):
        assert (await save(ann, f"View {number}", f"q={number}")).status_code == 303
    refused = await save(ann, "One more")
    assert refused.status_code == 422
    assert "which is the most" in refused.text
    assert (await save(ann, "View 3", "q=other")).status_code == 303
    assert len(await ids(desk)) == MOST


async def test_what_a_view_is_called_and_searches_for_is_text(desk: ApiDesk) -> None:
    ann = await browser_of(desk, "ann")
    await save(ann, "<script>alert(1)</script>", "q=%3Cscript%3Ealert(2)%3C%2Fscript%3E")
    for path in ("/views", "/?tab=mine"):
        page = (await ann.get(path)).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page

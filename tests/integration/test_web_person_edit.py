"""A person edited on their page by an admin: what changes, what stays, what is refused, and the act of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Connection

from storage.database import Database
from storage.queries.people import people
from storage.recording import admin_acts
from storage.tables.approvals import StoredPerson
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.pages import browser_of, send

NAMES = ("name", "email", "department", "manager", "active", "actor_type", "principal", "was")


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


async def stored(desk: ApiDesk, person: str) -> StoredPerson:
    return await desk.database.read(people.get, person)


async def acts(desk: ApiDesk) -> list[tuple[str, str, Any]]:
    def read(connection: Connection) -> list[tuple[str, str, Any]]:
        rows = admin_acts.page(connection, limit=50, cursor=None, chosen=admin_acts.Chosen()).items
        return [(row.kind, row.target, row.detail) for row in rows if row.kind != "login_link_made"][::-1]

    return await desk.database.read(read)


def form_of(page: str) -> dict[str, Any]:
    """Return what a browser would send back of a form that nobody touched."""
    found: dict[str, Any] = {}
    for name in NAMES:
        one = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', page)
        found[name] = unescape(one[1]) if one else ""
    for name in ("roles", "groups"):
        found[name] = unescape(re.findall(rf'<textarea[^>]*name="{name}"[^>]*>([^<]*)<', page)[0])
    for name in ("active", "actor_type"):
        found[name] = re.findall(rf'<select[^>]*name="{name}".*?<option value="(\w+)" selected', page, re.DOTALL)[0]
    found["access"] = re.findall(r'name="access" value="(\w+)" checked', page)
    return found


async def edit(browser: httpx.AsyncClient, person: str, **changes: Any) -> httpx.Response:
    path = f"/operations/people/{person}/edit"
    return await send(browser, path, **(form_of((await browser.get(path)).text) | changes))


async def test_a_form_that_nobody_touched_changes_nothing_and_is_no_act(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    for person in ("ann", "carl", "gus", "gone", "nil", "adam"):
        before = (await stored(desk, person)).model_dump(exclude={"updated_at"})
        done = await edit(browser, person)
        assert done.headers["location"] == f"/operations/people/{person}?done=saved"
        assert (await stored(desk, person)).model_dump(exclude={"updated_at"}) == before
    assert await acts(desk) == []


async def test_rights_are_changed_and_the_act_tells_before_and_after(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    await send(browser, "/operations/people/ann/away", first="2030-01-01", last="2030-01-05")
    away = (await stored(desk, "ann")).away
    assert away
    seen = len(await acts(desk))
    sent: dict[str, Any] = {
        "manager": "carl",
        "groups": "finance\nlegal",
        "roles": "cfo",
        "access": ["approver", "designer"],
    }
    assert (await edit(browser, "ann", **sent, name="Ann <b>Other</b>")).status_code == 303
    ann = await stored(desk, "ann")
    assert (ann.manager, ann.groups, ann.roles, ann.access) == (
        "carl",
        ["finance", "legal"],
        ["cfo"],
        ["approver", "designer"],
    )
    assert (ann.name, ann.away) == ("Ann <b>Other</b>", away)
    ((kind, target, detail),) = (await acts(desk))[seen:]
    assert (kind, target) == ("person_changed", "person:ann")
    assert detail["changed"] == ["access", "groups", "manager", "name", "roles"]
    assert detail["groups"] == {"before": [], "after": ["finance", "legal"]}
    assert "Other" not in str(detail), "names are told of, and not told"


async def test_an_agent_is_made_to_act_for_somebody_by_name_and_its_page_says_for_whom(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    bot = {"id": "bot", "actor_type": "agent", "access": ["requester"]}
    assert (await desk.post("/workflow/people/", bot, as_="adam")).status_code == 201
    ann = (await stored(desk, "ann")).name
    assert (await edit(browser, "bot", principal=ann)).status_code == 303
    assert (await stored(desk, "bot")).principal == "ann"
    (kind, target, detail) = (await acts(desk))[-1]
    assert (kind, target, detail["changed"]) == ("person_changed", "person:bot", ["principal"])
    assert detail["principal"] == {"before": None, "after": "ann"}
    page = (await browser.get("/operations/people/bot")).text
    assert f'Acts for</dt><dd><a href="/operations/people/ann">{ann}</a>' in page
    assert (await edit(browser, "bot")).status_code == 303, "a form that nobody touched"
    assert (await stored(desk, "bot")).principal == "ann"
    for wrong in ({"principal": "bot"}, {"principal": "nobody-of-this-name"}, {"actor_type": "person"}):
        refused = await edit(browser, "bot", **wrong)
        assert (refused.status_code, 'id="f-principal-error"' in refused.text) == (422, True), wrong
    assert (await edit(browser, "bot", principal="", actor_type="service")).status_code == 303
    assert (await stored(desk, "bot")).principal is None
    assert "Acts for" not in (await browser.get("/operations/people/bot")).text


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": ""}),
        ("email", {"email": "no address"}),
        ("department", {"department": "x" * 201}),
        ("manager", {"manager": "nobody-of-this-name"}),
        ("manager", {"manager": "ann"}),  # their own
        ("groups", {"groups": "two/words"}),
        ("roles", {"roles": "x" * 129}),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(
    desk: ApiDesk, field: str, changes: dict[str, str]
) -> None:
    browser = await browser_of(desk, "adam")
    before = (await stored(desk, "ann")).model_dump()
    refused = await edit(browser, "ann", **changes)
    assert refused.status_code == 422
    assert f'id="f-{field}-error"' in refused.text
    assert (await stored(desk, "ann")).model_dump() == before


async def test_the_last_admin_cannot_give_that_up_by_page_or_api_and_one_of_two_can(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    for changes, field in (({"access": ["requester"]}, "access"), ({"active": "false"}, "active")):
        refused = await edit(browser, "adam", **changes)
        assert refused.status_code == 422
        assert f'id="f-{field}-error"' in refused.text
        assert "nobody else is an admin" in refused.text
    over = await desk.call("PUT", "/workflow/people/adam/", as_="adam", body={"access": ["requester"]})
    assert (over.status_code, over.json()["errors"][0]["pointer"]) == (422, "/access")
    assert (await stored(desk, "adam")).access == ["admin"]
    assert (await edit(browser, "gone", access=["admin"])).status_code == 303
    assert (await edit(browser, "adam", access=["requester"])).status_code == 422, "who has left is no admin"
    assert (await edit(browser, "zoe", access=["approver", "admin"])).status_code == 303
    assert (await edit(browser, "adam", access=["requester"])).status_code == 303
    assert (await browser.get("/operations/people/adam/edit")).status_code == 403


async def test_what_two_admins_change_at_once_is_both_kept_and_the_same_field_is_told(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    shown = form_of((await browser.get("/operations/people/gus/edit")).text)
    await edit(browser, "gus", groups="finance\nlegal")
    path = "/operations/people/gus/edit"
    assert (await send(browser, path, **(shown | {"department": "Accounts"}))).status_code == 303
    gus = await stored(desk, "gus")
    assert (gus.department, gus.groups) == ("Accounts", ["finance", "legal"])
    told = await send(browser, path, **(shown | {"groups": "finance\nhr"}))
    assert told.status_code == 422
    assert "somebody else has changed this meanwhile" in told.text
    assert ">finance\nhr</textarea>" in told.text, "what was typed is kept"
    assert (await stored(desk, "gus")).groups == ["finance", "legal"]


async def test_who_has_left_by_the_form_loses_what_is_open_as_by_the_api(desk: ApiDesk) -> None:
    browser = await browser_of(desk, "adam")
    assert (await edit(browser, "gwen", active="false")).status_code == 303
    assert not (await stored(desk, "gwen")).active
    page = (await browser.get("/operations/people/gwen")).text
    assert "Has left" in page

"""Watching requests over HTTP and on pages: listed while they may be seen, and told of their end."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlmodel import col

from storage.tables.approvals import Outbox, StoredPerson
from tests.api_desk import ApiDesk
from tests.approvals import EXPENSE
from tests.stored import reading, writing
from tests.web_desk import browser_of

FINANCE = {"stage_name": "Finance", "approvers": ["group:finance"], "claim": True}
TWO_STAGES = {**EXPENSE, "process_steps": [FINANCE, {"stage_name": "Manager", "approvers": ["user:bob"]}]}


async def watched(desk: ApiDesk, person: str) -> list[str]:
    answer = await desk.get("/workflow/requests/?watched=true", as_=person)
    return [one["id"] for one in answer.json()["items"]]


def told(desk: ApiDesk, request: dict[str, Any], *events: str) -> list[tuple[str, str]]:
    of_request = (col(Outbox.request_id) == request["id"], col(Outbox.event).in_(events))
    with reading(desk.database) as session:
        rows = session.execute(select(col(Outbox.event), col(Outbox.person)).where(*of_request)).all()
    return sorted((event, person) for event, person in rows)


async def test_who_may_see_a_request_watches_it_and_is_told_of_its_end(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    address = f"/workflow/requests/{request['id']}/watch/"
    for person in ("audrey", "ann", "olivia"):
        first, again = await desk.post(address, as_=person), await desk.post(address, as_=person)
        assert (
            first.json()
            == again.json()
            == {"request_id": request["id"], "watched": True} | {"since": first.json()["since"]}
        )
        assert await watched(desk, person) == [request["id"]]
    assert (await desk.post(address, as_="zoe")).status_code == 404
    assert (await desk.call("DELETE", address, as_="zoe")).status_code == 404
    ended = await desk.call("DELETE", address, as_="olivia")
    assert ended.json() == {"request_id": request["id"], "watched": False, "since": None}
    assert await watched(desk, "olivia") == []
    task = request["tasks"][0]["id"]
    assert (await desk.post(f"/workflow/tasks/{task}/decide/", {"decision": "approve"}, as_="bob")).status_code == 200
    # ann asked for it, and is told that anyway.
    assert told(desk, request, "completed", "watched_ended") == [("completed", "ann"), ("watched_ended", "audrey")]


async def test_who_sees_a_request_no_longer_neither_reads_nor_hears_of_it(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(TWO_STAGES), amount="10")
    address = f"/workflow/requests/{request['id']}/watch/"
    for person in ("gus", "gwen"):
        assert (await desk.post(address, as_=person)).status_code == 200
    task = f"/workflow/tasks/{request['tasks'][0]['id']}"
    assert (await desk.post(f"{task}/claim/", as_="gwen")).status_code == 200
    after = await desk.post(f"{task}/decide/", {"decision": "approve"}, as_="gwen")
    with writing(desk.database) as session:
        gus = session.get(StoredPerson, "gus")
        assert gus is not None
        gus.groups = []
    assert await watched(desk, "gus") == []
    assert await watched(desk, "gwen") == [request["id"]]
    async with browser_of(desk, "gus") as browser:
        assert request["title"] not in (await browser.get("/?tab=watching")).text
    last = f"/workflow/tasks/{after.json()['tasks'][1]['id']}/decide/"
    assert (await desk.post(last, {"decision": "approve"}, as_="bob")).status_code == 200
    assert told(desk, request, "watched_ended") == [("watched_ended", "gwen")]
    assert (await desk.call("DELETE", address, as_="gus")).status_code == 200  # what they watch, they may give up


async def test_a_star_on_its_page_puts_a_request_into_the_inbox(desk: ApiDesk) -> None:
    request = await desk.start(await desk.publish(EXPENSE), amount="10")
    task = request["tasks"][0]["id"]
    async with browser_of(desk, "bob") as bob:
        assert "You watch no request" in (await bob.get("/?tab=watching")).text
        assert 'value="on" aria-pressed="false"' in (await bob.get(f"/tasks/{task}")).text
        sent = await bob.post(f"/requests/{request['id']}/watch", {"watch": "on", "back": f"/tasks/{task}"})
        assert sent.headers["location"] == f"/tasks/{task}?done=watch"
        for page in (f"/tasks/{task}", f"/requests/{request['id']}"):
            assert 'value="off" aria-pressed="true"' in (await bob.get(page)).text
        shown = (await bob.get("/?tab=watching&sort=age")).text
        assert f'href="/requests/{request["id"]}"' in shown
        assert f'href="/requests/{request["id"]}"' not in (await bob.get("/?tab=watching&q=nothing")).text
        name = request["template"].replace(" ", "+")
        assert f'href="/requests/{request["id"]}"' in (await bob.get(f"/?tab=watching&template={name}")).text
        await bob.post(f"/requests/{request['id']}/watch", {"watch": "off"})
        assert "You watch no request" in (await bob.get("/?tab=watching")).text

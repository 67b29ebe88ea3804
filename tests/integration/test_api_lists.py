"""What people look for: requests and tasks by outcome, title, time and amount, in the order they ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from placet.audit.chain import moment
from storage.database import Database
from storage.tables.approvals import DefinitionVersion
from tests.api_desk import ApiDesk, api_desk, no_engine, pointers
from tests.approvals import EXPENSE
from tests.integration.recordings import NOW, Story, write
from tests.stored import writing

HOUR = timedelta(hours=1)
# id, title, template, amount, started after NOW, outcome and ended after NOW, due after NOW (None: no deadline)
REQUESTS: list[tuple[str, str, str, Any, int, tuple[str, int] | None, int | None]] = [
    ("r1", "Chairs (120)", "tpl", "120", 0, None, 30),
    ("r2", "A hotel in Bern", "tpl", "99.5", 1, ("approved", 5), 31),
    ("r3", "Chairs, 100% wool", "other", 7, 2, ("rejected", 4), 10),
    ("r4", "Nothing", "tpl", None, 2, None, None),
    ("r5", "CHAIRS", "tpl", "3000.01", 3, None, 20),
]


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        with writing(database) as session:
            for name in ("tpl", "other"):
                settings = {"amount": "amount", "summary": ["department", "amount"]} if name == "tpl" else {}
                session.add(_template(f"template-{name}", name, settings))
        with writing(database) as session:
            for row in REQUESTS:
                write(session, _recording(*row), NOW)
        yield opened


def _template(ident: str, name: str, settings: dict[str, Any]) -> DefinitionVersion:
    document = {**EXPENSE, "name": name, "settings": settings}
    facts: dict[str, Any] = {"version": "1.0.0", "template_type": "approval", "status": "published", "digest": "d"}
    return DefinitionVersion(id=ident, name=name, blueprint=document, created_by="desi", created_at=NOW, **facts)


def _recording(
    ident: str, title: str, template: str, amount: Any, start: int, end: tuple[str, int] | None, due: int | None
) -> Any:
    story = Story(request_id=ident).open("bob", requester="ann")
    due_at = None if due is None else NOW + due * HOUR
    task = replace(story.tasks[0], opened_at=NOW + start * HOUR, due_at=due_at)
    if end is not None:
        story = replace(story, tasks=(task,)).decide(decision="approve" if end[0] == "approved" else "reject")
        story, task = replace(story, first=1), story.tasks[0]
    ended_at = None if end is None else NOW + end[1] * HOUR
    about = {"template": template, "template_id": f"template-{template}", "title": title, "requester": "ann"}
    given = {} if amount is None else {"amount": amount}
    return story.recording(**about, input=given, started_at=NOW + start * HOUR, ended_at=ended_at, tasks=(task,))


async def paged(desk: ApiDesk, path: str, query: str) -> list[str]:
    """Return the ids of all pages, two at a time."""
    found: list[str] = []
    cursor = ""
    while True:
        answer = await desk.get(f"/workflow/{path}/?limit=2&{query}{cursor}", as_="audrey")
        assert answer.status_code == 200, answer.text
        found += [item["id"] for item in answer.json()["items"]]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = f"&cursor={answer.json()['next_cursor']}"


def at(hours: int) -> str:
    moment_then: datetime = NOW + hours * HOUR
    return quote(moment(moment_then))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "r5 r4 r3 r2 r1"),
        ("outcome=approved", "r2"),
        ("outcome=nothing", ""),
        ("status=pending", "r5 r4 r1"),
        ("template=other", "r3"),
        ("title=chairs", "r5 r3 r1"),  # in any case
        ("title=100%25", "r3"),  # a sign, not a pattern
        ("title=%25", "r3"),
        ("title=_", ""),
        ("requester=user:ann&outcome=rejected", "r3"),
        (f"started_after={at(2)}", "r5 r4 r3"),  # from this moment on
        (f"started_before={at(2)}", "r2 r1"),  # up to it
        (f"started_after={at(1)}&started_before={at(2)}", "r2"),
        (f"ended_after={at(5)}", "r2"),
        (f"ended_before={at(5)}", "r3"),  # what has not ended did not end before
        ("sort=started", "r5 r4 r3 r2 r1"),
        ("sort=age", "r1 r2 r3 r4 r5"),
        ("sort=ended", "r2 r3 r5 r4 r1"),
        ("sort=due", "r5 r1 r2 r3 r4"),  # of open tasks; what has no deadline comes last
        ("sort=amount", "r5 r1 r2 r3 r4"),  # 120 is more than 99.5; without an amount last
        ("sort=amount&title=chairs", "r5 r1 r3"),
    ],
)
async def test_requests_are_found_and_sorted(desk: ApiDesk, query: str, found: str) -> None:
    assert await paged(desk, "requests", query) == found.split()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "r5 r4 r3 r2 r1"),
        ("assignee=bob&status=open", "r5 r4 r1"),
        ("template=other", "r3"),
        (f"due_before={at(30)}", "r5 r3"),
        (f"due_after={at(30)}", "r2 r1"),
        ("sort=due", "r3 r5 r1 r2 r4"),
        ("sort=age", "r1 r2 r3 r4 r5"),
        ("sort=amount&status=open", "r5 r1 r4"),
    ],
)
async def test_tasks_are_found_and_sorted(desk: ApiDesk, query: str, found: str) -> None:
    assert await paged(desk, "tasks", query) == [f"{ident}.1" for ident in found.split()]


async def test_a_task_in_a_list_says_what_it_is_about(desk: ApiDesk) -> None:
    item = (await desk.get("/workflow/tasks/?assignee=me&status=open&limit=1", as_="bob")).json()["items"][0]
    about = {name: item[name] for name in ("id", "title", "template", "requester", "revision")}
    assert about == {"id": "r5.1", "title": "CHAIRS", "template": "tpl", "requester": "user:ann", "revision": 1}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("requests/?sort=price", "/sort"),
        ("requests/?started_after=yesterday", "/started_after"),
        ("requests/?started_after=2026-01-01T00:00:00", "/started_after"),  # where?
        ("requests/?ended_before=0001-01-01T00:00:00%2B14:00", "/ended_before"),
        ("tasks/?due_before=9999-12-31T23:59:59-14:00", "/due_before"),
        ("tasks/?sort=title", "/sort"),
    ],
)
async def test_what_cannot_be_looked_for_is_refused_at_its_place(desk: ApiDesk, query: str, pointer: str) -> None:
    answer = await desk.get(f"/workflow/{query}", as_="audrey")
    assert answer.status_code == 422
    assert pointers(answer)[0].startswith(pointer)


async def test_a_cursor_holds_in_its_own_order_only(desk: ApiDesk) -> None:
    first = (await desk.get("/workflow/requests/?sort=amount&limit=1", as_="audrey")).json()["next_cursor"]
    for sort in ("", "&sort=due", "&sort=age"):
        other = await desk.get(f"/workflow/requests/?cursor={first}{sort}", as_="audrey")
        assert (other.status_code, pointers(other)) == (422, ["/cursor"])


@pytest.mark.parametrize("name", ["department", "nowhere"])
async def test_the_amount_is_a_variable_that_is_a_number(desk: ApiDesk, name: str) -> None:
    variables = [*EXPENSE["variables"], {"name": "department", "type": "string"}]
    raw = {**EXPENSE, "variables": variables, "settings": {"amount": name}}
    refused = await desk.post("/workflow/process-templates/", raw, as_="desi")
    assert refused.status_code == 422
    assert name in refused.json()["detail"]


async def test_a_task_in_a_list_shows_what_its_process_wants_shown(desk: ApiDesk) -> None:
    items = (await desk.get("/workflow/tasks/?limit=500", as_="adam")).json()["items"]
    assert {item["request_id"]: item["summary"] for item in items} == {
        "r1": {"amount": "120"},
        "r2": {"amount": "99.5"},
        "r3": {},
        "r4": {},
        "r5": {"amount": "3000.01"},
    }

"""The pages over the stored tables: which there are, who may open them, what they leave out, and what they change."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from html import unescape
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import JSON, Boolean, Column, Connection, Float, Integer, LargeBinary, Table, insert, select, text
from sqlmodel import SQLModel

import storage
from storage.database import Database
from storage.queries import cursor as cursors
from storage.queries import table_rows
from storage.queries.table_rows import RowOrder, orders
from storage.tables.approvals import ApprovalRequest
from storage.tables.columns import Moment
from storage.tables.identity import BrowserSession
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.test_storage_indexes import plans
from tests.pages import browser_of, csrf_token, send
from web.admin.page import key_of, row_address
from web.admin.tables import NOT_SHOWN, TABLES, StoredTable
from web.paging import LINES

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SHOWN = {one.table.name: one for group in TABLES.values() for one in group}
EDITABLE = {"action_catalog"}
SECRET = "sssh-this-is-secret"
# Columns whose names sound like secrets, and why they are none.
NO_SECRETS = {
    "approval_request.content_digest": "the SHA-256 of what was asked for, which receipts show",
    "approval_task.content_digest": "as above",
    "approval_request.action_digest": "the SHA-256 of an action, which whoever claims it sends",
    "approval_request.claim_key": "which call has claimed it: the Idempotency-Key of the requester",
    "log_checkpoint.key_id": "which public key has signed",
    "process_template.digest": "the SHA-256 of a blueprint, which its certificate shows",
    "blueprint_draft.digest": "as above",
    "notification_message.digest": "whether it is sent with others",
    "notification_message.key": "a request, a number and a channel",
    "outbox.key": "as above",
    "delivery.outbox_key": "as above",
    "action_catalog.accepts_key": "whether its executor takes a key",
    "receipt_key.public_key": "public, so that receipts can be verified",
    "evidence_pack.key_id": "which public key its manifest is signed for",
    "rate_count.key": "a kind of call and whom it counts",
}


def all_tables() -> dict[str, Table]:
    for module in pkgutil.walk_packages(storage.__path__, "storage."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
    return dict(SQLModel.metadata.tables)


def orders_of(stored: StoredTable) -> dict[str | None, RowOrder]:
    return orders(stored.table, newest=stored.newest, few=stored.few, secret=not stored.has_pages)


def some(column: Column[Any], *, hidden: bool) -> Any:
    """Return a value for a column of whichever type."""
    if isinstance(column.type, Moment):
        return NOW
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Integer):
        return 7
    if isinstance(column.type, Float):
        return 1.5
    if isinstance(column.type, LargeBinary):
        return SECRET.encode()
    if isinstance(column.type, JSON):
        return {"a": SECRET if hidden else "<b>bold</b>"}
    return SECRET if hidden else f"some/{column.name};<i>"


def put_one(connection: Connection, stored: StoredTable) -> None:
    values = {column.name: some(column, hidden=column.name in stored.hidden) for column in stored.table.columns}
    connection.execute(insert(stored.table).values(values))


def dump(connection: Connection, table: Table) -> list[Any]:
    return list(connection.execute(select(table)).all())


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield desk


@pytest_asyncio.fixture
async def adam(desk: ApiDesk) -> httpx.AsyncClient:
    return await browser_of(desk, "adam")


def test_every_table_has_a_page_or_a_reason_for_none() -> None:
    assert sorted(all_tables()) == sorted([*SHOWN, *NOT_SHOWN])
    assert all(NOT_SHOWN.values())


def test_a_column_that_sounds_like_a_secret_is_left_out_or_said_to_be_none() -> None:
    sounds = re.compile(r"token|secret|digest|salt|csrf|challenge|cookie|password|(^|_)key(_|$)|provider_s")
    found = {
        f"{name}.{column.name}"
        for name, stored in SHOWN.items()
        for column in stored.table.columns
        if sounds.search(column.name) and column.name not in stored.hidden
    }
    assert found == set(NO_SECRETS)


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_what_is_named_of_a_table_is_there(name: str) -> None:
    stored = SHOWN[name]
    columns = set(stored.table.c.keys())
    assert {*stored.listed, *stored.hidden, *stored.editable, *stored.few} <= columns
    assert not stored.hidden & {*stored.listed, *stored.editable}
    indexed = {next(iter(index.columns)).name for index in stored.table.indexes}
    assert set(stored.few) <= indexed, "a search without an index reads the whole table"
    assert stored.newest is None or (not stored.table.c[stored.newest].nullable and stored.newest in indexed)


async def test_lists_and_rows_are_shown_without_secrets(adam: httpx.AsyncClient, database: Database) -> None:
    for name, stored in SHOWN.items():
        await database.write(put_one, stored)
        listed = await adam.get(f"/admin/{name}")
        assert listed.status_code == 200, listed.text
        assert "<i>" not in listed.text
        pages = [listed]
        for match in orders_of(stored):
            if match is not None and match not in stored.hidden:
                value = "7" if isinstance(stored.table.c[match].type, Integer) else quote(f"some/{match};<i>")
                answer = await adam.get(f"/admin/{name}?by={match}&value={value}")
                assert f'data-column="{stored.listed[0]}"' in answer.text, (name, match)
                pages.append(answer)
        addresses = re.findall(rf'href="(/admin/{name}/rows/[^"]+)"', listed.text)
        assert bool(addresses) is stored.has_pages, name
        for address in addresses:
            row = await adam.get(unescape(address))
            assert row.status_code == 200, row.text
            assert "<b>" not in row.text
            pages.append(row)
        assert all(SECRET not in page.text for page in pages), name


async def test_the_tables_are_listed_for_admins(adam: httpx.AsyncClient) -> None:
    page = (await adam.get("/admin")).text
    assert [name for name in SHOWN if f'href="/admin/{name}"' not in page] == []
    assert 'href="/admin"' in (await adam.get("/operations")).text


@pytest.mark.parametrize("person", ["bob", "audrey", "desi", "rex", "nil"])
async def test_they_are_for_admins_alone(desk: ApiDesk, database: Database, person: str) -> None:
    await database.write(put_one, SHOWN["action_catalog"])
    row = row_address("action_catalog", "some/id;<i>")
    browser = await browser_of(desk, person)
    for path in ("/admin", "/admin/person", "/admin/person/rows/bob", row, row.replace("/rows/", "/edit/")):
        assert (await browser.get(path)).status_code == 403, path
    assert 'href="/admin"' not in (await browser.get("/me")).text


async def test_nothing_that_is_read_only_is_changed_by_whatever_is_sent(
    adam: httpx.AsyncClient, database: Database
) -> None:
    token = await csrf_token(adam)
    for name in sorted(set(SHOWN) - EDITABLE):
        stored = SHOWN[name]
        await database.write(put_one, stored)
        before = await database.read(dump, stored.table)
        parts = [str(some(column, hidden=column.name in stored.hidden)) for column in stored.table.primary_key]
        key = quote(parts[0] if len(parts) == 1 else ";".join(re.sub(r"([;\\])", r"\\\1", part) for part in parts))
        fields = {column.name: "changed" for column in stored.table.columns} | {"save": "Save", "csrf_token": token}
        edit = f"/admin/{name}/edit/{key}"
        assert [(await adam.get(edit)).status_code, (await adam.post(edit, data=fields)).status_code] == [403, 403], (
            name
        )
        for path in (f"/admin/{name}/create", f"/admin/{name}/import", f"/admin/{name}/delete?pks={key}"):
            for method in ("POST", "PUT", "DELETE"):
                answer = await adam.request(method, path, data=fields, headers={"X-CSRF-Token": token})
                assert answer.status_code in {404, 405}, (method, path)
        assert await database.read(dump, stored.table) == before, name


async def test_an_action_is_described_and_switched_off_and_nothing_else_of_it_changes(
    desk: ApiDesk, adam: httpx.AsyncClient, database: Database
) -> None:
    made = await desk.post("/workflow/action-catalog/", {"name": "book", "description": "old"}, as_="adam")
    assert made.status_code == 201, made.text
    address = f"/admin/action_catalog/edit/{made.json()['id']}"
    form = (await adam.get(address)).text
    assert "old" in form
    assert (await adam.post(address, data={"description": "new"})).status_code == 403, "without a CSRF token"
    sent = await send(adam, address, description="new", executor="evil", name="other")
    assert sent.headers["location"].endswith("?done=admin_changed")
    there = (await desk.get("/workflow/action-catalog/book/", as_="adam")).json()
    unchanged = {
        key: value for key, value in made.json().items() if key not in {"description", "enabled", "updated_at"}
    }
    assert there["description"] == "new"
    assert there["enabled"] is False, "the box was not ticked"
    assert {key: there[key] for key in unchanged} == unchanged
    assert (await send(adam, address, description="new", enabled="y")).status_code == 303
    assert (await desk.get("/workflow/action-catalog/book/", as_="adam")).json()["enabled"] is True
    refused = await send(adam, address, description="x" * 4001)
    assert refused.status_code == 422
    assert (await send(adam, "/admin/action_catalog/edit/none", description="x")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/admin/nothing",
        "/admin/request_title",  # has no page
        "/admin/person/rows/nobody",
        "/admin/person/rows/%00",
        "/admin/participant/rows/only-one-part",
        "/admin/refusal/rows/word",
        "/admin/refusal/rows/99999999999999999999999999",  # more than a database can hold
        "/admin/api_token/rows/x",  # has no pages of rows
        "/admin/person?by=name&value=x",  # without an index
        "/admin/api_token?by=digest&value=x",  # a secret
        "/admin/statics/js/main.js",  # of the library
    ],
)
async def test_what_there_is_not_is_not_found(adam: httpx.AsyncClient, path: str) -> None:
    assert (await adam.get(path)).status_code == 404


@pytest.mark.parametrize("value", ["nobody", "%00", "%ED%A0%80", "99999999999999999999999", ""])
async def test_a_search_for_what_is_nowhere_says_so(adam: httpx.AsyncClient, value: str) -> None:
    for by in ("person?by=id", "refusal?by=id"):
        page = await adam.get(f"/admin/{by}&value={value}")
        assert page.status_code == 200
        assert "Nothing matches" in page.text


def put_requests(connection: Connection, count: int) -> None:
    """Store requests of which each three began at the same time."""
    row: dict[str, Any] = {"template_id": "t", "template": "T", "version": "1", "title": "A", "input": {}}
    row |= {"requester": "ann", "status": "pending", "round": 1, "returned": False, "seq": 1, "head": "h"}
    rows = [row | {"id": f"r{n:04}", "started_at": NOW + timedelta(seconds=n // 3)} for n in range(count)]
    connection.execute(insert(ApprovalRequest), rows)


def put_sessions(connection: Connection, count: int) -> None:
    row: dict[str, Any] = {"csrf_token": "", "method": "link", "user_agent": ""}
    row |= {"created_at": NOW, "seen_at": NOW, "expires_at": NOW}
    connection.execute(insert(BrowserSession), [row | {"digest": f"d{n}", "person": f"p{n:04}"} for n in range(count)])


async def walked(browser: httpx.AsyncClient, path: str, pattern: str) -> list[str]:
    found: list[str] = []
    while path:
        page = await browser.get(path)
        assert page.status_code == 200, page.text
        rows = re.findall(pattern, page.text)
        assert len(rows) <= LINES
        found += rows
        onward = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = unescape(onward[1]) if onward else ""
    return found


async def test_pages_of_rows_miss_none_and_repeat_none(adam: httpx.AsyncClient, database: Database) -> None:
    count = 2 * LINES + 7
    await database.write(put_requests, count)
    everything = [f"r{n:04}" for n in reversed(range(count))]
    pattern = r"/admin/approval_request/rows/(r\d+)"
    assert await walked(adam, "/admin/approval_request", pattern) == everything
    assert await walked(adam, "/admin/approval_request?by=requester&value=ann", pattern) == everything
    assert await walked(adam, "/admin/approval_request?by=template_id&value=t", pattern) == everything[::-1]
    await database.write(put_sessions, count)
    people = await walked(adam, "/admin/session", r'data-column="person">(p\d+)')
    assert sorted(people) == [f"p{n:04}" for n in range(count)]


async def test_a_cursor_of_another_order_is_refused(adam: httpx.AsyncClient, database: Database) -> None:
    await database.write(put_requests, LINES + 1)
    onward = re.search(r"cursor=([^\"&]+)", (await adam.get("/admin/approval_request?by=requester&value=ann")).text)
    assert onward is not None
    assert (await adam.get(f"/admin/approval_request?cursor={onward[1]}")).status_code == 422
    assert (await adam.get("/admin/session?cursor=abc")).status_code == 422


async def test_a_page_of_rows_begins_in_an_index_and_sorts_nothing_but_few_rows(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    for name, stored in SHOWN.items():
        for match, order in orders_of(stored).items():
            for cursor in (None, a_cursor(order)):
                ask = partial(
                    table_rows.page,
                    order=order,
                    columns=stored.listed,
                    limit=LINES,
                    longest=80,
                    value=None if match is None else "7",
                    cursor=cursor,
                )
                plan = " | ".join(await plans(database, ask))
                by_number = isinstance(next(iter(stored.table.primary_key)).type, Integer)  # SQLite's own order of rows
                assert by_number or re.search(r"USING (COVERING )?INDEX|PRIMARY KEY", plan), (name, match, plan)
                assert "TEMP B-TREE FOR ORDER BY" not in plan or match in stored.few, (name, match, plan)
    await database.close()


def a_cursor(order: RowOrder) -> str:
    if order.secret:
        return cursors.write("3")
    place = [NOW if isinstance(order.table.c[name].type, Moment) else "7" for name in order.columns]
    return cursors.write(order.match or "", *place)


@pytest.mark.parametrize("parts", [("a", "b"), ("a;b", "c\\"), ("", "x"), ("\\;", ";")])
async def test_a_key_of_several_parts_is_read_as_it_was_written(parts: tuple[str, ...]) -> None:
    written = ";".join(part.replace("\\", "\\\\").replace(";", r"\;") for part in parts)
    assert key_of(written, len(parts)) == list(parts)
    assert key_of(written, len(parts) + 1) is None
    assert key_of(written, 1) == [written]


async def test_long_values_are_cut_off_by_the_database(adam: httpx.AsyncClient, database: Database) -> None:
    await database.write(put_one, SHOWN["workflow_simulation"])
    long = '{"a": "' + "x" * 100_000 + '"}'
    await database.write(lambda c: c.execute(text("UPDATE workflow_simulation SET result = :long"), {"long": long}))
    page = await adam.get(row_address("workflow_simulation", "some/id;<i>"))
    assert "only its beginning is shown" in page.text
    assert len(page.text) < 60_000

"""API tokens: scopes, expiry, last use, and each person's own list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select
from typer.testing import CliRunner

from cli.main import app
from storage.database import Database
from storage.queries.identity import tokens
from storage.tables.approvals import ApiToken, IdempotentCall
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine, pointers
from tests.approvals import store_people
from tests.stored import reading, writing


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


async def store_some(url: str) -> None:
    database = Database(url)
    await store_people(database)
    await database.close()


def issue(desk: ApiDesk, person: str, **given: Any) -> str:
    with writing(desk.database) as session:
        return tokens.issue(session.connection(), person, **{"ttl": None, "now": datetime.now(UTC), **given})


async def call(desk: ApiDesk, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return await desk.http.request(method, f"{BASE}{path}", json=body, headers=headers)


async def test_a_token_is_made_listed_with_its_last_use_and_revoked(desk: ApiDesk) -> None:
    body = {"name": "reports", "scopes": ["read"], "expires_at": "2100-01-01T00:00:00Z"}
    made = (await desk.post("/auth/tokens/", body)).json()
    assert made["token"].startswith("placet_")
    assert (made["name"], made["scopes"], made["last_used_at"]) == ("reports", ["read"], None)
    assert (await call(desk, made["token"], "GET", "/auth/me/")).json()["id"] == "ann"
    listed = {item["id"]: item for item in (await desk.get("/auth/tokens/")).json()["items"]}
    assert listed[made["id"]]["last_used_at"] is not None
    assert "token" not in listed[made["id"]]
    gone = await desk.call("DELETE", f"/auth/tokens/{made['id']}/")
    assert (gone.status_code, gone.json()["revoked_at"] is None) == (200, False)
    assert (await call(desk, made["token"], "GET", "/auth/me/")).status_code == 401
    assert made["id"] not in {item["id"] for item in (await desk.get("/auth/tokens/")).json()["items"]}


async def test_nobody_sees_or_revokes_the_tokens_of_others(desk: ApiDesk) -> None:
    made = (await desk.post("/auth/tokens/", {"name": "mine"})).json()
    for person in ("bob", "adam"):
        assert made["id"] not in {i["id"] for i in (await desk.get("/auth/tokens/", as_=person)).json()["items"]}
        assert (await desk.call("DELETE", f"/auth/tokens/{made['id']}/", as_=person)).status_code == 404
    for wrong in ("x", made["id"][:4], "%" * 16, "_" * 16):
        assert (await desk.call("DELETE", f"/auth/tokens/{wrong}/")).status_code == 404


async def test_the_text_of_a_token_is_not_stored_and_a_repeat_gets_the_same(desk: ApiDesk) -> None:
    first, again = [(await desk.post("/auth/tokens/", {"name": "n"}, key="k")).json() for _ in range(2)]
    assert first == again
    with reading(desk.database) as session:
        rows = [*session.scalars(select(ApiToken)), *session.scalars(select(IdempotentCall))]
    assert not any(first["token"] in str(row.model_dump()) for row in rows)


async def test_scopes_leave_a_token_less_than_its_person_has(desk: ApiDesk) -> None:
    reads, designs = issue(desk, "adam", scopes=["read"]), issue(desk, "adam", scopes=["designer"])
    scim = issue(desk, "adam", scopes=["scim"])
    assert (await call(desk, reads, "GET", "/workflow/webhooks/")).status_code == 200
    refused = await call(desk, reads, "POST", "/workflow/people/", {"id": "new"})
    assert (refused.status_code, "`read`" in refused.json()["detail"]) == (403, True)
    assert (await call(desk, designs, "GET", "/workflow/webhooks/")).status_code == 403
    assert (await call(desk, designs, "GET", "/workflow/notification-templates/")).status_code == 200
    assert (await call(desk, scim, "GET", "/workflow/people/")).status_code == 403


async def test_a_scope_gives_nothing_that_the_person_has_not(desk: ApiDesk) -> None:
    token = issue(desk, "ann", scopes=["admin"])
    assert (await call(desk, token, "GET", "/workflow/people/")).status_code == 403


async def test_a_token_makes_none_that_is_allowed_more(desk: ApiDesk) -> None:
    narrow = issue(desk, "ann", scopes=["approver"])
    for scopes in (None, ["requester"], ["approver", "read"]):
        assert (await call(desk, narrow, "POST", "/auth/tokens/", {"scopes": scopes})).status_code == 403
    assert (await call(desk, narrow, "POST", "/auth/tokens/", {"scopes": ["approver"]})).status_code == 201
    assert (await desk.post("/auth/tokens/", {"scopes": ["scim"]})).status_code == 403
    assert (await desk.post("/auth/tokens/", {"scopes": ["scim"]}, as_="adam")).status_code == 201


async def test_what_is_wrong_with_a_token_is_named(desk: ApiDesk) -> None:
    assert pointers(await desk.post("/auth/tokens/", {"expires_at": "2001-01-01T00:00:00Z"})) == ["/expires_at"]
    assert pointers(await desk.post("/auth/tokens/", {"scopes": ["everything"]})) == ["/scopes/0"]
    assert pointers(await desk.post("/auth/tokens/", {"scopes": []})) == ["/scopes"]


async def test_an_expired_token_is_refused(desk: ApiDesk) -> None:
    token = issue(desk, "ann", ttl=timedelta(hours=1), now=datetime.now(UTC) - timedelta(hours=2))
    assert (await call(desk, token, "GET", "/auth/me/")).status_code == 401


async def test_the_last_use_is_stored_once_a_minute(desk: ApiDesk) -> None:
    token = issue(desk, "ann")

    def used() -> datetime | None:
        with reading(desk.database) as session:
            return session.get_one(ApiToken, tokens.digest(token)).last_used_at

    await call(desk, token, "GET", "/auth/me/")
    first = used()
    await call(desk, token, "GET", "/auth/me/")
    assert first is not None
    assert used() == first


def test_the_command_line_makes_lists_and_revokes(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    asyncio.run(store_some(sqlite_url))

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, words)

    made = run("token", "ann", "--scope", "read", "--name", "reports", "--expires", "2100-01-01")
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("placet_")
    assert len(made.stdout.split()) == 1
    shown = run("tokens", "list", "ann").stdout
    assert "reports" in shown
    assert "may read" in shown
    token_id = shown.split()[0]
    assert run("tokens", "revoke", token_id).exit_code == 0
    assert token_id not in run("tokens", "list").stdout
    for wrong in (
        ("token", "ann", "--scope", "all"),
        ("token", "ann", "--expires", "2001-01-01"),
        ("token", "ann", "--days", "3", "--expires", "2100-01-01"),
        ("tokens", "revoke", "nothing"),
    ):
        assert run(*wrong).exit_code == 2, wrong
    address = run("login", "ann").stdout
    assert address.startswith("http://127.0.0.1:8420/login/")
    assert len(address.split()) == 1
    assert run("login", "nobody").exit_code == 2

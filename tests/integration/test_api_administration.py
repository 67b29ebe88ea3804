"""What admins see and end of others over HTTP: API tokens and browser sessions; and people, searched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from storage.database import Database
from storage.queries.identity import tokens
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.approvals import store_people
from tests.pages import browser_of

TOKENS = "/workflow/api-tokens/"


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened


async def issue(database: Database, person: str, **given: Any) -> str:
    """Make a token and return its id."""
    made = {"ttl": None, "now": datetime.now(UTC), **given}
    text = await database.write(lambda connection: tokens.issue(connection, person, **made))
    return tokens.id_of(tokens.digest(text))


async def test_an_admin_lists_everybodys_tokens_by_what_is_odd_about_them(desk: ApiDesk, database: Database) -> None:
    await desk.get("/auth/me/", as_="adam")  # a token that is used
    soon = await issue(database, "bob", ttl=timedelta(days=3), name="soon")
    over = await issue(database, "bob", ttl=timedelta(days=-3))
    later = await issue(database, "carl", ttl=timedelta(days=300))
    lasting = await issue(database, "carl")

    async def listed(query: str) -> set[str]:
        answer = await desk.get(f"{TOKENS}{query}", as_="adam")
        return {item["id"] for item in answer.json()["items"]} - used

    used: set[str] = set()
    used = {i["id"] for i in (await desk.get(f"{TOKENS}?person=adam", as_="adam")).json()["items"]}
    assert used
    assert await listed("") == {soon, over, later, lasting}
    assert await listed("?person=user:bob") == {soon, over}
    assert await listed("?state=expiring") == {soon}
    assert await listed("?state=expired") == {over}
    assert await listed("?state=lasting") == {lasting}
    assert await listed("?state=unused&person=carl") == {later, lasting}
    assert (await desk.get(f"{TOKENS}?state=old", as_="adam")).status_code == 422


async def test_tokens_are_read_in_pages_whose_cursors_tell_no_digest(desk: ApiDesk, database: Database) -> None:
    now = datetime.now(UTC)
    made = {await issue(database, "bob", now=now - timedelta(minutes=number // 2)) for number in range(7)}
    found: list[str] = []
    cursor = ""
    while True:
        page = (await desk.get(f"{TOKENS}?person=bob&limit=2{cursor}", as_="adam")).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        assert len(page["next_cursor"]) < 80, "a digest alone has 64 characters"
        cursor = f"&cursor={page['next_cursor']}"
    assert (set(found), len(found)) == (made, 7)


async def test_an_admin_revokes_anybodys_token_with_the_sessions_that_began_with_it(desk: ApiDesk) -> None:
    made = (await desk.post("/auth/tokens/", {"name": "mine"}, as_="bob")).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await desk.http.get("/api/v1/auth/me/", headers=headers)).status_code == 200
    gone = await desk.call("DELETE", f"{TOKENS}{made['id']}/", as_="adam")
    assert (gone.status_code, gone.json()["person"], gone.json()["revoked_at"] is None) == (200, "bob", False)
    assert (await desk.http.get("/api/v1/auth/me/", headers=headers)).status_code == 401
    assert (await desk.call("DELETE", f"{TOKENS}0000000000000000/", as_="adam")).status_code == 404


async def test_an_admin_ends_somebodys_sessions_and_no_others(desk: ApiDesk) -> None:
    bob, ann = await browser_of(desk, "bob"), await browser_of(desk, "ann")
    listed = (await desk.get("/workflow/people/bob/sessions/", as_="adam")).json()["items"]
    assert [session["method"] for session in listed] == ["link"]
    assert "digest" not in str(listed)
    ended = await desk.call("DELETE", "/workflow/people/bob/sessions/", as_="adam")
    assert (ended.status_code, ended.json()) == (200, {"ended": 1})
    assert (await bob.get("/")).status_code == 303  # to the log-in
    assert (await ann.get("/")).status_code == 200
    assert (await desk.call("DELETE", "/workflow/people/bob/sessions/", as_="adam")).json() == {"ended": 0}
    for method in ("GET", "DELETE"):
        assert (await desk.call(method, "/workflow/people/nobody/sessions/", as_="adam")).status_code == 404


@pytest.mark.parametrize("person", ["bob", "audrey", "desi"])
async def test_all_of_it_is_for_admins_alone(desk: ApiDesk, database: Database, person: str) -> None:
    token = await issue(database, "bob")
    for method, path in (
        ("GET", TOKENS),
        ("DELETE", f"{TOKENS}{token}/"),
        ("GET", "/workflow/people/bob/sessions/"),
        ("DELETE", "/workflow/people/bob/sessions/"),
    ):
        assert (await desk.call(method, path, as_=person)).status_code == 403, path


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("özil", ["oez"]),  # in any case, whatever the database folds
        ("ÖZIL mes", ["oez"]),  # every word
        ("mesut bob", []),
        ("sales", ["oez"]),  # a department
        ("100%", ["pct"]),  # no wildcard
        ("_", ["under_score"]),
        ("zz@example.com", []),  # of addresses, whoever is no admin learns nothing
    ],
)
async def test_people_are_searched_by_every_word_in_any_case(
    desk: ApiDesk, database: Database, q: str, found: list[str]
) -> None:
    await store_people(
        database,
        (
            {"id": "oez", "name": "Mesut Özil", "department": "Sales", "email": "zz@example.com"},
            {"id": "pct", "name": "100% Person"},
            {"id": "under_score", "name": "Plain"},
        ),
    )

    async def ids(as_: str) -> list[str]:
        answer = await desk.http.get(
            "/api/v1/workflow/people/", params={"q": q}, headers={"Authorization": f"Bearer {await desk.token(as_)}"}
        )
        return [item["id"] for item in answer.json()["items"]]

    assert await ids("bob") == found
    assert await ids("adam") == (["oez"] if "@" in q else found)

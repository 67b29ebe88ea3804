"""People over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from storage.database import Database
from tests.api_desk import STAFF, ApiDesk, api_desk, no_engine, pointers

PAT: dict[str, Any] = {
    "id": "pat",
    "name": "Pat",
    "email": "pat@example.com",
    "manager": "user:bob",
    "groups": ["finance"],
    "roles": ["cfo", "cfo"],
    "access": ["auditor"],
    "away": {"from": "2026-08-03T02:00:00+02:00", "until": "2026-08-17T00:00:00Z", "substitute": "user:dora"},
}


AWAY = {"from": "2026-08-03T00:00:00Z", "until": "2100-08-17T00:00:00Z"}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def test_person_is_stored_read_changed_and_listed(desk: ApiDesk) -> None:
    made = await desk.post("/workflow/people/", PAT, as_="adam")
    assert made.status_code == 201, made.text
    shown = (await desk.get("/workflow/people/pat/", as_="adam")).json()
    assert shown == made.json()
    assert (shown["manager"], shown["roles"], shown["active"]) == ("bob", ["cfo"], True)
    assert shown["away"] == {
        "from": "2026-08-03T00:00:00.000000Z",
        "until": "2026-08-17T00:00:00.000000Z",
        "substitute": "dora",
    }
    changed = await desk.call("PUT", "/workflow/people/pat/", body={**PAT, "away": None}, as_="adam")
    assert (changed.status_code, changed.json()["away"]) == (200, None)
    back = await desk.call("PUT", "/workflow/people/pat/", body=changed.json(), as_="adam")
    assert back.status_code == 200, "what was read can be sent back"
    assert back.json()["updated_at"] >= changed.json()["updated_at"]
    spans = [PAT["away"], {"from": "2026-10-01T00:00:00Z", "until": "2026-10-02T00:00:00Z"}]
    several = await desk.call("PUT", "/workflow/people/pat/", body={**PAT, "away": spans}, as_="adam")
    assert [span["substitute"] for span in several.json()["away"]] == ["dora", None]

    first = (await desk.get("/workflow/people/?limit=5")).json()
    rest = (await desk.get(f"/workflow/people/?limit=500&cursor={first['next_cursor']}")).json()
    ids = [p["id"] for p in first["items"] + rest["items"]]
    assert ids == sorted([*(row["id"] for row in STAFF), "pat"])
    assert rest["next_cursor"] is None


async def test_preferences_are_shown_to_their_owner_and_admins_and_kept_by_those_who_do_not_send_any(
    desk: ApiDesk,
) -> None:
    chosen = {"channels": ["chat"], "addresses": {"chat": "private"}}
    await desk.post("/workflow/people/", {**PAT, "preferences": chosen}, as_="adam")
    again = await desk.call("PUT", "/workflow/people/pat/", body={**PAT, "name": "Pat Other"}, as_="adam")
    assert (again.json()["name"], again.json()["preferences"]) == ("Pat Other", chosen)
    for path in ("/workflow/people/pat/", "/workflow/people/?limit=500"):
        answer = (await desk.get(path, as_="ann")).json()
        pat = next(p for p in answer.get("items", [answer]) if p["id"] == "pat")
        assert pat["preferences"] is None
    cleared = await desk.call("PUT", "/workflow/people/pat/", body={**PAT, "preferences": {}}, as_="adam")
    assert cleared.json()["preferences"] == {}


@pytest.mark.parametrize("path", ["/workflow/people/pat/", "/workflow/people/?limit=500"])
async def test_addresses_are_shown_to_their_owner_and_admins_alone(desk: ApiDesk, path: str) -> None:
    await desk.post("/workflow/people/", PAT, as_="adam")
    for who, address in (
        ("ann", None),
        ("desi", None),
        ("audrey", None),
        ("adam", PAT["email"]),
        ("pat", PAT["email"]),
    ):
        answer = (await desk.get(path, as_=who)).json()
        pat = next(p for p in answer.get("items", [answer]) if p["id"] == "pat")
        assert pat["email"] == address, who


async def test_everybody_says_when_they_are_away_and_changes_nothing_else(desk: ApiDesk) -> None:
    path = "/workflow/people/ann/"
    away = {**AWAY, "substitute": "user:bob"}
    done = await desk.call("PUT", path, body={"away": away}, as_="ann")
    assert (done.status_code, done.json()["away"]["substitute"]) == (200, "bob")
    assert (done.json()["manager"], done.json()["email"]) == ("bob", "ann@example.com"), "the rest stays"
    assert (await desk.get("/workflow/people/me/", as_="ann")).json() == done.json()
    back = await desk.call("PUT", "/workflow/people/me/", body={**done.json(), "away": None}, as_="ann")
    assert (back.status_code, back.json()["away"]) == (200, None), "what was read can be sent back"
    more = await desk.call("PUT", path, body={"away": None, "manager": "adam", "access": ["admin"]}, as_="ann")
    assert (more.status_code, pointers(more)) == (403, ["/access", "/manager"])
    assert (await desk.call("PUT", path, body={"away": None, "manager": None}, as_="ann")).status_code == 403
    for substitute in ("ann", "ghost", "gone"):
        refused = await desk.call("PUT", path, body={"away": {**AWAY, "substitute": substitute}}, as_="ann")
        assert (refused.status_code, pointers(refused)) == (422, ["/away/substitute"])
    assert (await desk.call("PUT", "/workflow/people/bob/", body={"away": away}, as_="ann")).status_code == 403
    assert (await desk.get(path, as_="adam")).json() == back.json()


async def test_managers_and_past_substitutes_may_have_left(desk: ApiDesk) -> None:
    past = {"from": "2020-08-03T00:00:00Z", "until": "2020-08-17T00:00:00Z", "substitute": "gone"}
    made = await desk.post("/workflow/people/", {**PAT, "manager": "gone", "away": past}, as_="adam")
    assert made.status_code == 201, made.text


@pytest.mark.parametrize(
    ("access", "stored"), [(None, ["requester", "approver"]), ([], []), (["auditor"], ["auditor"])]
)
async def test_access_that_is_absent_is_asking_and_deciding(
    desk: ApiDesk, access: list[str] | None, stored: list[str]
) -> None:
    body = {name: value for name, value in PAT.items() if name != "access"} | (
        {} if access is None else {"access": access}
    )
    assert (await desk.post("/workflow/people/", body, as_="adam")).json()["access"] == stored


async def test_put_makes_somebody_new(desk: ApiDesk) -> None:
    made = await desk.call("PUT", "/workflow/people/quinn/", body={"name": "Quinn"}, as_="adam")
    assert (made.status_code, made.json()["id"]) == (201, "quinn")


async def test_same_person_twice_is_a_conflict(desk: ApiDesk) -> None:
    assert (await desk.post("/workflow/people/", {"id": "ann"}, as_="adam")).status_code == 409
    assert (await desk.get("/workflow/people/nobody/")).status_code == 404


@pytest.mark.parametrize("person", ["ann", "desi", "audrey"])
async def test_only_admins_change_people(desk: ApiDesk, person: str) -> None:
    assert (await desk.post("/workflow/people/", PAT, as_=person)).status_code == 403
    assert (await desk.call("PUT", "/workflow/people/ann/", body={}, as_=person)).status_code == 403
    assert (await desk.get("/workflow/people/", as_=person)).status_code == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": "a b"}, "/id"),
        ({"id": ""}, "/id"),
        ({"id": "system"}, "/id"),
        ({"id": "me"}, "/id"),
        ({"id": "user:me"}, "/id"),
        ({"manager": "me"}, "/manager"),
        ({"manager": "ghost"}, "/manager"),
        ({"away": {**AWAY, "substitute": "pat"}}, "/away/substitute"),
        ({"away": {**AWAY, "substitute": "ghost"}}, "/away/substitute"),
        ({"away": {**AWAY, "substitute": "gone"}}, "/away/substitute"),
        ({"away": [{**AWAY, "substitute": "dora"}, {**AWAY, "substitute": "pat"}]}, "/away/1/substitute"),
        ({"id": 5}, "/id"),
        ({"name": ""}, "/name"),
        ({"email": "no address"}, "/email"),
        ({"manager": "role:cfo"}, "/manager"),
        ({"manager": "pat"}, "/manager"),
        ({"groups": "finance"}, "/groups"),
        ({"groups": ["a b"]}, "/groups/0"),
        ({"access": ["king"]}, "/access/0"),
        ({"away": {"from": "2026-08-03T00:00:00Z"}}, "/away/until"),
        ({"away": {"from": "2026-08-03T00:00:00", "until": "2026-08-04T00:00:00Z"}}, "/away/from"),
        ({"away": {"from": "2026-08-03T00:00:00Z", "until": "2026-08-03T00:00:00Z"}}, "/away"),
        ({"away": "always"}, "/away"),
        ({"active": "yes"}, "/active"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_wrong_person_names_the_place(desk: ApiDesk, change: dict[str, Any], pointer: str) -> None:
    answer = await desk.post("/workflow/people/", {**PAT, **change}, as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, [pointer]), answer.text
    assert (await desk.get("/workflow/people/pat/")).status_code == 404


async def test_id_in_body_and_path_have_to_agree(desk: ApiDesk) -> None:
    answer = await desk.call("PUT", "/workflow/people/ann/", body=PAT, as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, ["/id"])

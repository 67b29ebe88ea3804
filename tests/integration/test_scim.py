"""SCIM 2.0: people and groups are provisioned, as identity providers send it; whoever is deactivated has left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from api.scim.documents import ENTERPRISE, PATCH, USER
from api.scim.routes import PREFIX, ScimRoute, router
from storage.database import Database
from storage.queries.identity import tokens
from storage.queries.people import people
from storage.queries.people.departures import Departure
from storage.tables.approvals import StoredPerson
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.stored import reading, writing

MIA: dict[str, Any] = {
    "schemas": [USER, ENTERPRISE],
    "userName": "mia@example.com",
    "externalId": "4711",
    "name": {"givenName": "Mia", "familyName": "Manager"},
    "emails": [{"value": "other@example.com"}, {"value": "mia@example.com", "primary": True, "type": "work"}],
    "roles": [{"value": "cfo"}],
    "active": True,
    ENTERPRISE: {"department": "sales", "manager": {"value": "dora"}},
}


@dataclass
class Directory:
    """An identity provider that provisions one installation."""

    desk: ApiDesk
    token: str

    async def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/scim+json"}
        return await self.desk.http.request(method, f"{PREFIX}{path}", json=body, headers=headers)

    async def patch(self, path: str, *operations: dict[str, Any]) -> httpx.Response:
        return await self.call("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def person(self, person: str) -> StoredPerson:
        with reading(self.desk.database) as session:
            return people.get(session.connection(), person)


def issue(desk: ApiDesk, person: str, scopes: list[str] | None) -> str:
    with writing(desk.database) as session:
        return tokens.issue(session.connection(), person, ttl=None, now=datetime.now(UTC), scopes=scopes)


@pytest_asyncio.fixture
async def directory(database: Database) -> AsyncIterator[Directory]:
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        yield Directory(desk=desk, token=issue(desk, "adam", ["scim"]))


async def test_a_person_is_created_read_and_replaced(directory: Directory) -> None:
    made = await directory.call("POST", "/Users", MIA)
    assert (made.status_code, made.headers["content-type"]) == (201, "application/scim+json")
    shown = made.json()
    assert shown["id"] == shown["userName"] == "mia@example.com"
    assert shown["meta"]["location"].endswith("/scim/v2/Users/mia@example.com")
    row = directory.person("mia@example.com")
    assert (row.name, row.email, row.manager) == ("Mia Manager", "mia@example.com", "dora")
    assert (row.department, row.roles, row.external_id) == ("sales", ["cfo"], "4711")
    assert row.access == ["requester", "approver"]
    assert (await directory.call("GET", "/Users/mia@example.com")).json() == shown
    changed = await directory.call("PUT", "/Users/mia@example.com", {**MIA, "displayName": "Mia M.", "roles": []})
    assert changed.status_code == 200, changed.text
    assert (directory.person("mia@example.com").name, directory.person("mia@example.com").roles) == ("Mia M.", [])


async def test_what_scim_does_not_know_stays(directory: Directory) -> None:
    away = {"from": "2100-01-01T00:00:00Z", "until": "2100-02-01T00:00:00Z", "substitute": "bob"}
    body = {"access": ["auditor"], "groups": ["finance"], "away": away}
    assert (await directory.desk.call("PUT", "/workflow/people/zoe/", as_="adam", body=body)).status_code == 200
    before = directory.person("zoe")
    user = (await directory.call("GET", "/Users/zoe")).json()
    assert (await directory.call("PUT", "/Users/zoe", user)).status_code == 200
    after = directory.person("zoe")
    assert after.model_dump(exclude={"updated_at"}) == before.model_dump(exclude={"updated_at"})


# What Entra, Okta and others send to change the same thing.
@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "active", "value": False},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "replace", "value": {"active": False}},
    ],
    ids=str,
)
async def test_whoever_is_deactivated_has_left(directory: Directory, operation: dict[str, Any]) -> None:
    answer = await directory.patch("/Users/bob", operation)
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    with reading(directory.desk.database) as session:
        assert [departure.person for departure in session.scalars(select(Departure))] == ["bob"]
    assert (await directory.desk.get("/auth/me/", as_="bob")).status_code == 401
    back = await directory.patch("/Users/bob", {"op": "replace", "path": "active", "value": True})
    assert back.json()["active"] is True


async def test_a_deleted_person_is_kept_inactive(directory: Directory) -> None:
    assert (await directory.call("DELETE", "/Users/bob")).status_code == 204
    assert directory.person("bob").active is False


@pytest.mark.parametrize(
    ("operation", "field", "expected"),
    [
        ({"op": "replace", "path": "displayName", "value": "Ann B."}, "name", "Ann B."),
        ({"op": "replace", "path": "name.formatted", "value": "Ann C."}, "name", "Ann C."),
        ({"op": "add", "path": 'emails[type eq "work"].value', "value": "a@b.test"}, "email", "a@b.test"),
        ({"op": "replace", "path": "emails", "value": [{"value": "c@b.test"}]}, "email", "c@b.test"),
        ({"op": "remove", "path": "emails"}, "email", None),
        ({"op": "add", "path": f"{ENTERPRISE}:department", "value": "it"}, "department", "it"),
        ({"op": "replace", "path": f"{ENTERPRISE}:manager", "value": "carl"}, "manager", "carl"),
        ({"op": "replace", "value": {ENTERPRISE: {"manager": {"value": "carl"}}}}, "manager", "carl"),
        ({"op": "remove", "path": f"{ENTERPRISE}:manager"}, "manager", None),
        ({"op": "add", "path": "roles", "value": [{"value": "cfo"}]}, "roles", ["cfo"]),
        ({"op": "replace", "path": "userType", "value": "service"}, "actor_type", "service"),
        ({"op": "replace", "path": "externalId", "value": "7"}, "external_id", "7"),
    ],
    ids=str,
)
async def test_a_part_of_a_person_is_changed(
    directory: Directory, operation: dict[str, Any], field: str, expected: Any
) -> None:
    answer = await directory.patch("/Users/ann", operation)
    assert answer.status_code == 200, answer.text
    assert getattr(directory.person("ann"), field) == expected


async def test_people_are_found_by_filters_and_listed_in_pages(directory: Directory) -> None:
    await directory.call("POST", "/Users", MIA)
    for text in ('userName eq "MIA@example.com"', 'externalId eq "4711"', 'emails.value eq "mia@example.com"'):
        found = (await directory.call("GET", f"/Users?filter={text}")).json()
        assert (found["totalResults"], [u["id"] for u in found["Resources"]]) == (1, ["mia@example.com"]), text
    assert (await directory.call("GET", '/Users?filter=userName eq "nobody"')).json()["Resources"] == []
    total = (await directory.call("GET", "/Users")).json()["totalResults"]
    seen: list[str] = []
    for start in range(1, total + 1, 4):
        page = (await directory.call("GET", f"/Users?startIndex={start}&count=4")).json()
        assert page["itemsPerPage"] == len(page["Resources"])
        seen += [user["id"] for user in page["Resources"]]
    assert len(seen) == len(set(seen)) == total
    for wrong in ('userName co "a"', 'nickName eq "a"', "userName", "x" * 2000):
        refused = await directory.call("GET", f"/Users?filter={wrong}")
        assert refused.status_code == 400, wrong
        assert refused.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


async def test_groups_are_created_changed_renamed_and_deleted(directory: Directory) -> None:
    made = await directory.call("POST", "/Groups", {"displayName": "legal", "members": [{"value": "ann"}]})
    assert made.status_code == 201, made.text
    path = f"/Groups/{made.json()['id']}"
    assert directory.person("ann").groups == ["legal"]
    await directory.patch(path, {"op": "add", "path": "members", "value": [{"value": "bob"}, {"value": "gus"}]})
    assert directory.person("gus").groups == ["finance", "legal"]
    await directory.patch(path, {"op": "remove", "path": 'members[value eq "ann"]'})
    await directory.patch(path, {"op": "remove", "path": "members", "value": [{"value": "gus"}]})
    assert [m["value"] for m in (await directory.call("GET", path)).json()["members"]] == ["bob"]
    await directory.patch(path, {"op": "replace", "path": "displayName", "value": "law"})
    assert directory.person("bob").groups == ["law"]
    found = (await directory.call("GET", '/Groups?filter=displayName eq "LAW"')).json()
    assert found["totalResults"] == 1
    await directory.call("PUT", path, {"displayName": "law", "members": [{"value": "zoe"}]})
    assert (directory.person("bob").groups, directory.person("zoe").groups) == ([], ["law"])
    assert (await directory.call("DELETE", path)).status_code == 204
    assert directory.person("zoe").groups == []
    assert (await directory.call("GET", path)).status_code == 404


# What is wrong, and with which status it is refused.
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/Users", {"userName": "ann"}, 409),
        ("POST", "/Users", {}, 400),
        ("POST", "/Users", [], 400),
        ("POST", "/Users", {"userName": "two words"}, 400),
        ("POST", "/Users", {"userName": "x", ENTERPRISE: {"manager": {"value": "nobody"}}}, 400),
        ("POST", "/Users", {"userName": "x", "active": "maybe"}, 400),
        ("POST", "/Users", {"userName": "x", "userType": "robot"}, 400),
        ("POST", "/Users", {"userName": "x", "emails": "x"}, 400),
        ("PUT", "/Users/ann", {"userName": "other"}, 400),
        ("PUT", "/Users/nobody", {"userName": "nobody"}, 404),
        ("GET", "/Users/nobody", None, 404),
        ("PATCH", "/Users/ann", {"Operations": []}, 400),
        ("PATCH", "/Users/ann", {"Operations": [{"op": "move", "path": "active"}]}, 400),
        ("PATCH", "/Users/ann", {"Operations": [{"op": "remove"}]}, 400),
        ("PATCH", "/Users/ann", {"Operations": [{"op": "replace", "path": "a[[", "value": 1}]}, 400),
        ("POST", "/Groups", {"displayName": "two words"}, 400),
        ("POST", "/Groups", {"displayName": "legal", "members": [{"value": "nobody"}]}, 400),
        ("DELETE", "/Groups/nothing", None, 404),
    ],
)
async def test_what_is_wrong_is_refused_as_scim_says(
    directory: Directory, method: str, path: str, body: Any, status: int
) -> None:
    answer = await directory.call(method, path, body)
    assert answer.status_code == status, answer.text
    assert (answer.json()["status"], bool(answer.json()["detail"])) == (str(status), True)
    assert answer.headers["content-type"] == "application/scim+json"


async def test_two_groups_of_one_name_are_refused(directory: Directory) -> None:
    assert (await directory.call("POST", "/Groups", {"displayName": "legal"})).status_code == 201
    again = await directory.call("POST", "/Groups", {"displayName": "Legal"})
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")


async def test_the_service_says_what_it_supports(directory: Directory) -> None:
    config = (await directory.call("GET", "/ServiceProviderConfig")).json()
    assert (config["patch"]["supported"], config["bulk"]["supported"]) == (True, False)
    assert {t["id"] for t in (await directory.call("GET", "/ResourceTypes")).json()["Resources"]} == {"User", "Group"}
    assert USER in {s["id"] for s in (await directory.call("GET", "/Schemas")).json()["Resources"]}


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("DELETE", None),
        ("PUT", {"schemas": [USER], "userName": "adam", "active": False}),
        ("PATCH", {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}),
    ],
)
async def test_the_last_admin_does_not_leave_by_scim_and_one_of_two_does(
    directory: Directory, method: str, body: Any
) -> None:
    refused = await directory.call(method, "/Users/adam", body)
    assert (refused.status_code, refused.json()["scimType"]) == (400, "mutability"), refused.text
    assert "nobody else is an admin" in refused.json()["detail"]
    assert directory.person("adam").active
    with writing(directory.desk.database) as session:
        other = people.get(session.connection(), "desi").model_dump() | {"access": ["designer", "admin"]}
        people.put(session.connection(), StoredPerson(**other))
    assert (await directory.call(method, "/Users/adam", body)).is_success
    assert not directory.person("adam").active


ROUTES = sorted(
    (method, route.path_format.removeprefix(PREFIX)) for route in router.routes for method in route.methods or ()
)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_only_the_scim_token_of_an_admin_gets_anywhere(directory: Directory, method: str, path: str) -> None:
    there = path.replace("{", "").replace("}", "")
    others = [issue(directory.desk, "adam", scopes) for scopes in (None, ["admin"], ["read"])]
    others += [issue(directory.desk, person, ["scim"]) for person in ("ann", "desi", "audrey", "nil")]
    for token in others:
        answer = await directory.call(method, there, {}, token)
        assert (answer.status_code, answer.json()["status"]) == (403, "403"), token
    assert (await directory.call(method, there, {}, "placet_unknown")).status_code == 401
    assert (await directory.call(method, there, {})).status_code not in {401, 403}


def test_every_route_of_scim_checks_the_token() -> None:
    assert ROUTES
    assert all(isinstance(route, ScimRoute) for route in router.routes)

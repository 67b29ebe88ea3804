"""Who may call what: every route of the API, without a token and with each access, as docs/security.md says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.access import RULES, rule_of
from api.app import describe
from service.principal import ACCESS
from storage.database import Database
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine

DOCUMENT = describe()
SECURITY = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
# Somebody of each access, and somebody with none.
WITH = {"requester": "rex", "approver": "ava", "designer": "desi", "auditor": "audrey", "admin": "adam", "none": "nil"}

OPEN = {"GET /health/live", "GET /health/ready", "GET /metrics/prometheus"}
# Where the access alone does not decide, who of those that it lets through gets no further here.
REFUSED: dict[str, set[str]] = {
    "PUT /workflow/people/{person_id}/": {"requester", "approver", "designer", "auditor"},  # somebody else
    "POST /workflow/action-catalog/": {"designer"},  # the example hands out a secret
    "PUT /workflow/action-catalog/{action}/": {"designer"},  # as above
    # no approver, and no owner of the process: there is no such task
    "POST /workflow/tasks/{task_id}/decide/": {"requester", "designer"},
    "POST /workflow/tasks/{task_id}/claim/": {"requester", "designer"},
    "POST /workflow/tasks/{task_id}/token/": {"requester", "designer"},
}
ROUTES = {
    f"{method.upper()} {path.removeprefix(BASE)}": call
    for path, calls in DOCUMENT["paths"].items()
    for method, call in calls.items()
}


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=0.2) as opened:
        yield opened
    await database.close()


def documented() -> dict[str, set[str]]:
    """Return what docs/security.md says of each route."""
    rows = re.findall(r"^\| `([A-Z]+ /\S+)` \| (.*?) \|", SECURITY, re.MULTILINE)
    return {route: set(ACCESS) if who == "any" else set(who.split(", ")) for route, who in rows}


def example(route: str) -> Any:
    """Return a body that the route takes, by the examples of its document or what it requires; None without a body."""
    content = ROUTES[route].get("requestBody", {}).get("content", {}).get("application/json", {})
    for shown in content.get("examples", {}).values():
        return shown["value"]
    named = content.get("schema", {}).get("$ref")
    schema = DOCUMENT["components"]["schemas"][named.rpartition("/")[2]] if named else {"examples": [None]}
    return next(iter(schema.get("examples", ())), dict.fromkeys(schema.get("required", ()), "x"))


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert ROUTES.keys() == RULES.keys() | OPEN
    with pytest.raises(LookupError, match="who may call GET /workflow/new/"):
        rule_of("GET", "/workflow/new/")


def test_the_page_on_security_says_of_each_route_who_may_call_it() -> None:
    assert documented() == {route: set(access) for route, access in RULES.items()}


@pytest.mark.parametrize("route", sorted(ROUTES))
async def test_nobody_without_a_token_gets_further_than_401(desk: ApiDesk, route: str) -> None:
    method, path = re.sub(r"[{}]", "", route).split()
    for there in (path, path.rstrip("/")):
        answer = await desk.call(method, there, as_=None, content=b"" if method == "GET" else b"{}")
        assert (answer.status_code == 401) is (route not in OPEN), answer.text


@pytest.mark.parametrize("route", sorted(RULES))
async def test_each_access_gets_as_far_as_the_page_on_security_says(desk: ApiDesk, route: str) -> None:
    method, path = re.sub(r"[{}]", "", route).split()
    answers = {
        access: await desk.call(method, path, as_=who, body=example(route)) for access, who in sorted(WITH.items())
    }
    reached = {access for access, answer in answers.items() if answer.status_code != 403}
    expected = documented()[route] - REFUSED.get(route, set())
    assert reached == expected, {who: (a.status_code, a.text[:200]) for who, a in answers.items()}
    assert {answer.status_code for answer in answers.values()} <= {200, 201, 202, 204, 400, 403, 404, 409, 422, 503}

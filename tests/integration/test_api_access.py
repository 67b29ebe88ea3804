"""Who may call what: every route of the API and every page, unknown and with each access, as docs/security.md says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute
from structlog.testing import capture_logs

from api.access import RULES, rule_of
from api.app import _application
from api.http.authentication import LOOPBACK_COOKIE
from api.http.calls import PersonalRoute
from api.http.parameters import PublicRoute
from api.scim.routes import ScimRoute
from service.identity import login
from service.identity.login import issue_code
from service.principal import ACCESS
from storage.database import Database
from tests.api_desk import BASE, ApiDesk, api_desk, context_of, no_engine
from tests.documented import document
from web.access import LOGGED_IN, PAGES, PUBLIC
from web.access import rule_of as page_rule_of
from web.app import ROUTERS
from web.security import PageRoute

DOCUMENT = document()
SECURITY = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
# Somebody of each access, and somebody with none.
WITH = {"requester": "rex", "approver": "ava", "designer": "desi", "auditor": "audrey", "admin": "adam", "none": "nil"}

# Those of chats need the chat's signature, and say 501 where no chat is set up.
AUTHZEN = {"GET /.well-known/authzen-configuration", "GET /authzen/jwks"}
CHATS = {"POST /chat/slack/interactions", "POST /chat/teams/messages"}
OPEN = {"GET /health/live", "GET /health/ready", "GET /metrics/prometheus", *CHATS, *AUTHZEN}
# Where the access alone does not decide, who of those that it lets through gets no further here.
REFUSED: dict[str, set[str]] = {
    "PUT /workflow/people/{person_id}/": {"requester", "approver", "designer", "auditor"},  # somebody else
    "POST /workflow/action-catalog/": {"designer"},  # the example hands out a secret
    "PUT /workflow/action-catalog/{action}/": {"designer"},  # as above
    # no approver, and no owner of the process: there is no such task
    "GET /workflow/tasks/{task_id}/consequences/": {"requester", "designer"},
    "GET /tasks/{task_id}/consequences": {"requester", "designer"},
    "POST /workflow/tasks/{task_id}/decide/": {"requester", "designer"},
    "POST /workflow/tasks/{task_id}/undo/": {"requester", "designer"},
    "POST /workflow/tasks/{task_id}/claim/": {"requester", "designer"},
    "POST /workflow/tasks/{task_id}/token/": {"requester", "designer"},
    "POST /tasks/{task_id}/undo": {"requester", "designer"},
    "POST /tasks/{task_id}/claim": {"requester", "designer"},
}
# Pages that do not end for those who may open them.
STREAMS = {"GET /live"}
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


def documented(heading: str = "Every route") -> dict[str, set[str]]:
    """Return what docs/security.md says of each route or page."""
    part = SECURITY.split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z]+ /\S*)` \| (.*?) \|", part, re.MULTILINE)
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


async def test_nobody_without_a_token_gets_further_than_401(desk: ApiDesk) -> None:
    further: dict[str, str] = {}
    for route in sorted(ROUTES):
        method, path = re.sub(r"[{}]", "", route).split()
        for there in (path, path.rstrip("/")):
            answer = await desk.call(method, there, as_=None, content=b"" if method == "GET" else b"{}")
            if (answer.status_code == 401) is (route in OPEN):
                further[f"{method} {there}"] = f"{answer.status_code} {answer.text[:200]}"
    assert further == {}


@pytest.mark.parametrize("route", sorted(RULES))
async def test_each_access_gets_as_far_as_the_page_on_security_says(desk: ApiDesk, route: str) -> None:
    method, path = re.sub(r"[{}]", "", route).split()
    with capture_logs() as logged:
        answers = {
            access: await desk.call(method, path, as_=who, body=example(route)) for access, who in sorted(WITH.items())
        }
    refused = {line.get("person") for line in logged if line["event"] == "call_refused" and line["status"] == 403}
    assert refused == {WITH[access] for access, answer in answers.items() if answer.status_code == 403}
    reached = {access for access, answer in answers.items() if answer.status_code != 403}
    expected = documented()[route] - REFUSED.get(route, set())
    assert reached == expected, {who: (a.status_code, a.text[:200]) for who, a in answers.items()}
    assert {answer.status_code for answer in answers.values()} <= {
        200,
        201,
        202,
        204,
        400,
        403,
        404,
        409,
        415,
        422,
        501,
        503,
    }


def test_every_route_that_the_application_has_checks_who_calls() -> None:
    # Also those that the document does not show; only the documentation of the API is for everybody.
    with_a_check = (PersonalRoute, PublicRoute, ScimRoute, PageRoute)
    routes: list[APIRoute] = []
    for each in _application().routes:
        inner = getattr(each, "original_router", None)
        found = [each] if inner is None else inner.routes
        routes += [route for route in found if isinstance(route, APIRoute)]
    assert len(routes) > len(RULES)
    assert {route.path for route in routes if not isinstance(route, with_a_check)} == {f"{BASE}/docs"}
    public = {route.path for route in routes if isinstance(route, PublicRoute)}
    assert public == {route.split()[1] for route in OPEN}


def page_routes() -> set[str]:
    """Return each page that the application has, by its routes themselves."""
    return {
        f"{method} {route.path_format}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def test_every_page_has_a_rule_and_every_rule_a_page() -> None:
    assert page_routes() == set(PAGES)
    assert all(isinstance(route, PageRoute) for router in ROUTERS for route in router.routes)
    with pytest.raises(LookupError, match="who may open GET /new"):
        page_rule_of("GET", "/new")


def test_the_page_on_security_says_of_each_page_who_may_open_it() -> None:
    named = {PUBLIC: {"everybody"}, LOGGED_IN: {"logged in"}}
    assert documented("Every page") == {page: named.get(rule, set(rule)) for page, rule in PAGES.items()}


async def opened(desk: ApiDesk, page: str, person: str | None) -> httpx.Response:
    """Open a page as somebody who has just logged in, or as nobody."""
    method, path = re.sub(r"[{}]", "", page).split()
    async with httpx.AsyncClient(transport=desk.http._transport, base_url="http://127.0.0.1:8420") as browser:
        sent = {}
        if person is not None:
            answer = await browser.get(f"/login/{await issue_code(desk.database, person, datetime.now(UTC))}")
            assert answer.status_code == 302, answer.text
            session = await login.by_session(context_of(desk), browser.cookies[LOOPBACK_COOKIE])
            assert session is not None
            sent = {"X-CSRF-Token": session.csrf_token}
        return await browser.request(method, path, headers=sent)


async def test_nobody_without_a_session_opens_a_page_that_needs_one(desk: ApiDesk) -> None:
    further: dict[str, str] = {}
    for page in sorted(PAGES):
        answer = await opened(desk, page, None)
        refused = answer.headers.get("location", "").startswith("/login") or answer.status_code == 401
        if refused is (PAGES[page] is PUBLIC) and (page, answer.status_code) != ("POST /login", 401):
            further[page] = f"{answer.status_code} {answer.text[:200]}"
    assert further == {}


async def test_a_stream_is_refused_to_who_has_no_access(desk: ApiDesk) -> None:
    for page in STREAMS:
        assert (await opened(desk, page, "nil")).status_code == 403


@pytest.mark.parametrize("page", sorted(set(PAGES) - STREAMS))
async def test_each_access_opens_the_pages_that_the_page_on_security_names(desk: ApiDesk, page: str) -> None:
    with capture_logs() as logged:
        answers = {access: await opened(desk, page, who) for access, who in sorted(WITH.items())}
    refused = {line.get("person") for line in logged if line["event"] == "call_refused" and line["status"] == 403}
    assert refused == {WITH[access] for access, answer in answers.items() if answer.status_code == 403}
    reached = {access for access, answer in answers.items() if answer.status_code != 403}
    expected = (
        set(WITH) if PAGES[page] in {PUBLIC, LOGGED_IN} else documented("Every page")[page] - REFUSED.get(page, set())
    )
    assert reached == expected, {who: (a.status_code, a.text[:200]) for who, a in answers.items()}
    assert not {access for access, answer in answers.items() if answer.status_code >= 500}

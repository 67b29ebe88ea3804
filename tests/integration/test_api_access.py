"""Who may call what: every route of the API, without a token and as each kind of person."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from api.app import describe
from storage.database import Database
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine

DOCUMENT = describe()
EVERYBODY = frozenset({"ann", "desi", "audrey", "adam"})  # no access, designer, auditor, admin
DESIGNERS = frozenset({"desi", "adam"})
ADMINS = frozenset({"adam"})

OPEN = {"GET /health/live", "GET /health/ready", "GET /metrics/prometheus"}
# Who gets further than 403; what concerns one request or task is everybody's here, and hidden (404) or refused for what
# the caller is to it, which tests.integration.test_api_requests holds.
MAY: dict[str, frozenset[str]] = {
    "POST /workflow/process-templates/": DESIGNERS,
    "GET /workflow/process-templates/": EVERYBODY,
    "POST /workflow/process-templates/import_blueprint/": DESIGNERS,
    "POST /workflow/process-templates/import_bpmn/": DESIGNERS,
    "POST /workflow/process-templates/check/": EVERYBODY,
    "GET /workflow/process-templates/schema/": EVERYBODY,
    "GET /workflow/process-templates/{template_id}/": EVERYBODY,
    "PUT /workflow/process-templates/{template_id}/": DESIGNERS,
    "GET /workflow/process-templates/{template_id}/export/": EVERYBODY,
    "GET /workflow/process-templates/{template_id}/diff/": EVERYBODY,
    "POST /workflow/process-templates/{template_id}/publish/": DESIGNERS,
    "POST /workflow/process-templates/{template_id}/deprecate/": DESIGNERS,
    "POST /workflow/process-templates/{template_id}/migrate/": ADMINS,
    "POST /workflow/requests/": EVERYBODY,
    "GET /workflow/requests/": EVERYBODY,
    "GET /workflow/requests/{request_id}/": EVERYBODY,
    "GET /workflow/requests/{request_id}/timeline/": EVERYBODY,
    "GET /workflow/requests/{request_id}/cost/": EVERYBODY,
    "GET /workflow/requests/{request_id}/audit/verify/": EVERYBODY,
    "GET /workflow/requests/{request_id}/notifications/": EVERYBODY,
    "POST /workflow/requests/{request_id}/withdraw/": EVERYBODY,
    "POST /workflow/requests/{request_id}/cancel/": EVERYBODY,
    "POST /workflow/requests/{request_id}/comments/": EVERYBODY,
    "POST /workflow/requests/{request_id}/extend/": EVERYBODY,
    "POST /workflow/requests/{request_id}/events/": EVERYBODY,
    "POST /workflow/requests/{request_id}/resubmit/": EVERYBODY,
    "GET /workflow/tasks/": EVERYBODY,
    "POST /workflow/tasks/decide/": EVERYBODY,
    "GET /workflow/tasks/{task_id}/": EVERYBODY,
    "POST /workflow/tasks/{task_id}/decide/": EVERYBODY,
    "POST /workflow/tasks/{task_id}/reassign/": EVERYBODY,
    "POST /workflow/tasks/{task_id}/delegate/": EVERYBODY,
    "POST /workflow/tasks/{task_id}/claim/": EVERYBODY,
    "POST /workflow/tasks/{task_id}/release/": EVERYBODY,
    "POST /workflow/tasks/{task_id}/token/": EVERYBODY,
    "GET /workflow/people/": EVERYBODY,
    "POST /workflow/people/": ADMINS,
    "GET /workflow/people/{person_id}/": EVERYBODY,
    "PUT /workflow/people/{person_id}/": ADMINS,
    "GET /workflow/people/me/preferences/": EVERYBODY,
    "PUT /workflow/people/me/preferences/": EVERYBODY,
    "GET /workflow/action-catalog/": EVERYBODY,
    "POST /workflow/action-catalog/": ADMINS,  # the example hands out a secret
    "GET /workflow/action-catalog/{action}/": EVERYBODY,
    "PUT /workflow/action-catalog/{action}/": ADMINS,  # as above
    "POST /workflow/workflow-simulations/": EVERYBODY,
    "GET /workflow/workflow-simulations/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/rows/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/events/": EVERYBODY,
    "GET /workflow/workflow-simulations/{simulation_id}/report/": EVERYBODY,
    "POST /workflow/workflow-simulations/{simulation_id}/cancel/": EVERYBODY,
    "GET /workflow/notification-templates/": DESIGNERS,
    "GET /workflow/notification-templates/{name}/": DESIGNERS,
    "PUT /workflow/notification-templates/{name}/": DESIGNERS,
    "POST /workflow/notification-templates/{name}/preview/": DESIGNERS,
    "POST /workflow/notifications/{key}/resend/": EVERYBODY,  # the process owner's, and so 404 comes first
    "GET /workflow/webhooks/": ADMINS,
    "POST /workflow/webhooks/": ADMINS,
    "GET /workflow/webhooks/{webhook_id}/": ADMINS,
    "DELETE /workflow/webhooks/{webhook_id}/": ADMINS,
    "GET /metrics/workflow-escalations": EVERYBODY,
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


def example(route: str) -> Any:
    """Return a body that the route takes, by the examples of its document or what it requires; None without a body."""
    content = ROUTES[route].get("requestBody", {}).get("content", {}).get("application/json", {})
    for shown in content.get("examples", {}).values():
        return shown["value"]
    named = content.get("schema", {}).get("$ref")
    schema = DOCUMENT["components"]["schemas"][named.rpartition("/")[2]] if named else {"examples": [None]}
    return next(iter(schema.get("examples", ())), dict.fromkeys(schema.get("required", ()), "x"))


def test_every_route_has_its_place_in_the_table() -> None:
    assert ROUTES.keys() == MAY.keys() | OPEN


@pytest.mark.parametrize("route", sorted(ROUTES))
async def test_nobody_without_a_token_gets_further_than_401(desk: ApiDesk, route: str) -> None:
    method, path = re.sub(r"[{}]", "", route).split()
    for there in (path, path.rstrip("/")):
        answer = await desk.call(method, there, as_=None, content=b"" if method == "GET" else b"{}")
        assert (answer.status_code == 401) is (route not in OPEN), answer.text


@pytest.mark.parametrize("route", sorted(MAY))
async def test_each_kind_of_person_gets_as_far_as_the_table_says(desk: ApiDesk, route: str) -> None:
    method, path = re.sub(r"[{}]", "", route).split()
    answers = {who: await desk.call(method, path, as_=who, body=example(route)) for who in sorted(EVERYBODY)}
    reached = {who for who, answer in answers.items() if answer.status_code != 403}
    assert reached == MAY[route], {who: (a.status_code, a.text[:200]) for who, a in answers.items()}
    assert {answer.status_code for answer in answers.values()} <= {200, 201, 202, 204, 400, 403, 404, 409, 422, 503}

"""Parameters that a route does not know are refused with the nearest name, on every route."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from storage.database import Database
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine, pointers
from tests.documented import document

ROUTES = sorted(
    (method.upper(), path)
    for path, operations in document()["paths"].items()
    for method in operations.keys() & {"get", "post", "put", "patch", "delete"}
)


def _shape(operation: dict[str, Any]) -> str:
    """Return the name of the schema of an answer."""
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    return str(answer.get("schema", {}).get("$ref", "")).rpartition("/")[2]


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened
    await database.close()


async def test_every_route_refuses_what_it_does_not_know(desk: ApiDesk) -> None:
    headers = {"Authorization": f"Bearer {await desk.token('adam')}"}
    for method, path in ROUTES:
        address = re.sub(r"{[^}]*}", "x", path)
        for slash in ("", "/"):
            answer = await desk.http.request(method, f"{address.rstrip('/')}{slash}?nonsense=1", headers=headers)
            assert (answer.status_code, pointers(answer)) == (422, ["/nonsense"]), (method, path, answer.text)


@pytest.mark.parametrize(
    ("query", "named", "said"),
    [
        ("outcom=approved", "/outcom", "did you mean 'outcome'?"),
        ("Status=pending", "/Status", "did you mean 'status'?"),
        ("startedAfter=2026-01-01T00:00:00Z", "/startedAfter", "did you mean 'started_after'?"),
        ("xyzzy", "/xyzzy", "there are: cursor, "),
        ("=1", "/", "there are: "),
        ("a/b~c=1", "/a~1b~0c", "there are: "),
    ],
)
async def test_the_nearest_name_is_told(desk: ApiDesk, query: str, named: str, said: str) -> None:
    answer = await desk.get(f"/workflow/requests/?{query}")
    assert (answer.status_code, pointers(answer)) == (422, [named])
    assert said in answer.json()["errors"][0]["message"]


# What names a process in a body, and where: an unknown one is a fault of the body, and nothing that is not found.
NAMES_A_PROCESS = (
    ("/workflow/requests/", {"template": "Expence"}, "/template"),
    ("/workflow/requests/", {"template": "Expence", "version": "1.0.0"}, "/version"),
    ("/workflow/workflow-simulations/", {"mode": "explore", "template": "Expence"}, "/template"),
    ("/workflow/workflow-simulations/", {"mode": "explore", "template": "Expence", "version": "1.0.0"}, "/version"),
    ("/workflow/workflow-simulations/", {"mode": "backtest", "template": "Expence"}, "/template"),
    ("/workflow/workflow-simulations/", {"mode": "shadow", "template": "Expence"}, "/template"),
    ("/workflow/workflow-suggestions/", {"template": "Expence", "title": "a", "patch": []}, "/template"),
    ("/workflow/workflow-suggestions/generate/", {"template": "Expence"}, "/template"),
    ("/workflow/workflow-slas/", {"name": "a", "template": "Expence", "target_duration_seconds": 60}, "/template"),
    ("/workflow/blueprint-drafts/", {"based_on": {"process": "Expence"}}, "/based_on/process"),
)


@pytest.mark.parametrize(("path", "body", "place"), NAMES_A_PROCESS)
async def test_a_process_that_there_is_not_is_a_fault_of_the_body_that_names_it(
    desk: ApiDesk, path: str, body: dict[str, Any], place: str
) -> None:
    answer = await desk.post(path, body, as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, [place]), answer.text
    assert "Expence" in answer.json()["errors"][0]["message"]


async def test_whoever_may_not_call_learns_no_parameters(desk: ApiDesk) -> None:
    assert (await desk.http.get(f"{BASE}/workflow/requests/?nonsense=1")).status_code == 401


async def test_all_unknown_ones_are_told_at_once_and_a_call_without_any_says_so(desk: ApiDesk) -> None:
    answer = await desk.post("/workflow/people/?a=1&b=2&a=3", {"id": "new"}, as_="adam")
    assert (answer.status_code, pointers(answer)) == (422, ["/a", "/b"])
    assert answer.json()["errors"][0]["message"].endswith("this call takes no parameters")
    assert (await desk.get("/workflow/people/new/", as_="adam")).status_code == 404


def test_every_list_is_read_in_pages() -> None:
    schemas = document()["components"]["schemas"]
    for path, operations in document()["paths"].items():
        answer = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        shape = answer.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if "items" in schemas.get(shape, {}).get("properties", {}):
            named = {parameter["name"] for parameter in operations["get"].get("parameters", ())}
            assert {"limit", "cursor"} <= named, path
            assert "next_cursor" in schemas[shape]["properties"], path


LISTS = sorted(
    (path, parameter["name"])
    for path, operations in document()["paths"].items()
    for parameter in operations.get("get", {}).get("parameters", ())
    if "next_cursor" in str(document()["components"]["schemas"].get(_shape(operations["get"]), {}))
    and parameter["in"] == "query"
    and "{" not in path
)


async def test_an_empty_parameter_of_a_list_filters_nothing(desk: ApiDesk) -> None:
    headers = {"Authorization": f"Bearer {await desk.token('adam')}"}
    assert ("/api/v1/workflow/requests/", "outcome") in LISTS
    for path, name in LISTS:
        without, empty = [await desk.http.get(path + query, headers=headers) for query in ("", f"?{name}=")]
        assert (empty.status_code, empty.json()) == (without.status_code, without.json()), (path, name)


@pytest.mark.parametrize(
    ("query", "pointer", "says"),
    [
        ("tasks/?sla_state=foo", "/sla_state", "write 'ok', 'warning' or 'breached'"),
        ("tasks/?assignee=group:hr", "/assignee", "write a person's id"),
        ("requests/?requester=group:hr", "/requester", "write a person's id"),
        ("requests/?started_after=2026-12-01T02:00:00", "/started_after", "such as 2026-01-31T09:00:00Z"),
        ("requests/?started_after=soon", "/started_after", "such as 2026-01-31T09:00:00Z"),
        ("costs/?template=a&approver_hour=x", "/approver_hour", "a number is needed here"),
    ],
)
async def test_a_wrong_parameter_is_named_as_it_was_sent_and_what_to_write_is_said(
    desk: ApiDesk, query: str, pointer: str, says: str
) -> None:
    answer = await desk.get(f"/workflow/{query}", as_="adam")
    assert (answer.status_code, set(pointers(answer))) == (422, {pointer}), answer.text
    assert says in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("away", "pointer"),
    [
        ({"from": "2026-12-01T02:00:00", "until": "2026-12-02T02:00:00Z"}, "/away/from"),
        ([{"from": "2026-12-01T02:00:00Z", "until": "soon"}], "/away/0/until"),
    ],
)
async def test_a_fault_in_a_body_is_at_the_place_that_was_sent(desk: ApiDesk, away: Any, pointer: str) -> None:
    answer = await desk.call("PUT", "/workflow/people/ann/", body={"away": away}, as_="adam")
    assert (answer.status_code, set(pointers(answer))) == (422, {pointer}), answer.text
    assert "such as 2026-01-31" in answer.json()["errors"][0]["message"]


BODIES = [
    (method, path, operation["responses"])
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
    if "requestBody" in operation and "422" in operation["responses"]
]


def test_what_a_body_is_refused_for_before_it_is_read_is_documented() -> None:
    assert len(BODIES) > 50
    for method, path, responses in BODIES:
        if "application/problem+json" in responses["422"]["content"]:
            assert {"413", "415"} <= responses.keys(), (method, path)


@pytest.mark.parametrize(
    ("method", "path", "status", "media"),
    [
        ("post", "workflow/process-templates/import_bpmn/", "200", "application/json"),
        ("post", "workflow/process-templates/import_dmn/", "200", "application/json"),
        ("put", "workflow/people/{person_id}/", "201", "application/json"),
        ("get", "health/ready", "503", "application/json"),
        ("get", "workflow/requests/{request_id}/attachments/{n}/", "200", "application/pdf"),
    ],
)
def test_an_answer_beside_the_usual_one_is_documented(method: str, path: str, status: str, media: str) -> None:
    assert media in document()["paths"][f"{BASE}/{path}"][method]["responses"][status]["content"]

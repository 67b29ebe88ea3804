"""How calls are received: identity, bodies, keys, paths, and problems that name the place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.requests import Request

from api.context import ApiContext
from api.http.calls import _fingerprint
from service.engine.admission import Admission
from storage.database import Database
from storage.queries.identity import tokens
from tests.api_desk import BASE, ApiDesk, api_desk, no_engine, pointers
from tests.documented import document
from tests.stored import writing

PERSON = {"id": "pat", "name": "Pat"}
TEMPLATES = "/workflow/process-templates/"


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[ApiDesk]:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened
    await database.close()


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() >= {"type", "title", "status", "detail", "errors"}
    assert document["status"] == status
    assert document["detail"]
    return document


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer placet_unknown", "Basic YW5uOmFubg==", "placet_unknown", "Bearer \x7f"],
)
async def test_no_valid_token_is_401(desk: ApiDesk, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (
        ("GET", "/workflow/requests/"),
        ("POST", "/workflow/requests/"),
        ("PUT", "/workflow/people/x/"),
    ):
        answer = await desk.call(method, path, as_=None, headers=headers, content=b"not json")
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_expired_and_revoked_tokens_and_those_who_left_are_401(desk: ApiDesk) -> None:
    now = datetime.now(UTC)
    with writing(desk.database) as session:
        expired = tokens.issue(session.connection(), "ann", ttl=timedelta(hours=1), now=now - timedelta(hours=2))
        revoked = tokens.issue(session.connection(), "ann", ttl=None, now=now)
        tokens.revoke(session.connection(), revoked, now)
        left = tokens.issue(session.connection(), "gone", ttl=None, now=now)
    for token in (expired, revoked, left):
        answer = await desk.call("GET", "/workflow/people/", as_=None, headers={"Authorization": f"Bearer {token}"})
        is_problem(answer, 401)


async def test_scheme_of_the_token_is_read_in_any_case(desk: ApiDesk) -> None:
    token = await desk.token("ann")
    answer = await desk.call("GET", "/workflow/people", as_=None, headers={"Authorization": f"bearer {token}"})
    assert answer.status_code == 200


async def test_paths_work_with_and_without_a_slash_and_nothing_redirects(desk: ApiDesk) -> None:
    for path in ("/workflow/requests", "/workflow/tasks", "/workflow/people/ann", "/health/live", "/openapi.json"):
        plain, slashed = await desk.get(path), await desk.get(f"{path}/")
        assert (plain.status_code, slashed.status_code) == (200, 200), path
        assert plain.json() == slashed.json()


async def test_unknown_paths_and_methods_are_problems(desk: ApiDesk) -> None:
    for path in ("/workflow/nothing/", "/nothing", "/workflow/", ""):
        is_problem(await desk.get(path), 404)
    answer = await desk.call("DELETE", "/workflow/requests/")
    is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, POST"
    assert (await desk.call("PATCH", "/workflow/people/ann")).headers["allow"] == "GET, PUT"
    outside = await desk.http.get("/elsewhere")
    is_problem(outside, 404)


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"{", ""),
        (b"{'a': 1}", ""),
        (b'{"id": "x",}', ""),
        (b"\xff\xfe{}", ""),
        (b'{"id": "\xc3\x28"}', ""),
        (b'{"id": NaN}', ""),
        (b'{"id": -Infinity}', ""),
        (b'{"id": 1e999}', ""),
        (b'{"id": ' + b"9" * 5000 + b"}", ""),
        (b"[" * 100_000, ""),
        (b"[" * 70 + b"]" * 70, ""),
        (b'{"name": "a\\u0000b"}', "/name"),
        (b'{"name": "\\ud800"}', "/name"),
        (b'{"preferences": {"a/b": ["\\ud800"]}}', "/preferences/a~1b/0"),
        (b"[" + b"0," * 120_000 + b"0]", ""),
    ],
)
async def test_body_that_cannot_be_read_is_422(desk: ApiDesk, content: bytes, pointer: str) -> None:
    answer = await desk.call("POST", "/workflow/people/", as_="adam", content=content)
    is_problem(answer, 422)
    assert pointers(answer) == [pointer]


async def test_body_that_is_too_long_is_413_whatever_its_headers_say(desk: ApiDesk) -> None:
    long = json.dumps({"id": "x", "name": "n" * 1_000_001}).encode()
    is_problem(await desk.call("POST", "/workflow/people/", as_="adam", content=long), 413)

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b" " * 1024

    headers = {"Authorization": f"Bearer {await desk.token('adam')}", "Content-Type": "application/json"}
    is_problem(await desk.http.post(f"{BASE}/workflow/people/", content=stream(), headers=headers), 413)


async def test_body_of_another_kind_is_415(desk: ApiDesk) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
        answer = await desk.call(
            "POST", "/workflow/people/", as_="adam", content=b'{"id": "x"}', headers={"Content-Type": kind}
        )
        is_problem(answer, 415)
    plus = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
    fine = await desk.call("POST", "/workflow/people/", as_="adam", content=b'{"id": "x"}', headers=plus)
    assert fine.status_code == 201


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=501", "/limit"),
        ("limit=many", "/limit"),
        ("cursor=nonsense", "/cursor"),
        ("cursor=WyJhIiwiYiIsImMiXQ", "/cursor"),
        ("cursor=WyJub3QgYSBtb21lbnQiLCJiIl0", "/cursor"),
        ("status=lost", "/status"),
        ("cursor=%00", "/cursor"),
    ],
)
async def test_wrong_query_names_the_parameter(desk: ApiDesk, query: str, pointer: str) -> None:
    for path in ("/workflow/requests/", "/workflow/tasks/"):
        answer = await desk.get(f"{path}?{query}")
        is_problem(answer, 422)
        assert pointers(answer) == [pointer]


def test_every_call_that_changes_something_answers_with_a_document_that_a_repeat_gets_again() -> None:
    empty = [
        f"{method.upper()} {path}"
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if "204" in operation["responses"]
    ]
    assert empty == []


async def test_key_gets_the_one_answer(desk: ApiDesk) -> None:
    first = await desk.call("POST", "/workflow/people/", as_="adam", body=PERSON, key="k")
    again = await desk.call("POST", "/workflow/people", as_="adam", content=b'{"name":"Pat", "id":"pat"}', key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = await desk.call("POST", "/workflow/people/", as_="adam", body={"id": "quinn"}, key="k")
    assert is_problem(other, 422)["type"] == "urn:placet:problem:key-reused"
    elsewhere = await desk.call("PUT", "/workflow/people/pat/", as_="adam", body=PERSON, key="k")
    is_problem(elsewhere, 422)
    assert (await desk.call("POST", "/workflow/people/", as_="adam", body=PERSON)).status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_key_that_is_none_is_422(desk: ApiDesk, key: str) -> None:
    answer = await desk.call("POST", "/workflow/people/", as_="adam", body=PERSON, key=key)
    is_problem(answer, 422)
    assert pointers(answer) == ["/Idempotency-Key"]


async def test_error_within_is_a_500_that_tells_nothing(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ApiContext, request_id: str) -> str:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr("api.routes.people.people_listing.page", broken)
    document = is_problem(await desk.get("/workflow/people/"), 500)
    assert "secret" not in json.dumps(document)
    assert "Zero" not in json.dumps(document)


async def test_database_that_is_away_is_503(desk: ApiDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await desk.token("ann")
    away = Database("postgresql://nobody@127.0.0.1:9/nothing")
    async with httpx.AsyncClient(transport=desk.http._transport, base_url="http://placet.test") as http:
        monkeypatch.setattr(desk.database, "read", away.read)
        answer = await http.get(f"{BASE}/workflow/requests/", headers={"Authorization": f"Bearer {token}"})
        is_problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.text
        ready = await http.get(f"{BASE}/health/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["database"] == "down"
    await away.close()


async def test_documentation_needs_no_token_and_shows_examples(desk: ApiDesk) -> None:
    document = (await desk.get("/openapi.json", as_=None)).json()
    assert (await desk.get("/docs", as_=None)).status_code == 200
    decide = document["paths"][f"{BASE}/workflow/tasks/{{task_id}}/decide/"]["post"]
    assert {"200", "401", "403", "404", "409", "422", "429", "503"} <= decide["responses"].keys()
    assert "application/problem+json" in decide["responses"]["409"]["content"]
    for name in ("NewRequest", "NewDecision", "RequestView", "TaskView", "PersonBody"):
        assert document["components"]["schemas"][name]["examples"], name
    assert document["components"]["securitySchemes"]
    assert decide["security"]
    assert any(p["name"] == "Idempotency-Key" for p in decide["parameters"])


async def test_a_call_beyond_the_queue_is_429_and_its_key_is_free_for_the_call_later(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    full = Admission(at_once=1, most_waiting=0)
    async with api_desk(database, await no_engine(), seconds=1, admission=full) as desk:
        name = await desk.publish()
        body = {"template": name, "input": {"amount": 1}}
        async with full.turn("somebody", "their request"):
            refused = await desk.post("/workflow/requests/", body, key="again")
        is_problem(refused, 429)
        assert int(refused.headers["retry-after"]) > 0
        assert "nothing has happened" in refused.json()["detail"]
        is_problem(await desk.post("/workflow/requests/", body | {"title": "Another"}, key="again"), 503)
    await database.close()


def test_a_query_belongs_to_the_call_that_a_key_stands_for() -> None:
    def told(query: str) -> str:
        scope = {"type": "http", "method": "POST", "path": "/p/", "query_string": query.encode(), "headers": []}
        return _fingerprint(Request(scope), {"id": "pat"})

    assert told("a=1&b=2") == told("b=2&a=1")
    assert len({told("a=1&b=2"), told("a=1&b=3"), told("a=1"), told("")}) == 4


async def test_a_repeat_waits_for_the_call_that_is_on_its_way(desk: ApiDesk) -> None:
    calls = (desk.post("/workflow/people/", PERSON, as_="adam", key="k") for _ in range(5))
    answers = await asyncio.gather(*calls)
    assert [answer.status_code for answer in answers] == [201] * 5
    assert all(answer.json() == answers[0].json() for answer in answers)

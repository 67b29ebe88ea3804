"""The API in this process, over ASGI, for tests: people with tokens, and calls as any of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest_asyncio
from fastapi import FastAPI
from temporalio.client import Client

from api import app as api
from api.context import ApiContext
from service.pool.pool import ProcessPool
from storage.database import Database
from storage.queries.identity import tokens
from tests.approvals import EXPENSE, SECRET, store_people, worker
from tests.stored import writing
from tests.waiting import until
from web import app as web
from worker.converter import DATA_CONVERTER
from worker.jobs import presence_job

BASE = "/api/v1"
# How long a call may take before it gets 503; a busy machine takes longer than the API's own deadlines.
PATIENT = 60.0
# As in tests.approvals, and one of each access.
STAFF: tuple[dict[str, Any], ...] = (
    {"id": "ann", "manager": "bob"},
    {"id": "bob", "manager": "dora"},
    {"id": "dora", "manager": "carl", "roles": ["department_head"]},
    {"id": "carl", "roles": ["cfo"]},
    {"id": "olivia"},
    {"id": "zoe"},
    {"id": "nil", "access": []},
    {"id": "rex", "access": ["requester"]},
    {"id": "ava", "access": ["approver"]},
    {"id": "desi", "access": ["designer"]},
    {"id": "audrey", "access": ["auditor"]},
    {"id": "adam", "access": ["admin"]},
    {"id": "gus", "groups": ["finance"]},
    {"id": "gwen", "groups": ["finance"]},
    {"id": "gone", "active": False},
)


@dataclass(frozen=True, kw_only=True)
class ApiDesk:
    """Call the API as somebody; `insistent` repeats what gets 503, as the API says to."""

    http: httpx.AsyncClient
    database: Database
    insistent: bool
    tokens: dict[str, str] = field(default_factory=dict)

    async def call(
        self,
        method: str,
        path: str,
        *,
        as_: str | None = "ann",
        body: Any = None,
        content: bytes | None = None,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Send one call; `body` goes as JSON, `content` as it is."""
        sent = dict(headers or {})
        if as_ is not None:
            sent["Authorization"] = f"Bearer {await self.token(as_)}"
        if key is not None:
            sent["Idempotency-Key"] = key
        if content is not None:
            sent.setdefault("Content-Type", "application/json")

        async def answer() -> httpx.Response | None:
            got = await self.http.request(method, f"{BASE}{path}", json=body, content=content, headers=sent)
            return None if self.insistent and got.status_code == httpx.codes.SERVICE_UNAVAILABLE else got

        answered = await until(answer, what=f"an answer to {method} {path}")
        assert answered is not None
        return answered

    async def get(self, path: str, *, as_: str | None = "ann") -> httpx.Response:
        """Read something."""
        return await self.call("GET", path, as_=as_)

    async def post(
        self, path: str, body: Any = None, *, as_: str | None = "ann", key: str | None = None
    ) -> httpx.Response:
        """Change something."""
        return await self.call("POST", path, as_=as_, body=body, key=key)

    async def token(self, person: str) -> str:
        """Return a token of a person, the same one each time."""
        if person not in self.tokens:
            with writing(self.database) as session:
                issued = tokens.issue(session.connection(), person, ttl=None, now=datetime.now(UTC))
            self.tokens[person] = issued  # not before it is committed: calls at the same time take it from here
        return self.tokens[person]

    async def publish(self, blueprint: dict[str, Any] = EXPENSE, **changes: Any) -> str:
        """Publish a blueprint under a name of its own, and return that name."""
        name = f"{blueprint['name']} {uuid.uuid4().hex[:8]}"
        made = await self.post("/workflow/process-templates/", {**blueprint, "name": name, **changes}, as_="desi")
        assert made.status_code == 201, made.text
        done = await self.post(f"/workflow/process-templates/{made.json()['id']}/publish/", as_="desi")
        assert done.status_code == 200, done.text
        return name

    async def start(self, template: str, *, as_: str = "ann", **given: Any) -> dict[str, Any]:
        """Start a request and return it."""
        answer = await self.post("/workflow/requests/", {"template": template, "input": given}, as_=as_)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


@asynccontextmanager
async def api_desk(
    database: Database,
    client: Client,
    *,
    task_queue: str = "nobody",
    seconds: float | None = None,
    staff: tuple[dict[str, Any], ...] = STAFF,
    **settings: Any,
) -> AsyncIterator[ApiDesk]:
    """Open the API on this database and engine; with `seconds`, calls that nobody answers get 503 after that time.

    Without, somebody answers them, sooner or later. `staff` is who is stored at first, `settings` are more of the
    context's.
    """
    await store_people(database, staff)
    deadline = timedelta(seconds=PATIENT if seconds is None else seconds)
    context = ApiContext(
        database=database,
        client=client,
        task_queue=task_queue,
        ui_url="http://temporal.test",
        secret=SECRET,
        command_deadline=deadline,
        start_deadline=deadline,
        **settings,
    )
    if "limits" not in settings:
        _WARM.lend_to(context)
    try:
        with application(context) as app:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://placet.test") as http:
                yield ApiDesk(http=http, database=database, insistent=seconds is None)
    finally:
        await context.confirmations.close()
        await _WARM.take_back(context)


class WarmPool:
    """One pool of processes for the desks of a run: a process loads its libraries for longer than most tests take.

    It belongs to one event loop, that of the session. Where a desk ends while its work runs, the work is broken off.
    """

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Lend processes from now on to desks of this event loop."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """End the processes."""
        self._loop = None
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    def lend_to(self, context: ApiContext) -> None:
        """Have a context work with these processes; one of another event loop has its own."""
        if self._loop is asyncio.get_running_loop():
            if self._pool is None or self._pool._closed:  # an application that was started closes it as it stops
                self._pool = ProcessPool(context.limits)
            vars(context)["pool"] = self._pool

    async def take_back(self, context: ApiContext) -> None:
        """End what a context has left running."""
        if context.pool is not self._pool:
            await context.pool.close()
        elif self._pool._busy or self._pool.waiting:
            await self._pool.close()
            self._pool = None


_WARM = WarmPool()


@pytest_asyncio.fixture(scope="session", autouse=True)
async def warm_pool() -> AsyncIterator[None]:
    """Keep processes warm for the desks of a run; the folders whose tests open desks use this."""
    await _WARM.open()
    yield
    await _WARM.close()


_IDLE: list[tuple[FastAPI, FastAPI]] = []  # applications that no test uses at the moment, with their pages


@contextmanager
def application(context: ApiContext) -> Iterator[FastAPI]:
    """Give the application with a context of a test's own.

    It is built once: the first call to each of its hundreds of routes costs more than most tests. All that it holds of
    a test is the context.
    """
    if context.tracer_provider is not None:
        yield web.create_app(context)
        return
    if _IDLE:
        app, pages = _IDLE.pop()
        api.set_context(app, context)
        web.set_context(pages, context)
    else:
        pages = web.pages(context)
        app = api.create_app(context, pages)
    yield app
    _IDLE.append((app, pages))


@asynccontextmanager
async def working_desk(database: Database, client: Client, **settings: Any) -> AsyncIterator[ApiDesk]:
    """Open the API with a worker for its requests, on a task queue of its own; `settings` are those of `api_desk`."""
    queue = f"desk-{uuid.uuid4().hex[:8]}"
    async with (
        worker(client, database, queue),
        presence_job(database, client, queue),
        api_desk(database, client, task_queue=queue, **settings) as desk,
    ):
        yield desk


def context_of(desk: ApiDesk) -> ApiContext:
    """Return what a desk's application was started with."""
    context: ApiContext = desk.http._transport.app.state.context  # type: ignore[attr-defined]  # of httpx.ASGITransport
    return context


async def no_engine() -> Client:
    """Return a client of an engine that is not there."""
    return await Client.connect("127.0.0.1:9", lazy=True, data_converter=DATA_CONVERTER)


def pointers(answer: httpx.Response) -> list[str]:
    """Return which places a problem names."""
    return [problem["pointer"] for problem in answer.json()["errors"]]

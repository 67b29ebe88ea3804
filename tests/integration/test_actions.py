"""Catalog actions against real servers: what is sent, what is refused, and what never gets out."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from standardwebhooks import Webhook
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.action_runner import ActionRunner
from activities.actions.builtin import BUILT_IN, executors
from activities.actions.executor import ActionFailed, ActionJob
from activities.actions.internal import SubRequest
from activities.actions.settings import ActionSettings, load
from activities.http_client.client import allowed
from activities.messages import ActionRun
from activities.notifications.settings import NotifySettings
from placet.definition.action_spec import ActionCall, ActionSpec
from placet.errors import InputInvalid
from storage.database import Database
from storage.tables.actions import ActionExecution
from tests.mailbox import FaultyMailbox
from tests.stored import reading

SPECS = {spec.name: spec for spec in BUILT_IN}
SECRETS = {"PLACET_SECRET_ERP": "Bearer very-secret-token", "PLACET_SECRET_HOOK": "whsec_" + "YWJj" * 10}


@dataclass
class Server:
    """A real HTTP server that answers as it is told and keeps what it got."""

    port: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/hook"

    def answers(self, status: str, body: str, **headers: str) -> None:
        named = {"Content-Type": "application/json", "Content-Length": str(len(body.encode())), **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        self.answer = f"HTTP/1.1 {status}\r\n{lines}\r\n{body}".encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.got.append((first, headers, body))
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    there = Server()
    listening = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield there


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Run actions outside a workflow, with the real runner."""

    database: Database
    port: int
    started: list[SubRequest]
    notify: NotifySettings

    async def run(
        self,
        spec: ActionSpec,
        given: dict[str, Any],
        *,
        key: str = "req/node/1",
        seconds: float = 60.0,
        heartbeat: float | None = None,
        beats: Callable[..., None] | None = None,
        **settings: Any,
    ) -> dict[str, Any]:
        async def begin(new: SubRequest) -> None:
            self.started.append(new)

        bounds = {"action_hosts": (f"localhost:{self.port}",), "action_private": True} | settings
        made = executors(ActionSettings(**bounds), self.notify, begin, self.database.now)
        runner = ActionRunner(self.database, made, environ=SECRETS)
        environment = ActivityEnvironment()
        environment.info = replace(
            environment.info,
            start_to_close_timeout=timedelta(seconds=seconds),
            heartbeat_timeout=None if heartbeat is None else timedelta(seconds=heartbeat),
            workflow_id="req",
            activity_id=uuid.uuid4().hex,
        )
        if beats is not None:
            environment.on_heartbeat = beats
        call = ActionCall(key=key, node="node", visit=1, action=spec.name, input=given)
        output: dict[str, Any] = await environment.run(runner.run, ActionRun(spec=spec, call=call))
        return output

    async def executions(self) -> list[ActionExecution]:
        with reading(self.database) as session:
            return list(session.scalars(select(ActionExecution)))


@pytest_asyncio.fixture
async def bench(sqlite_url: str, server: Server) -> AsyncIterator[Bench]:
    database = Database(sqlite_url)
    yield Bench(database=database, port=server.port, started=[], notify=NotifySettings())
    await database.close()


@asynccontextmanager
async def failing(kind: str, *, permanent: bool) -> AsyncIterator[list[ApplicationError]]:
    with pytest.raises(ApplicationError) as raised:
        yield (caught := [])
    caught.append(raised.value)
    assert (raised.value.type, raised.value.non_retryable) == (kind, permanent), raised.value


async def test_http_call_sends_what_it_is_given_with_its_key(bench: Bench, server: Server) -> None:
    server.answers("200 OK", '{"booked": true}')
    output = await bench.run(SPECS["http_call"], {"url": server.url, "query": {"a": 1}, "body": {"amount": "12.50"}})
    assert output == {"status": 200, "content_type": "application/json", "body": {"booked": True}}
    ((first, headers, body),) = server.got
    assert first == "POST /hook?a=1 HTTP/1.1"
    assert headers["idempotency-key"] == "req/node/1"
    assert headers["host"] == f"localhost:{server.port}"
    assert json.loads(body) == {"amount": "12.50"}
    (execution,) = await bench.executions()
    assert (execution.request_id, execution.action, execution.ok, execution.attempt) == ("req", "http_call", True, 1)


async def test_config_wins_over_input_and_secrets_stay_inside(
    bench: Bench, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    spec = replace(
        SPECS["http_call"],
        config={"url": server.url, "method": "PUT", "headers": {"Authorization": {"secret": "ERP"}}},
    )
    server.answers("200 OK", '{"you sent": "Bearer very-secret-token", "very-secret-token": ["very-secret-token"]}')
    output = await bench.run(
        spec, {"url": "http://elsewhere.example", "headers": {"AUTHORIZATION": "mine"}, "body": {"secret": "ERP"}}
    )
    ((first, headers, body),) = server.got
    assert first.startswith("PUT /hook")
    assert headers["authorization"] == "Bearer very-secret-token"
    assert json.loads(body) == {"secret": "ERP"}  # a reference in the input is only text
    assert output["body"] == {"you sent": "(secret)", "(secret)": ["(secret)"]}
    assert "very-secret-token" not in caplog.text


async def test_missing_secret_is_named_and_nothing_is_sent(bench: Bench, server: Server) -> None:
    spec = replace(SPECS["http_call"], config={"url": server.url, "headers": {"X": {"secret": "GONE"}}})
    async with failing("ActionFailed", permanent=False) as caught:
        await bench.run(spec, {})
    assert "PLACET_SECRET_GONE" in str(caught[0])
    assert server.got == []


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        ("404 Not Found", True),
        ("429 Too Many Requests", False),
        ("503 Service Unavailable", False),
        # a redirect could lead past the list of hosts
        ("302 Found", True),
    ],
)
async def test_error_of_the_server_is_tried_again_only_where_that_helps(
    bench: Bench, server: Server, status: str, permanent: bool
) -> None:
    server.answers(status, "", Location="http://169.254.169.254/")
    async with failing("ActionFailed", permanent=permanent):
        await bench.run(SPECS["http_call"], {"url": server.url})
    assert len(server.got) == 1
    (execution,) = await bench.executions()
    assert (execution.ok, execution.error) == (False, "ActionFailed")


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        # not on the list
        ("http://localhost:{port}/", {"action_hosts": ()}),
        ("http://localhost:{port}/", {"action_hosts": ("localhost",)}),
        ("http://127.0.0.1:{port}/", {}),
        # on the list, at an address that is not let through
        ("http://localhost:{port}/", {"action_private": False}),
        ("http://169.254.169.254:{port}/", {"action_hosts": ("169.254.169.254:{port}",)}),
        ("http://[64:ff9b::169.254.169.254]:{port}/", {"action_hosts": ("[64:ff9b::169.254.169.254]:{port}",)}),
        ("http://metadata.google.internal:{port}/", {"action_hosts": ("*.google.internal:{port}",)}),
        ("http://[::ffff:169.254.169.254]:{port}/", {"action_hosts": ("[::ffff:a9fe:a9fe]:{port}",)}),
        ("http://0.0.0.0:{port}/", {"action_hosts": ("0.0.0.0:{port}",)}),
        # plain HTTP to the world
        ("http://8.8.8.8:{port}/", {"action_hosts": ("8.8.8.8:{port}",)}),
        ("ftp://localhost:{port}/", {}),
        ("http://user:word@localhost:{port}/", {}),
        ("http://localhost:{port}@evil.example/", {}),
        ("http://", {}),
    ],
)
async def test_address_that_is_not_allowed_is_never_called(
    bench: Bench, server: Server, url: str, settings: dict[str, Any]
) -> None:
    port = str(server.port)
    filled = {k: tuple(h.replace("{port}", port) for h in v) if k == "action_hosts" else v for k, v in settings.items()}
    async with failing("ActionFailed", permanent=True):
        await bench.run(SPECS["http_call"], {"url": url.replace("{port}", port)}, **filled)
    assert server.got == []


def test_wildcard_allows_names_below_and_no_others() -> None:
    listed = ("*.example.com", "erp.test:8443")
    assert allowed("a.example.com", 443, "https", listed)
    assert not allowed("example.com", 443, "https", listed)
    assert not allowed("badexample.com", 443, "https", listed)
    assert not allowed("a.example.com", 8443, "https", listed)
    assert allowed("erp.test", 8443, "https", listed)
    assert not allowed("erp.test", 443, "https", listed)


def test_wrong_host_in_the_settings_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_ACTION_HOSTS", "erp.example.com, https://evil/")
    with pytest.raises(InputInvalid) as raised:
        load()
    assert [problem.pointer for problem in raised.value.problems] == ["/PLACET_ACTION_HOSTS"]
    monkeypatch.setenv("PLACET_ACTION_HOSTS", "ERP.example.com, localhost:8080")
    assert load().action_hosts == ("erp.example.com", "localhost:8080")


async def test_name_that_changes_its_address_is_called_at_the_one_that_was_checked(
    bench: Bench, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    url = f"http://rebound.test:{server.port}/"
    await bench.run(SPECS["http_call"], {"url": url}, action_hosts=(f"rebound.test:{server.port}",))
    assert asked[0] == "rebound.test"
    assert all(host == "127.0.0.1" for host in asked[1:])
    assert len(server.got) == 1


async def test_answer_is_bounded_in_length_and_time(bench: Bench, server: Server) -> None:
    server.answers("200 OK", json.dumps("x" * 5000))
    async with failing("ActionFailed", permanent=True):
        await bench.run(SPECS["http_call"], {"url": server.url}, action_max_bytes=1000)
    server.answers("200 OK", "{}", Content_Encoding="gzip")
    async with failing("ActionFailed", permanent=True):
        await bench.run(SPECS["http_call"], {"url": server.url})
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"
    async with failing("ActionFailed", permanent=False):
        await bench.run(SPECS["http_call"], {"url": server.url}, seconds=0.3)


async def test_input_and_output_are_held_to_their_schemas(
    bench: Bench, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with failing("InputInvalid", permanent=True) as caught:
        await bench.run(SPECS["http_call"], {"url": server.url, "method": "SHOUT", "shoe": 1})
    assert sorted(p["pointer"] for p in caught[0].details[0]["problems"]) == ["/input", "/input/method"]
    assert server.got == []
    spec = replace(SPECS["set_variables"], output_schema={"properties": {"amount": {"type": "string"}}})
    async with failing("OutputInvalid", permanent=True) as caught:
        await bench.run(spec, {"amount": 5})
    assert [p["pointer"] for p in caught[0].details[0]["problems"]] == ["/output/amount"]
    # One line says where; the SDK logs a traceback of whatever is not benign.
    assert caught[0].category is ApplicationErrorCategory.BENIGN
    assert "action set_variables failed with OutputInvalid /output/amount" in caplog.text
    assert await bench.run(spec, {"amount": "5"}) == {"amount": "5"}
    assert sorted((e.ok, e.error) for e in await bench.executions() if e.action == "set_variables") == [
        (False, "OutputInvalid"),
        (True, None),
    ]


async def test_webhook_is_signed_under_its_key(bench: Bench, server: Server) -> None:
    spec = replace(SPECS["post_webhook"], config={"url": server.url, "secret": {"secret": "HOOK"}})
    output = await bench.run(spec, {"type": "expense.approved", "data": {"amount": "5"}}, key="msg-1")
    assert output == {"status": 200, "message_id": "msg-1"}
    ((_, headers, body),) = server.got
    assert Webhook(SECRETS["PLACET_SECRET_HOOK"]).verify(body, headers)["data"] == {"amount": "5"}
    assert headers["webhook-id"] == "msg-1"


async def test_mail_carries_the_same_id_at_every_attempt(bench: Bench, mailbox: FaultyMailbox) -> None:
    desk = replace(bench, notify=NotifySettings(smtp_host=mailbox.host, smtp_port=mailbox.port, smtp_tls="none"))
    given = {"to": ["a@example.com", "b@example.com"], "subject": "Done", "text": "<b>Approved</b>"}
    sent = [await desk.run(SPECS["send_mail"], given) for _ in range(2)]
    assert sent[0] == sent[1]
    ids = [mail.message_id for mail in mailbox.mails()]
    assert len(ids) == 4
    assert len(set(ids)) == 2
    async with failing("ActionFailed", permanent=False):
        await bench.run(SPECS["send_mail"], given)


async def test_request_is_created_under_an_id_of_the_key(bench: Bench) -> None:
    given = {"template": "Order", "input": {"amount": "5"}}
    first = await bench.run(SPECS["create_request"], given, key="k1")
    assert await bench.run(SPECS["create_request"], given, key="k1") == first
    assert await bench.run(SPECS["create_request"], given, key="k2") != first
    assert [new.parent for new in bench.started] == ["req"] * 3
    async with failing("InputInvalid", permanent=True):  # nobody asks in another's name
        await bench.run(SPECS["create_request"], {**given, "requester": "bob"})


async def test_slow_action_tells_the_engine_that_it_goes_on(bench: Bench, server: Server) -> None:
    beats: list[int] = []
    enough = asyncio.Event()

    def beat(*_: Any) -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set()

    async def wait(job: ActionJob) -> dict[str, Any]:
        await enough.wait()
        return {"key": job.key}

    runner = ActionRunner(bench.database, {"slow": _Own(wait)}, environ={})
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(seconds=0.06))
    environment.on_heartbeat = beat
    spec = ActionSpec(name="own", executor="slow", is_idempotent=True, latency_class="slow")
    call = ActionCall(key="k", node="n", visit=1, action="own", input={})
    assert await environment.run(runner.run, ActionRun(spec=spec, call=call)) == {"key": "k"}
    assert len(beats) >= 3


async def test_executor_of_somebody_else_cannot_let_a_secret_out(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def leak(job: ActionJob) -> dict[str, Any]:
        if job.input.get("politely"):
            raise ActionFailed(f"the server said {job.config['token']}")
        raise RuntimeError(job.config["token"])

    runner = ActionRunner(bench.database, {"own": _Own(leak)}, environ=SECRETS)
    spec = ActionSpec(
        name="own", executor="own", is_idempotent=True, latency_class="fast", config={"token": {"secret": "ERP"}}
    )
    for given in ({}, {"politely": True}):
        call = ActionCall(key="k", node="n", visit=1, action="own", input=given)
        async with failing("ActionFailed", permanent=False) as caught:
            await ActivityEnvironment().run(runner.run, ActionRun(spec=spec, call=call))
        assert "very-secret" not in f"{caught[0]!r} {caught[0].__cause__!r} {caught[0].details}"
    assert "very-secret" not in caplog.text


class _Own:
    """An executor as a package of somebody else's would bring it."""

    config_schema: dict[str, Any] = {}  # noqa: RUF012 - as the protocol has it

    def __init__(self, work: Callable[[ActionJob], Any]) -> None:
        self._work = work

    async def run(self, job: ActionJob) -> dict[str, Any]:
        output: dict[str, Any] = await self._work(job)
        return output

"""The HTTP client against a real server on this machine: what it sends, and what bounds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from activities.http_client.client import AddressRefused, CallPolicy, HttpResponse, NotAnswered, fetch, signed

POLICY = CallPolicy(
    sender="Tests", private=False, private_setting="PRIVATE", loopback=True, loopback_setting="LOOPBACK", longest=1000
)
SECRET = "whsec_" + "c2VjcmV0" * 4


@dataclass
class Server:
    """A server that answers each call with the same bytes, and goes on with `more` for as long as somebody reads."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
    more: bytes = b""
    port: int = 0
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self.answer)
                await writer.drain()
                while self.more:
                    writer.write(self.more)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def call(
        self, policy: CallPolicy = POLICY, *, host: str = "127.0.0.1", seconds: float = 30.0
    ) -> HttpResponse:
        url = f"http://{host}:{self.port}/hook?a=1"
        return await fetch("GET", url, headers={"x-test": "1"}, content=b"", seconds=seconds, policy=policy)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Have names lead to these addresses, one look-up after the other; return what was looked up."""
    asked: list[str] = []

    async def looked_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        led = addresses[min(len(asked), len(addresses)) - 1]
        return [(2, 1, 6, "", (one, port)) for one in led.split()]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", looked_up)
    return asked


async def test_a_call_arrives_and_its_answer_comes_back(server: Server) -> None:
    assert await server.call() == HttpResponse(status=200, content_type="text/plain", body=b"ok")
    (head,) = server.heads
    assert head.startswith("GET /hook?a=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n" in head
    assert "Accept-Encoding: identity\r\n" in head


async def test_a_name_that_changes_its_address_is_called_at_the_one_that_was_checked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = named(monkeypatch, "127.0.0.1", "127.0.0.2")
    await server.call(host="rebound.test")
    assert [host for host in asked if host != "127.0.0.1"] == ["rebound.test"]
    assert f"Host: rebound.test:{server.port}\r\n" in server.heads[0]


async def test_a_name_that_leads_to_one_forbidden_address_too_is_not_called(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, "127.0.0.1 169.254.169.254")
    with pytest.raises(AddressRefused):
        await server.call(host="both.test")
    assert server.heads == []


async def test_a_redirect_is_an_answer_and_is_not_followed(server: Server) -> None:
    there = f"http://127.0.0.1:{server.port}/elsewhere"
    server.answer = f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
    assert (await server.call()).status == 302
    assert len(server.heads) == 1


async def test_an_answer_without_end_is_read_as_far_as_is_allowed(server: Server) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.more = b"100\r\n" + b"x" * 256 + b"\r\n"
    with pytest.raises(NotAnswered, match="longer than 1000 bytes") as raised:
        await server.call()
    assert raised.value.permanent
    unread = await server.call(replace(POLICY, longest=None))
    assert (unread.status, unread.body) == (200, b"")


async def test_a_compressed_answer_is_not_unpacked(server: Server) -> None:
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    with pytest.raises(NotAnswered, match="compressed"):
        await server.call()


async def test_a_server_that_says_nothing_is_left_after_the_time(server: Server) -> None:
    server.answer = b""
    with pytest.raises(NotAnswered, match=r"did not answer within 0\.2 s") as raised:
        await server.call(seconds=0.2)
    assert not raised.value.permanent


async def test_a_port_at_which_nobody_listens_can_be_tried_again() -> None:
    with pytest.raises(NotAnswered, match="cannot be reached: ConnectError") as raised:
        await Server(port=9).call()
    assert (raised.value.permanent, bool(raised.value.cause)) == (False, True)


async def test_a_name_without_an_address_can_be_tried_again(server: Server) -> None:
    with pytest.raises(NotAnswered, match=r"no-such-host\.invalid has no address now") as raised:
        await server.call(host="no-such-host.invalid")
    assert not raised.value.permanent


async def test_what_no_request_can_carry_is_not_tried_again(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}/"
    with pytest.raises(NotAnswered, match="cannot be sent") as raised:
        await fetch("GET", url, headers={"x-test": "€"}, content=b"", seconds=30, policy=POLICY)
    assert raised.value.permanent


async def test_proxies_of_the_environment_are_left_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await server.call()).status == 200


async def test_no_connection_is_used_for_a_second_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "127.0.0.1")
    for host in ("one.test", "two.test"):
        await server.call(host=host)
    assert server.connections == 2


def test_a_signature_is_as_standard_webhooks_has_it() -> None:
    content = '{"type":"completed"}'
    headers = signed(SECRET, "msg_1", content, datetime.now(UTC))
    assert Webhook(SECRET).verify(content, headers) == {"type": "completed"}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_?", "whsec_a"])
def test_a_secret_that_cannot_sign_is_told(secret: str) -> None:
    with pytest.raises(ValueError, match="not whsec_ and base64"):
        signed(secret, "msg_1", "{}", datetime.now(UTC))

"""Slack and Teams, as far as Placet knows them: they sign their calls as theirs do, and keep what they are told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import pytest_asyncio
from pydantic import SecretStr

from storage.tables.chat import ChatLink
from tests.api_desk import BASE, ApiDesk

SIGNING_SECRET = "what slack signs with"
TEAMS_SECRET = b64encode(b"what one team of teams signs with").decode()
OTHER_TEAM = b64encode(b"what another team of it signs with").decode()
SECRETS: dict[str, Any] = {
    "slack_signing_secret": SecretStr(SIGNING_SECRET),
    "teams_secrets": (SecretStr(OTHER_TEAM), SecretStr(TEAMS_SECRET)),
}
WORKSPACE, TENANT = "T0PLACET", "5a1d0c0e-tenant"
INTERACTIONS, MESSAGES = f"{BASE}/chat/slack/interactions", f"{BASE}/chat/teams/messages"


def member(person: str) -> str:
    """Return the id of a person's member in Slack."""
    return f"U{person.upper()}"


def link(service: str, person: str) -> ChatLink:
    """Return the link of a person's member."""
    workspace, one = (WORKSPACE, member(person)) if service == "slack" else (TENANT, f"object-{person}")
    return ChatLink(
        id=f"cl_{service}_{person}",
        service=service,
        workspace=workspace,
        member=one,
        person=person,
        linked_by="adam",
        linked_at=datetime.now(UTC),
    )


def pressed(
    person: str, decision: str, token: str, *, comment: str | None = None, blocks: list[dict[str, Any]] | None = None
) -> bytes:
    """Return the body of the call for a press of somebody, as Slack makes it."""
    values = {"placet_comment": {"placet_comment": {"type": "plain_text_input", "value": comment}}}
    payload = {
        "type": "block_actions",
        "user": {"id": member(person), "username": person, "team_id": WORKSPACE},
        "team": {"id": WORKSPACE, "domain": "placet"},
        "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": f"D{person.upper()}"},
        "channel": {"id": f"D{person.upper()}", "name": "directmessage"},
        "message": {"ts": "1700000000.000100", "text": "", "blocks": blocks or []},
        "state": {"values": values},
        "response_url": "http://169.254.169.254/",  # nobody may call this
        "trigger_id": uuid.uuid4().hex,
        "actions": [
            {"type": "button", "action_id": f"placet:{decision}", "block_id": "placet_buttons", "value": token}
        ],
    }
    return urlencode({"payload": json.dumps(payload)}).encode()


def slack_headers(body: bytes, *, at: datetime | None = None, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """Sign a body as Slack does."""
    timestamp = str(int((at or datetime.now(UTC)).timestamp()))
    mac = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={mac}"}


async def to_slack(desk: ApiDesk, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Have Slack call Placet."""
    sent = slack_headers(body) if headers is None else dict(headers)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await desk.http.post(INTERACTIONS, content=body, headers={**kind, **sent})


def written(person: str, text: str, *, at: datetime | None = None) -> bytes:
    """Return the body of the call for what somebody writes to the outgoing webhook, as Teams makes it."""
    return json.dumps(
        {
            "type": "message",
            "id": uuid.uuid4().hex,
            "timestamp": (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z"),
            "channelId": "msteams",
            "from": {"id": f"29:{person}", "name": person.title(), "aadObjectId": f"object-{person}"},
            "conversation": {"id": "19:channel", "isGroup": True},
            "channelData": {"tenant": {"id": TENANT}, "team": {"id": "19:team"}},
            "text": f"<div><at>Placet</at>&nbsp;{text}</div>\r\n",
            "textFormat": "plain",
        }
    ).encode()


def teams_headers(body: bytes, *, secret: str = TEAMS_SECRET) -> dict[str, str]:
    """Sign a body as Teams does."""
    mac = hmac.new(b64decode(secret), body, hashlib.sha256).digest()
    return {"Authorization": f"HMAC {b64encode(mac).decode()}"}


async def to_teams(desk: ApiDesk, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Have Teams call Placet."""
    sent = teams_headers(body) if headers is None else dict(headers)
    return await desk.http.post(MESSAGES, content=body, headers={"Content-Type": "application/json", **sent})


@dataclass
class SlackApi:
    """Slack's Web API on this machine: it knows users, and keeps each call with its method."""

    url: str = ""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    error: str | None = None  # what every call is answered

    def of(self, method: str) -> list[dict[str, Any]]:
        """Return the calls of a method."""
        return [content for name, content in self.calls if name == method]

    def answer(self, method: str, content: dict[str, Any]) -> dict[str, Any]:
        """Answer a call as Slack does."""
        if self.error is not None:
            return {"ok": False, "error": self.error}
        if method == "users.info":
            user = self.users.get(content["user"])
            return {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}
        if method == "users.lookupByEmail":
            found = [one for one in self.users.values() if one["profile"]["email"] == content["email"]]
            return {"ok": True, "user": found[0]} if found else {"ok": False, "error": "users_not_found"}
        return {"ok": True, "channel": content.get("channel"), "ts": "1700000000.000100"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method = head[0].split()[1].rpartition("/")[2]
            form = headers["content-type"].startswith("application/x-www-form-urlencoded")
            content = {k: v[0] for k, v in parse_qs(body.decode()).items()} if form else json.loads(body)
            self.calls.append((method, content))
            self.tokens.add(headers["authorization"])
            said = json.dumps(self.answer(method, content)).encode()
            kind = "Content-Type: application/json\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\n{kind}Content-Length: {len(said)}\r\n\r\n".encode() + said)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def knows(self, person: str, **facts: Any) -> None:
        """Have somebody in the workspace, with a verified mail address."""
        self.users[member(person)] = {
            "id": member(person),
            "team_id": WORKSPACE,
            "is_email_confirmed": True,
            "profile": {"email": f"{person}@example.com"},
            **facts,
        }


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[SlackApi]:
    found = SlackApi()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    yield found
    server.close()

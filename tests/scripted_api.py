"""An API of Placet that answers by a script, for tests of the client without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from api.schemas.requests import RequestView
from placet.client import AsyncClient, Client, Retries

URL, TOKEN = "https://placet.example.com", "placet_secret"
Answer = httpx.Response | Exception


def request(**changes: Any) -> httpx.Response:
    """Return an answer with a request, pending where nothing else is said."""
    extra = cast(dict[str, Any], RequestView.model_config["json_schema_extra"])
    return httpx.Response(200, json=extra["examples"][0] | changes)


def ended(outcome: str, status: str = "completed") -> httpx.Response:
    """Return an answer with a request that has ended."""
    return request(status=status, outcome=outcome, ended_at="2026-03-02T10:00:00Z")


def claimed() -> httpx.Response:
    """Return the answer to a claim that succeeds."""
    row = {"request_id": "r", "action_digest": "d", "claimed_by": "user:rita", "claimed_at": "2026-03-02T10:00:00Z"}
    return httpx.Response(200, json=row)


def refused(status: int, *, retry_after: str | None = None, **more: Any) -> httpx.Response:
    """Return a problem document."""
    row = {"type": "about:blank", "title": "No", "status": status, "detail": "No.", "errors": []} | more
    headers = {"Content-Type": "application/problem+json"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return httpx.Response(status, content=json.dumps(row), headers=headers)


@dataclass
class Script:
    """Answers in the order in which calls come; the last one again and again."""

    answers: list[Answer]
    calls: list[httpx.Request] = field(default_factory=list)
    before: Callable[[httpx.Request], None] | None = None

    def __call__(self, call: httpx.Request) -> httpx.Response:
        if self.before is not None:
            self.before(call)
        self.calls.append(call)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A new one each time: one that was read cannot be streamed again.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def paths(self) -> list[str]:
        """The method and the last part of the path of each call."""
        return [f"{call.method} {call.url.path.rstrip('/').rpartition('/')[2]}" for call in self.calls]

    @property
    def keys(self) -> list[str | None]:
        """The Idempotency-Key of each call."""
        return [call.headers.get("idempotency-key") for call in self.calls]

    def bodies(self) -> list[Any]:
        """The bodies of the calls that have one."""
        return [json.loads(call.content) for call in self.calls if call.content]


def scripted(*answers: Answer, retries: Retries | None = None) -> tuple[Client, Script]:
    """Return a client whose calls are answered in this order, and what it sends."""
    script = Script(list(answers))
    return Client(URL, TOKEN, retries=retries, transport=httpx.MockTransport(script)), script


def scripted_async(*answers: Answer, retries: Retries | None = None) -> tuple[AsyncClient, Script]:
    """Do what `scripted` does, for asyncio."""
    script = Script(list(answers))
    return AsyncClient(URL, TOKEN, retries=retries, transport=httpx.MockTransport(script)), script

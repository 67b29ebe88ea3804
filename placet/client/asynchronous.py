"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

from placet.client import routes, wire
from placet.client.documents import (
    Action,
    Claim,
    Entry,
    ListedTask,
    Me,
    Page,
    Request,
    Simulation,
    Task,
    Template,
    Verification,
    Waiting,
)
from placet.client.errors import ClientError, StillPending, require_approved
from placet.client.retries import Attempts, Retries
from placet.client.routes import Call
from placet.client.waiting import EARLY_PAUSE, Patience

T = TypeVar("T")


class AsyncClient:
    """The API of Placet for one caller, for asyncio.

    Without `url` and `token` they are those of PLACET_URL and PLACET_TOKEN. Calls that change something carry an
    Idempotency-Key, a new one unless `key` is given, and are repeated with it while Placet is away (`retries`).
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.place = wire.place_of(url, token)
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(**wire.settings(self.place), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def me(self) -> Me:
        """Show who calls."""
        return await self._send(routes.ME.call())

    async def templates(
        self, *, name: str | None = None, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Template]:
        """List versions of processes by name."""
        asked = {"name": name, "status": status, "limit": limit, "cursor": cursor}
        return await self._send(routes.TEMPLATES.call(query=asked))

    async def start(
        self,
        template: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - as the API calls it
        *,
        version: str | None = None,
        title: str | None = None,
        action: Action | None = None,
        requester: str | None = None,
        key: str | None = None,
    ) -> Request:
        """Start a request. With an `action`, the approval holds for exactly that, and once.

        The same `key` with the same arguments is the same request, also after a restart of the caller.
        """
        body = {
            "template": template,
            "version": version,
            "title": title,
            "input": dict(input or {}),
            "requester": requester,
            "action": None if action is None else action.as_json(),
        }
        return await self._send(routes.START.call(body=body, key=key or str(uuid4())))

    async def request(self, request_id: str) -> Request:
        """Show a request."""
        return await self._send(routes.REQUEST.call(request_id))

    async def requests(
        self,
        *,
        status: str | None = None,
        outcome: str | None = None,
        template: str | None = None,
        requester: str | None = None,
        title: str | None = None,
        waits_for_answer: bool | None = None,
        watched: bool | None = None,
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        ended_after: datetime | None = None,
        ended_before: datetime | None = None,
        sort: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Request]:
        """List the requests that the caller may see, newest first; `requester="me"` are the caller's own."""
        asked = {
            "status": status,
            "outcome": outcome,
            "template": template,
            "requester": requester,
            "title": title,
            "waits_for_answer": waits_for_answer,
            "watched": watched,
            "started_after": started_after,
            "started_before": started_before,
            "ended_after": ended_after,
            "ended_before": ended_before,
            "sort": sort,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._send(routes.REQUESTS.call(query=asked))

    async def timeline(self, request_id: str) -> AsyncIterator[Entry]:
        """Yield what has happened to a request, oldest first."""
        cursor: str | None = None
        while True:
            page = await self._send(routes.TIMELINE.call(request_id, query={"limit": 500, "cursor": cursor}))
            for entry in page.items:
                yield entry
            if (cursor := page.next_cursor) is None:
                return

    async def verify(self, request_id: str) -> Verification:
        """Verify a request's audit chain."""
        return await self._send(routes.VERIFY.call(request_id))

    async def waiting(self, request_id: str) -> Waiting:
        """Show what a request waits for, and why it is stuck."""
        return await self._send(routes.WAITING.call(request_id))

    async def wait(self, request_id: str, *, timeout: float | None = None) -> Request:  # noqa: ASYNC109 - it is the caller's patience
        """Wait until a request has ended or was returned for changes, and return it.

        It asks again every 55 seconds, and goes on where Placet was away. Raises StillPending after `timeout` seconds;
        None waits as long as it takes.
        """
        patience = Patience(timeout)
        attempts = patience.attempts(self._retries)
        while True:
            seconds = patience.next()
            try:
                found = await self._once(routes.REQUEST.call(request_id, query={"wait": seconds}, seconds=seconds))
            except ClientError as error:
                await asyncio.sleep(attempts.pause_after(error))
                continue
            if found.settled:
                return found
            if patience.over:
                raise StillPending(found)
            if patience.early(seconds):
                await asyncio.sleep(EARLY_PAUSE)
            attempts = patience.attempts(self._retries)

    async def wait_for_approval(self, request_id: str, *, timeout: float | None = None) -> Request:  # noqa: ASYNC109 - it is the caller's patience
        """Wait as `wait` does, and return an approved request; raises the NotGranted that says why another is not."""
        return require_approved(await self.wait(request_id, timeout=timeout))

    async def claim(self, request_id: str, action: Action, *, key: str | None = None) -> Claim:
        """Claim an approved action, once: whoever gets the claim may carry it out. Raises ClaimRefused."""
        body = {"action": action.as_json()}
        return await self._send(routes.CLAIM.call(request_id, body=body, key=key or str(uuid4())))

    async def withdraw(self, request_id: str, *, reason: str | None = None, key: str | None = None) -> Request:
        """Withdraw one's own request."""
        return await self._send(routes.WITHDRAW.call(request_id, body={"reason": reason}, key=key or str(uuid4())))

    async def comment(self, request_id: str, text: str, *, key: str | None = None) -> Request:
        """Add a comment to a request."""
        return await self._send(routes.COMMENT.call(request_id, body={"text": text}, key=key or str(uuid4())))

    async def answer(self, request_id: str, n: int, text: str, *, key: str | None = None) -> Request:
        """Answer a question to the requester, by its number."""
        return await self._send(routes.ANSWER.call(request_id, str(n), body={"text": text}, key=key or str(uuid4())))

    async def resubmit(
        self,
        request_id: str,
        *,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - as the API calls it
        title: str | None = None,
        comment: str | None = None,
        action: Action | None = None,
        key: str | None = None,
    ) -> Request:
        """Answer a request for changes. Another `action` voids the approvals that there are."""
        body = {
            "input": None if input is None else dict(input),
            "title": title,
            "comment": comment,
            "action": None if action is None else action.as_json(),
        }
        return await self._send(routes.RESUBMIT.call(request_id, body=body, key=key or str(uuid4())))

    async def tasks(
        self,
        *,
        assignee: str | None = None,
        status: str | None = None,
        sla_state: str | None = None,
        request_id: str | None = None,
        template: str | None = None,
        due_after: datetime | None = None,
        due_before: datetime | None = None,
        sort: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ListedTask]:
        """List tasks, newest first; `assignee="me"` are those that wait for the caller."""
        asked = {
            "assignee": assignee,
            "status": status,
            "sla_state": sla_state,
            "request_id": request_id,
            "template": template,
            "due_after": due_after,
            "due_before": due_before,
            "sort": sort,
            "limit": limit,
            "cursor": cursor,
        }
        return await self._send(routes.TASKS.call(query=asked))

    async def decide(
        self,
        task: Task,
        decision: str,
        *,
        comment: str | None = None,
        form: Mapping[str, Any] | None = None,
        reason: str | None = None,
        key: str | None = None,
    ) -> Request:
        """Decide a task, in the round and revision in which it was read. For people; an agent never decides."""
        body = {
            "decision": decision,
            "comment": comment,
            "form": None if form is None else dict(form),
            "round": task.round,
            "revision": task.revision,
            "reason": reason,
        }
        return await self._send(routes.DECIDE.call(task.id, body=body, key=key or str(uuid4())))

    async def simulate(
        self,
        template: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - as the API calls it
        *,
        requester: str | None = None,
        key: str | None = None,
    ) -> Simulation:
        """Explore what would come of a request. Nobody is asked, and nothing is done."""
        body = {"mode": "explore", "template": template, "input": dict(input or {}), "requester": requester}
        return await self._send(routes.SIMULATE.call(body=body, key=key or str(uuid4())))

    async def _send(self, call: Call[T]) -> T:
        attempts = Attempts(retries=self._retries, seconds=self._retries.seconds)
        while True:
            try:
                return await self._once(call)
            except ClientError as error:
                await asyncio.sleep(attempts.pause_after(error))

    async def _once(self, call: Call[T]) -> T:
        try:
            async with self._http.stream(**wire.request_of(call)) as response:
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > wire.MOST_BYTES:
                        raise wire.too_long()
        except httpx.TransportError as error:
            raise wire.unreachable(call, error) from error
        return wire.read(call, response.status_code, response.headers, bytes(content))

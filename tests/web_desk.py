"""The pages in this process, for tests: a browser of somebody who has just logged in, without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from api.http.authentication import LOOPBACK_COOKIE
from service.identity import login
from service.identity.login import issue_code
from tests.api_desk import ApiDesk, context_of


@dataclass(frozen=True, kw_only=True)
class Browser:
    """A logged-in browser; redirects are not followed."""

    http: httpx.AsyncClient
    csrf_token: str

    async def get(self, path: str) -> httpx.Response:
        """Open a page."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer

    async def post(self, path: str, form: Mapping[str, str]) -> httpx.Response:
        """Send a form."""
        return await self.http.post(path, data={**form, "csrf_token": self.csrf_token})


@asynccontextmanager
async def browser_of(desk: ApiDesk, person: str) -> AsyncIterator[Browser]:
    """Log somebody in."""
    async with httpx.AsyncClient(transport=desk.http._transport, base_url="http://127.0.0.1:8420") as http:
        answer = await http.get(f"/login/{await issue_code(desk.database, person, datetime.now(UTC))}")
        assert answer.status_code == 302, answer.text
        session = await login.by_session(context_of(desk), http.cookies[LOOPBACK_COOKIE])
        assert session is not None
        yield Browser(http=http, csrf_token=session.csrf_token)

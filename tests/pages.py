"""The pages without a browser, for tests: a client that is logged in as somebody, and forms sent with their token."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import httpx

from service.identity.login import issue_code
from tests.api_desk import ApiDesk

LOCAL = "http://127.0.0.1:8420"


async def browser_of(desk: ApiDesk, person: str) -> httpx.AsyncClient:
    """Return a client with the cookies of somebody who has logged in."""
    browser = httpx.AsyncClient(transport=desk.http._transport, base_url=LOCAL)
    code = await issue_code(desk.database, person, datetime.now(UTC))
    assert (await browser.get(f"/login/{code}")).status_code == 302
    return browser


async def csrf_token(browser: httpx.AsyncClient) -> str:
    """Return the token that this client's forms have to carry."""
    found = re.search(r'data-csrf="([^"]+)"', (await browser.get("/views")).text)
    assert found is not None
    return found[1]


async def send(browser: httpx.AsyncClient, path: str, *, files: Any = None, **form: str | list[str]) -> httpx.Response:
    """Send a form of a page."""
    return await browser.post(path, data={"csrf_token": await csrf_token(browser), **form}, files=files)

"""The Temporal Web UI of an embedded engine, with a request's search attributes as the columns of its lists.

The Web UI keeps its columns in the browser and takes no setting for them, so it is served through here: its page gets a
script that puts our columns where the browser has none yet. Whoever chooses others keeps them. All else passes as is.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from temporalio.common import SearchAttributeKey

from workflows import search_attributes

_SHOWN: Sequence[SearchAttributeKey[Any]] = (
    search_attributes.BLUEPRINT,
    search_attributes.STAGE,
    search_attributes.ASSIGNEES,
    search_attributes.SLA_STATE,
    search_attributes.DUE_TIME,
    search_attributes.REQUESTER,
    search_attributes.OUTCOME,
)
COLUMNS = ("Status", *(key.name for key in _SHOWN), "Workflow ID", "Start", "End")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# What concerns one connection and no further one; nothing here is worth packing for the way within a machine.
_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "accept-encoding"}
_POLICY = "script-src "


def web_ui(upstream: str, namespaces: Sequence[str]) -> Starlette:
    """Return an application that shows the Web UI at `upstream`; it is to be reached on loopback only, as that is."""
    client = httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(10, read=None))
    script = script_of(namespaces)

    async def forward(request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        headers["accept-encoding"] = "identity"
        if headers.get("origin") == f"http://{request.headers.get('host')}":
            headers["origin"] = upstream
        query: bytes = request.scope["query_string"]
        target = request.scope["raw_path"] + (b"?" + query if query else b"")
        url = httpx.URL(upstream).copy_with(raw_path=target)
        sent = client.build_request(request.method, url, headers=headers, content=await request.body())
        try:
            answer = await client.send(sent, stream=True)
        except httpx.TransportError:
            return PlainTextResponse("The Temporal Web UI does not answer; it may be starting again.", 503)
        passed = {name: value for name, value in answer.headers.multi_items() if name not in {*_HOP, "set-cookie"}}
        cookies = answer.headers.get_list("set-cookie")
        if answer.headers.get("content-type", "").startswith("text/html"):
            page = with_script((await answer.aread()).decode(), script)
            await answer.aclose()
            passed.pop("content-length", None)
            response: Response = Response(page, answer.status_code, passed)
        else:
            response = StreamingResponse(_body(answer), answer.status_code, passed)
        for cookie in cookies:
            response.headers.append("set-cookie", cookie)
        return response

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    # Another site's name that leads here must not reach an engine that trusts everybody on this machine.
    local = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=[Route("/{path:path}", forward, methods=_METHODS)], middleware=[local], lifespan=lifespan)


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


def with_script(page: str, script: str) -> str:
    """Return the page with a script before all others, which the page's own policy allows by its hash."""
    if "<head>" not in page:
        return page
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("<head>", f"<head><script>{script}</script>", 1)
    return page.replace(_POLICY, f"{_POLICY}'sha256-{known}' ", 1)


def script_of(namespaces: Sequence[str]) -> str:
    """Return what puts the columns where none have been chosen: by namespace, as the Web UI keeps them."""
    columns = json.dumps([{"label": name} for name in COLUMNS])
    return (
        "try{const k='namespace-workflow-table-columns',s=JSON.parse(localStorage.getItem(k)||'{}');"
        f"for(const n of {json.dumps(list(namespaces))})s[n]=s[n]&&s[n].length?s[n]:{columns};"
        "localStorage.setItem(k,JSON.stringify(s))}catch(e){}"
    )

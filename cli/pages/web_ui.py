"""The Temporal Web UI of an embedded engine, with a request's search attributes as the columns of its lists.

The Web UI stores its columns in the browser and has no setting for them. This proxy adds a script to its page, which
sets our columns if the browser has none yet. Columns that a user chose stay. Everything else passes unchanged.
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
# Headers of a single connection. Compression is removed too: it gains nothing on loopback.
_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "accept-encoding"}
_POLICY = "script-src "


def web_ui(upstream: str, namespaces: Sequence[str]) -> Starlette:
    """Return an application that shows the Web UI at `upstream`. Serve it on loopback only, as the Web UI itself."""
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
            return PlainTextResponse(
                "The Temporal Web UI does not answer. It may be restarting; reload the page in a few seconds.", 503
            )
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

    # Against DNS rebinding: a foreign host name must not reach an engine that trusts every local process.
    local = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=[Route("/{path:path}", forward, methods=_METHODS)], middleware=[local], lifespan=lifespan)


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()


def with_script(page: str, script: str) -> str:
    """Return the page with our script before all others; its hash is added to the page's content security policy."""
    if "<head>" not in page:
        return page
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("<head>", f"<head><script>{script}</script>", 1)
    return page.replace(_POLICY, f"{_POLICY}'sha256-{known}' ", 1)


def script_of(namespaces: Sequence[str]) -> str:
    """Return the script that sets the columns of each namespace if the user has chosen none."""
    columns = json.dumps([{"label": name} for name in COLUMNS])
    return (
        "try{const k='namespace-workflow-table-columns',s=JSON.parse(localStorage.getItem(k)||'{}');"
        f"for(const n of {json.dumps(list(namespaces))})s[n]=s[n]&&s[n].length?s[n]:{columns};"
        "localStorage.setItem(k,JSON.stringify(s))}catch(e){}"
    )

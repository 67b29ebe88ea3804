"""The `http` executor: one call of an HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from activities.actions.executor import ActionFailed, ActionJob
from activities.actions.secrets import SECRET_REFERENCE
from activities.actions.settings import ActionSettings
from activities.http_client.client import AddressRefused, CallPolicy, HttpResponse, NotAnswered, fetch

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_TEXT_OR_SECRET: dict[str, Any] = {"anyOf": [{"type": "string", "maxLength": 8000}, SECRET_REFERENCE]}
_HEADERS: dict[str, Any] = {
    "type": "object",
    "maxProperties": 50,
    "propertyNames": {"pattern": "^[A-Za-z0-9-]{1,80}$"},
}
_TRY_LATER = {408, 425, 429}
# Headers that the client sets itself. A second header of the same name would make the message ambiguous.
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te", "upgrade", "trailer"}

INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 8000},
        "method": {"enum": list(METHODS)},
        "headers": {**_HEADERS, "additionalProperties": {"type": "string", "maxLength": 8000}},
        "query": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
        "body": {},
    },
    "additionalProperties": False,
}
OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"status": {"type": "integer"}, "content_type": {"type": "string"}, "body": {}},
    "required": ["status", "body"],
}


class HttpExecutor:
    """Call a URL. The input cannot change what the catalog's config sets."""

    config_schema: dict[str, Any] = {  # noqa: RUF012 - a constant of the protocol's shape
        "type": "object",
        "properties": {
            "url": {"type": "string", "maxLength": 8000},
            "method": {"enum": list(METHODS)},
            "headers": {**_HEADERS, "additionalProperties": _TEXT_OR_SECRET},
            "key_header": {"type": "string", "pattern": "^[A-Za-z0-9-]{1,80}$"},
            "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 86400},
        },
        "additionalProperties": False,
    }

    def __init__(self, settings: ActionSettings) -> None:
        self._settings = settings

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Call, and return status and body: JSON where it is JSON, else text; raises ActionFailed for an error."""
        config, given = job.config, job.input
        url = config.get("url") or given.get("url")
        if not url:
            raise ActionFailed("there is no `url`; set it in the action's config or in its input", permanent=True)
        if given.get("query"):
            url += ("&" if "?" in url else "?") + urlencode({k: _plain(v) for k, v in given["query"].items()})
        method = config.get("method") or given.get("method") or ("POST" if "body" in given else "GET")
        content, headers = _content(given)
        headers |= _headers(given.get("headers", {}))
        # The config's headers win, in whatever case the input writes its own.
        fixed = _headers(config.get("headers", {}))
        headers = {name: value for name, value in headers.items() if name not in fixed} | fixed
        if method not in {"GET", "HEAD"}:
            headers.setdefault(config.get("key_header", "Idempotency-Key").lower(), job.key)
        seconds = min(job.seconds, config.get("timeout_seconds", job.seconds))
        answer = await call(
            method, url, headers=headers, content=content, seconds=seconds, policy=self._settings.policy
        )
        return _read(answer)


async def call(
    method: str, url: str, *, headers: Mapping[str, str], content: bytes, seconds: float, policy: CallPolicy
) -> HttpResponse:
    """Call a server as `fetch` does; raises ActionFailed."""
    try:
        return await fetch(method, url, headers=headers, content=content, seconds=seconds, policy=policy)
    except AddressRefused as error:
        raise ActionFailed(error.message, permanent=True) from error
    except NotAnswered as error:
        raise ActionFailed(error.message, permanent=error.permanent) from error


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _content(given: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    headers = {"user-agent": "Placet-Actions/1", "accept": "application/json"}
    if "body" not in given:
        return b"", headers
    content = json.dumps(given["body"], ensure_ascii=False, separators=(",", ":")).encode()
    return content, {**headers, "content-type": "application/json"}


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    headers = {name.lower(): value for name, value in given.items() if name.lower() not in _OURS}
    if any(c in value for value in headers.values() for c in "\r\n\0"):
        raise ActionFailed("a header holds a line break; remove it", permanent=True)
    return headers


def _read(answer: HttpResponse) -> dict[str, Any]:
    if not 200 <= answer.status < 300:
        later = answer.status >= 500 or answer.status in _TRY_LATER
        raise ActionFailed(f"the server answered {answer.status}", permanent=not later)
    kind = answer.content_type.split(";")[0].strip().lower()
    body: Any = None
    if answer.body:
        try:
            text = answer.body.decode()
            body = json.loads(text) if kind == "application/json" or kind.endswith("+json") else text
        except (ValueError, RecursionError) as error:
            raise ActionFailed(
                f"the server's answer is not {kind}, as its Content-Type says", permanent=True
            ) from error
    return {"status": answer.status, "content_type": kind, "body": body}

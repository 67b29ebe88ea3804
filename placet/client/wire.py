"""Calls as HTTP: where they go, what is sent, and what an answer means. It does no I/O."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from placet.client.decoding import Undecodable, decode
from placet.client.documents import Page, moment
from placet.client.errors import Misconfigured, Problem, UnexpectedAnswer, Unreachable, problem_class
from placet.client.routes import BASE, CLAIM, Call

T = TypeVar("T")

MOST_BYTES = 32_000_000
"""The longest answer that is read."""

_ANSWER_SECONDS = 30.0  # beyond what a call asks the server to wait
_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE = 3600.0  # seconds: a longer `Retry-After` is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where Placet is, and the token of whoever calls."""

    url: str  # without a trailing slash, and without /api/v1
    token: str = field(repr=False)

    @property
    def local(self) -> bool:
        """Whether it is on this machine, where no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def place_of(url: str | None = None, token: str | None = None) -> Place:
    """Return where Placet is; what is not given is read from PLACET_URL and PLACET_TOKEN (or PLACET_TOKEN_FILE).

    Raises Misconfigured.
    """
    given = url or os.environ.get("PLACET_URL") or ""
    if not given:
        raise Misconfigured("Set PLACET_URL to the address of Placet, such as https://placet.example.com.")
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise Misconfigured("PLACET_URL is no address of Placet; write it as https://placet.example.com.")
    secret = (token or os.environ.get("PLACET_TOKEN") or _from_file()).strip()
    if not secret:
        raise Misconfigured("Set PLACET_TOKEN to a token of Placet; `placet token PERSON` prints one.")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise Misconfigured("PLACET_TOKEN is no token: it has characters that no token has.")
    return Place(url=given.rstrip("/").removesuffix(BASE), token=secret)


def _from_file() -> str:
    name = os.environ.get("PLACET_TOKEN_FILE")
    if not name:
        return ""
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError):
        raise Misconfigured(f"PLACET_TOKEN_FILE names {name}, which cannot be read.") from None


def settings(place: Place) -> dict[str, Any]:
    """Return how an httpx client of this place is made."""
    return {
        "base_url": place.url,
        "headers": {"Authorization": f"Bearer {place.token}", "Accept": "application/json"},
        "follow_redirects": False,
        "trust_env": not place.local,
    }


def request_of(call: Call[Any]) -> dict[str, Any]:
    """Return the arguments of httpx's `stream` for one attempt of a call."""
    sent: dict[str, Any] = {"method": call.route.method, "url": call.path, "params": dict(_query(call.query))}
    headers = {}
    if call.key is not None:
        headers["Idempotency-Key"] = call.key
    if call.body is not None:
        headers["Content-Type"] = "application/json"
        sent["content"] = json.dumps(call.body, default=plain, allow_nan=False, ensure_ascii=False).encode()
    sent["headers"] = headers
    sent["timeout"] = httpx.Timeout(_ANSWER_SECONDS + call.seconds, connect=_CONNECT_SECONDS)
    return sent


def plain(value: object) -> Any:
    """Return a value as JSON has it: decimals and ids as text, times in UTC; raises TypeError for others."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} is no number that JSON has")
        return format(value, "f")
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON; give text, numbers, lists and dicts")


def unreachable(call: Call[Any], error: httpx.TransportError) -> Unreachable:
    """Return what it means that no answer came."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Unreachable(f"Placet did not answer ({what}).", key=call.key)


def too_long() -> UnexpectedAnswer:
    """Return what an answer of more than MOST_BYTES is."""
    return UnexpectedAnswer(f"The answer is longer than {MOST_BYTES} bytes.")


def read(call: Call[T], status: int, headers: httpx.Headers, content: bytes) -> T:
    """Return the document of an answer; raises a Problem, or UnexpectedAnswer where it is none of the API's."""
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if status >= 400:
        raise _problem(call, status, headers, content, kind)
    if not 200 <= status < 300 or kind != "application/json":
        raise UnexpectedAnswer(f"{call.path} answered {status} {kind or 'without a type'}; is PLACET_URL Placet's?")
    try:
        raw = json.loads(content)
        if not call.route.listed:
            return cast(T, decode(call.route.answer, raw))
        items = raw["items"]
        found: tuple[Any, ...] = tuple(
            decode(call.route.answer, one, f"/items/{number}") for number, one in enumerate(items)
        )
        return cast(T, Page(items=found, next_cursor=raw.get("next_cursor")))
    except (Undecodable, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnexpectedAnswer(f"{call.path} answered what cannot be read: {error}.") from None


def _problem(call: Call[Any], status: int, headers: httpx.Headers, content: bytes, kind: str) -> Problem:
    document: Any = {}
    if kind == "application/problem+json":
        try:
            document = json.loads(content)
        except ValueError:
            document = {}
    if not isinstance(document, Mapping):
        document = {}
    claims = call.route is CLAIM
    found = problem_class(status, document.get("reason"), claims=claims)
    return found(document, status=status, retry_after=_retry_after(headers), key=call.key)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds of `Retry-After`; None where there are none, or as a date, which Placet does not send."""
    text = headers.get("retry-after", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() and text.isascii() else None


def _query(given: Mapping[str, Any]) -> Mapping[str, str]:
    return {name: _as_text(value) for name, value in given.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return moment(value) if isinstance(value, datetime) else str(value)

"""The identity provider: what it says about itself, and the keys that it signs with."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from placet.errors import Unavailable

_TIMEOUT = 10.0  # seconds for one answer
_LONGEST_ANSWER = 1_000_000  # bytes
_KEPT = timedelta(hours=1)  # for which keys and metadata are used without asking again
_REMEMBERED = 10_000  # tokens that were used
_ASKED_AGAIN = timedelta(seconds=30)  # an unknown key has the keys fetched again, and not more often than this
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_log = structlog.get_logger(__name__)


class ProviderUnavailable(Unavailable):
    """The identity provider does not answer as it should; try again, or log in with a token or a one-time address."""


class Provider:
    """One identity provider, by its issuer. What it said is kept for an hour."""

    def __init__(self, issuer: str, clock: Callable[[], datetime]) -> None:
        self.issuer = issuer
        self._clock = clock
        self._lock = asyncio.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._used: OrderedDict[bytes, None] = OrderedDict()

    def is_first_use(self, token: str) -> bool:
        """Whether a token is used for the first time in this process, as far as it remembers."""
        digest = hashlib.sha256(token.encode()).digest()
        first = digest not in self._used
        self._used[digest] = None
        self._used.move_to_end(digest)
        if len(self._used) > _REMEMBERED:
            self._used.popitem(last=False)
        return first

    async def endpoint(self, name: str) -> str:
        """Return an address of the provider by its name in the metadata; raises ProviderUnavailable."""
        await self._fresh()
        return str(self._metadata[name])

    async def optional_endpoint(self, name: str) -> str | None:
        """Return an address that not every provider has; None without a safe one. Raises ProviderUnavailable."""
        await self._fresh()
        url = self._metadata.get(name)
        if not isinstance(url, str):
            return None
        require_private(url, f"{name} of {self.issuer}")
        return url

    async def keys(self, kid: str | None, *, renewed: bool = False) -> KeySet:
        """Return the provider's keys; where this one is unknown, or with `renewed`, fetched anew, once in a while."""
        await self._fresh()
        known = self._keys is not None and (kid is None or any(key.kid == kid for key in self._keys))
        if renewed or not known:
            await self._fresh(unknown=True)
        assert self._keys is not None  # noqa: S101 - fetched, or ProviderUnavailable was raised
        return self._keys

    async def post(self, endpoint: str, form: dict[str, str], auth: tuple[str, str] | None) -> dict[str, Any]:
        """Send a form to the provider and return its answer, also where it refuses; raises ProviderUnavailable."""
        return await self._ask("POST", endpoint, form, auth)

    async def _fresh(self, *, unknown: bool = False) -> None:
        """Fetch metadata and keys, where those at hand are too old, or lack a key."""
        async with self._lock:
            now = self._clock()
            old = self._fetched_at is None or now - self._fetched_at >= _KEPT
            lately = self._tried_at is not None and now - self._tried_at < _ASKED_AGAIN
            if not old and not unknown:
                return
            if lately and self._fetched_at is None:
                raise ProviderUnavailable(f"The identity provider {self.issuer} did not answer a moment ago.")
            if lately:
                return
            self._tried_at = now
            try:
                await self._fetch()
            except ProviderUnavailable as error:
                if self._fetched_at is None:
                    raise
                _log.warning("identity_provider_away", issuer=self.issuer, reason=error.message)
                return  # what is known still holds
            self._fetched_at = now
            if not unknown:
                self._tried_at = None  # a key that is unknown right after this is looked for once

    async def _fetch(self) -> None:
        metadata = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != self.issuer:
            raise ProviderUnavailable(
                f"The identity provider calls itself {metadata.get('issuer')!r}; PLACET_OIDC_ISSUER is {self.issuer!r}."
            )
        for name in _ENDPOINTS:
            require_private(str(metadata.get(name) or ""), f"{name} of {self.issuer}")
        try:
            keys = KeySet.import_key_set(cast(Any, await self._ask("GET", metadata["jwks_uri"])))
        except (JoseError, KeyError, TypeError, ValueError) as error:
            raise ProviderUnavailable(f"The keys of {self.issuer} cannot be read: {error}") from error
        self._metadata, self._keys = metadata, keys

    async def _ask(
        self,
        method: str,
        url: str,
        form: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        try:
            async with (
                httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, auth=auth) as http,
                http.stream(method, url, data=form, headers={"Accept": "application/json"}) as answer,
            ):
                content = b""
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > _LONGEST_ANSWER:
                        raise ProviderUnavailable(f"{url} answers with more than {_LONGEST_ANSWER} bytes.")
                document = json.loads(content)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ProviderUnavailable(f"{url} does not answer as it should: {error!r}") from error
        if not isinstance(document, dict) or (form is None and not answer.is_success):
            raise ProviderUnavailable(f"{url} answers with status {answer.status_code}.")
        return document


def require_private(url: str, what: str) -> None:
    """Raise ProviderUnavailable for an address that would carry secrets in clear text to another machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise ProviderUnavailable(f"{what} is {url!r}; only https is taken, and http on this machine.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

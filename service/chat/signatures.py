"""Whether a call comes from the chat, and has just been sent: the signatures of Slack and of Teams.

Slack signs `v0:TIMESTAMP:BODY` with HMAC-SHA256 (hex), and sends both in headers. Teams signs the body alone (base64);
the time stands in the body. Signatures are compared in constant time, before anything of the body is read.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from placet.errors import CallbackRefused

WINDOW: Final = timedelta(minutes=5)
"""How old a call may be, and how far ahead the chat's clock."""
_VERSION = "v0"
_LONGEST_TIMESTAMP = 20  # digits
_SCHEME = "hmac"


def verify_slack(secret: str, *, timestamp: str | None, signature: str | None, body: bytes, now: datetime) -> str:
    """Return the id of a call of Slack's, the same for the same signature; raises CallbackRefused."""
    if not timestamp or not signature:
        raise _unsigned()
    if not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > _LONGEST_TIMESTAMP:
        raise _forged()
    signed = f"{_VERSION}:{timestamp}:".encode() + body
    expected = f"{_VERSION}={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise _forged()
    try:
        sent = datetime.fromtimestamp(int(timestamp), UTC)
    except (OverflowError, ValueError, OSError):
        raise _expired() from None
    require_fresh(sent, now)
    return _id_of("slack", expected)


def verify_teams(secrets: Iterable[str], *, authorization: str | None, body: bytes) -> str:
    """Return the id of a call of Teams, likewise; any one of the secrets (base64) may have signed it.

    Raises CallbackRefused. How old it is, the caller finds in the body (`require_fresh`).
    """
    scheme, _, sent = (authorization or "").strip().partition(" ")
    if scheme.lower() != _SCHEME or not sent.strip():
        raise _unsigned()
    found = None
    for secret in secrets:  # all of them: how long it takes tells nothing
        expected = b64encode(hmac.new(b64decode(secret), body, hashlib.sha256).digest()).decode()
        if hmac.compare_digest(expected.encode(), sent.strip().encode()):
            found = expected
    if found is None:
        raise _forged()
    return _id_of("teams", found)


def require_fresh(sent: datetime, now: datetime) -> None:
    """Raise CallbackRefused for what was sent too long ago, or by a clock that is too far ahead."""
    if abs(now - sent) > WINDOW:
        raise _expired()


def replayed() -> CallbackRefused:
    """Return the refusal of a call that has come before."""
    return CallbackRefused(
        "This very call has come before; it counted then, and nothing more was decided. Press or write again.",
        code="replayed",
    )


def _unsigned() -> CallbackRefused:
    return CallbackRefused("The call has no signature of the chat; nothing was decided.", code="unsigned")


def _forged() -> CallbackRefused:
    return CallbackRefused(
        "The signature does not fit the call: it was not sent by the chat, was changed on its way, or the secret in "
        "the settings is another one. Nothing was decided.",
        code="forged",
    )


def _expired() -> CallbackRefused:
    return CallbackRefused(
        "The call was sent more than five minutes ago, or the clocks differ by more; nothing was decided.",
        code="expired",
    )


def _id_of(service: str, signature: str) -> str:
    return hashlib.sha256(f"{service}:{signature}".encode()).hexdigest()

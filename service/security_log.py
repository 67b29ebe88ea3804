"""The security log: who logged in and how, who proved who they are, and what was refused to whom.

It is part of the process' log. A line names people, tokens and requests by their ids, and holds nothing that was sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from placet.errors import Busy, NotPermitted, PlacetError, code_of

EVENTS: Final = {
    "logged_in": "a browser session began",
    "log_in_failed": "a log-in was refused, or came after too many of them",
    "logged_out": "a person ended sessions of theirs",
    "authenticated": "a program called with an API token or a JWT: once a minute for a token, once for a JWT",
    "authentication_failed": "a call was refused because it did not prove who calls",
    "proof_given": "somebody proved anew who they are, to sign a decision",
    "proof_failed": "a proof for a signature was refused",
    "passkey_added": "a person added a passkey",
    "passkey_removed": "a person removed a passkey",
    "malware_found": "a file was refused because the malware scanner found something in it",
    "call_refused": "somebody was refused a call or a page",
}
"""The events of the security log."""

_log = structlog.get_logger(__name__)


def note(event: str, **facts: str | int | list[str] | None) -> None:
    """Write a line; facts that are None are left out."""
    assert event in EVENTS, event  # noqa: S101 - the events are a list that the docs have
    known = {name: value for name, value in facts.items() if value is not None}
    write = _log.warning if event.endswith(("failed", "refused", "found")) else _log.info
    write(event, log="security", **known)


@contextmanager
def refusals(event: str, **facts: str | int | None) -> Iterator[None]:
    """Write a line with these facts and the reason where the block ends in a refusal."""
    try:
        yield
    except (Busy, NotPermitted) as error:
        note(event, **facts, reason=reason_of(error))
        raise


def reason_of(error: PlacetError) -> str:
    """Return the code of a refusal; its words may hold what was sent."""
    return code_of(type(error))

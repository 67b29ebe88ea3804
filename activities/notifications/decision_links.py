"""Links that decide: an address for each decision that a notification asks for, signed when the message is written.

Nothing of a link is stored: the outbox has no text, and a message that is sent again is written, and signed, anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, get_args
from urllib.parse import urlsplit

from activities.decision_tokens import ButtonTokens, LinkDecision, LinkTokens
from activities.notifications.settings import NotifySettings, below
from placet.definition.steps import DecisionLinks, strictest

PAGE = "decide"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class DecisionLinkWriter:
    """Writes the links of messages that ask somebody for a decision."""

    def __init__(self, secret: str, settings: NotifySettings, clock: Callable[[], datetime]) -> None:
        """`secret` is the installation's, with which the API reads them; it has the same `clock`."""
        self._tokens = LinkTokens(secret, clock)
        self._buttons = ButtonTokens(secret, clock)
        self._said = settings.decision_links
        self._page = below(settings.public_url, PAGE) if _keeps_secrets(settings.public_url) else None

    def links(self, person: str, task: Mapping[str, Any], stage: DecisionLinks | None) -> dict[str, str]:
        """Return the links of a person for a task (columns of approval_task), by decision; `stage` is what it says.

        None where links are off, and where there is no address at which a link stays a secret on its way.
        """
        if self._page is None or strictest(self._said, stage) == "off":
            return {}
        return {decision: address(self._page, token) for decision, token in _signed(self._tokens, person, task).items()}

    def buttons(self, person: str, task: Mapping[str, Any], stage: DecisionLinks | None) -> dict[str, str]:
        """Return the tokens of a person's buttons in a chat for a task, by decision; none where links are off.

        They need no public address: the chat says who presses them.
        """
        return {} if strictest(self._said, stage) == "off" else _signed(self._buttons, person, task)


def _signed(tokens: LinkTokens, person: str, task: Mapping[str, Any]) -> dict[str, str]:
    return {
        decision: tokens.issue(
            person,
            task["id"],
            round_=task["round"],
            hand_overs=task["hand_overs"],
            revision=task["revision"],
            decision=decision,
        )
        for decision in get_args(LinkDecision)
    }


def address(page: str, token: str) -> str:
    """Return the address of a link. The token is in the query, which no log of Placet holds."""
    return f"{page}?token={token}"


def sample_links(public_url: str | None) -> dict[str, str]:
    """Return links for the preview of a template; they decide nothing."""
    page = below(public_url, PAGE)
    return {} if page is None else {decision: address(page, "SAMPLE") for decision in get_args(LinkDecision)}


def _keeps_secrets(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme == "https" or parts.hostname in _LOOPBACK

"""Calls of Slack's Web API, at one host, with the bot token of the organisation's app."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from activities.http_client.client import AddressRefused, NotAnswered, fetch
from activities.notifications.settings import NotifySettings
from placet.errors import PlacetError

_TOO_MANY = 429


class SlackRefused(PlacetError):
    """Slack did not do what it was asked for; `code` is what it says, such as `channel_not_found`.

    `answered` is False where no answer came, so that it may have been done.
    """

    def __init__(self, code: str, message: str, *, answered: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.answered = answered


class SlackClient:
    """Calls methods of Slack's Web API."""

    def __init__(self, settings: NotifySettings, *, seconds: float | None = None) -> None:
        """`seconds` is how long a call may take; without it, as long as a message of a chat."""
        token = settings.slack_bot_token
        self._token = "" if token is None else token.get_secret_value()
        self._url = settings.slack_url
        self._policy = settings.slack_policy
        self._seconds = settings.chat_timeout if seconds is None else seconds

    async def post(self, method: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that changes something; raises SlackRefused."""
        body = json.dumps(content, ensure_ascii=False).encode()
        return await self._call(method, body, "application/json; charset=utf-8")

    async def get(self, method: str, **content: str) -> dict[str, Any]:
        """Call a method that reads; raises SlackRefused. Those take forms, and no JSON."""
        return await self._call(method, urlencode(content).encode(), "application/x-www-form-urlencoded")

    async def _call(self, method: str, body: bytes, kind: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "User-Agent": "Placet/1"}
        url = f"{self._url}/{method}"
        try:
            answer = await fetch("POST", url, headers=headers, content=body, seconds=self._seconds, policy=self._policy)
        except AddressRefused as error:
            raise SlackRefused("not_allowed", error.message) from error
        except NotAnswered as error:
            raise SlackRefused("no_answer", f"Slack: {error.message}", answered=False) from error
        if answer.status == _TOO_MANY:
            raise SlackRefused("ratelimited", "Slack takes no more messages for now")
        if answer.status != 200:
            raise SlackRefused(f"status_{answer.status}", f"Slack answered {answer.status}")
        try:
            said = json.loads(answer.body)
        except ValueError as error:
            raise SlackRefused("unreadable", "Slack answered with something that is not JSON") from error
        if not isinstance(said, dict):
            raise SlackRefused("unreadable", "Slack answered with something that is no object")
        if said.get("ok") is not True:
            code = str(said.get("error", "unknown"))[:60]
            raise SlackRefused(code, f"Slack refused {method}: {code}")
        return said

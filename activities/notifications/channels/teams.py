"""Microsoft Teams: cards in a channel by a workflow's address, with what to write to the outgoing webhook to decide."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from activities.http_client.client import AddressRefused, NotAnswered, fetch
from activities.notifications.channels.channel import AskedTask, Message, NotDelivered
from activities.notifications.channels.chat import short
from activities.notifications.channels.slack import OPEN
from activities.notifications.settings import NotifySettings
from languages.catalogues import say_in
from placet.sentences import sentence

CARD = "application/vnd.microsoft.card.adaptive"
_WRITE = sentence("To decide, write to Placet here, and a comment behind it if you like:")
_LONGEST = 5_000  # characters of a card's text; Teams takes 28 kB in all


class TeamsChannel:
    """Posts cards into one channel of Teams, which several people read: they carry nothing that decides."""

    name = "teams"
    concurrency = 2

    def __init__(self, settings: NotifySettings) -> None:
        self.timeout = settings.chat_timeout
        self._url = settings.teams_url.get_secret_value() if settings.teams_url is not None else ""
        self._policy = replace(settings.webhook_policy, sender="Messages to Teams")
        self._answers = bool(settings.teams_secrets)

    def takes_links(self, address: str | None) -> bool:  # noqa: ARG002 - everybody in the channel reads it
        """Whether it carries links that decide: several people read it."""
        return False

    async def send(self, message: Message) -> None:
        """Post one card; raises NotDelivered."""
        content = json.dumps(posted(message, answers=self._answers), ensure_ascii=False).encode()
        try:
            answer = await fetch(
                "POST",
                self._url,
                headers={"Content-Type": "application/json", "User-Agent": "Placet/1"},
                content=content,
                seconds=self.timeout,
                policy=self._policy,
            )
        except AddressRefused as error:
            raise NotDelivered(error.message, permanent=True) from error
        except NotAnswered as error:  # its cause may name the address, which is a secret
            raise NotDelivered(f"Teams: {error.message}", channel_down=True, in_doubt=True) from error
        if not 200 <= answer.status < 300:
            raise NotDelivered(f"Teams answered {answer.status}", channel_down=answer.status != 413)

    async def close(self) -> None:
        """Do nothing: no connection stays open."""


def posted(message: Message, *, answers: bool) -> dict[str, Any]:
    """Return what is posted for a message; `answers` says whether people can decide by writing to Placet there."""
    say = say_in(message.language)
    text = short(replace(message, url=None, links={})).strip()
    lines = [f"{message.name}: {message.subject}", text]
    if answers and message.asked is not None:
        lines.append(say(_WRITE))
        lines += [command(decision, message.asked) for decision in ("approve", "reject")]
    page = message.asked.url if message.asked is not None else None
    return {
        "type": "message",
        "attachments": [{"contentType": CARD, "content": card(lines, page or message.url, say(OPEN))}],
    }


def card(lines: list[str], url: str | None, word: str) -> dict[str, Any]:
    """Return an Adaptive Card; its only action opens a page, since Teams takes no other one from a webhook."""
    first, *rest = [line for line in lines if line]
    body = [{"type": "TextBlock", "text": _plain(first), "weight": "Bolder", "wrap": True}]
    body += [{"type": "TextBlock", "text": _plain(line[:_LONGEST]), "wrap": True} for line in rest]
    found: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if url is not None:
        found["actions"] = [{"type": "Action.OpenUrl", "title": word, "url": url}]
    return found


def command(decision: str, task: AskedTask) -> str:
    """Return what somebody writes to decide a task as it is: with its round, and the revision that they saw."""
    return f"{decision} {task.id} {task.round}.{task.revision}"


def _plain(text: str) -> str:
    """Return a text without what a text block reads as Markdown: links, emphasis and lists."""
    return "".join(f"\\{sign}" if sign in "[]*_`~#\\" else sign for sign in text)

"""Slack: direct messages by the organisation's app, with buttons that decide where Slack's calls can be verified."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from activities.notifications.channels.channel import Message, NotDelivered
from activities.notifications.channels.chat import short
from activities.notifications.channels.slack_client import SlackClient, SlackRefused
from activities.notifications.settings import NotifySettings
from languages.catalogues import say_in
from placet.sentences import sentence

BUTTON = "placet:"
"""What the `action_id` of our buttons begins with; the decision, or `open`, follows."""
COMMENT = "placet_comment"
"""The block of the comment, and its action."""
BUTTONS = "placet_buttons"
"""The block of the buttons."""
LONGEST_COMMENT = 3_000  # characters, as many as Slack takes
_LONGEST_HEADER = 150  # characters
_LONGEST_SECTION = 2_900
_LONGEST_TITLE = 100
_MEMBER = re.compile(r"[UW][A-Z0-9]{2,40}")
_CANCEL, _COMMENT, OPEN = sentence("Cancel"), sentence("Comment"), sentence("Open in Placet")
_WORDS = {"approve": ("Approve", "primary"), "reject": ("Reject", "danger")}
# What a repeat of the message cannot change.
_PERMANENT = frozenset({
    "users_not_found", "user_not_found", "user_disabled", "channel_not_found", "is_archived", "cannot_dm_bot",
    "msg_too_long", "no_text", "invalid_blocks", "invalid_blocks_format", "invalid_arguments", "not_allowed",
})  # fmt: skip
# What concerns this message alone, and not the channel.
_OF_THE_MESSAGE = _PERMANENT | {"ratelimited"}


class SlackChannel:
    """Sends direct messages. A person's address is their member id in Slack, or the mail address they have there."""

    name = "slack"
    concurrency = 4

    def __init__(self, settings: NotifySettings) -> None:
        self.timeout = settings.chat_timeout
        self._client = SlackClient(settings, seconds=settings.chat_timeout / 2)  # a message may need two calls
        self._verifies = settings.slack_signing_secret is not None

    def takes_links(self, address: str | None) -> bool:  # noqa: ARG002 - no address has any
        """Whether it carries links that decide: it has buttons instead."""
        return False

    def takes_buttons(self, address: str | None) -> bool:
        """Whether it carries buttons: only a direct message does, and only where Slack's calls can be verified."""
        return self._verifies and _is_person(address)

    async def send(self, message: Message) -> None:
        """Send one message; raises NotDelivered."""
        if not _is_person(message.address):
            raise NotDelivered(
                f"user:{message.person} has no Slack address; write their member id (U…), or their mail address",
                permanent=True,
            )
        address = message.address or ""
        try:
            if "@" in address:
                found = await self._client.get("users.lookupByEmail", email=address)
                address = str((found.get("user") or {}).get("id", ""))
            await self._client.post(
                "chat.postMessage",
                {
                    "channel": address,
                    "text": message.subject[:_LONGEST_SECTION],
                    "blocks": blocks(message),
                    "unfurl_links": False,
                    "unfurl_media": False,
                },
            )
        except SlackRefused as error:
            raise NotDelivered(
                error.message,
                permanent=error.code in _PERMANENT,
                channel_down=error.code not in _OF_THE_MESSAGE,
                in_doubt=not error.answered,
            ) from error

    async def close(self) -> None:
        """Do nothing: no connection stays open."""


def blocks(message: Message) -> list[dict[str, Any]]:
    """Return the blocks of a message (Block Kit). All of its text is plain: what people write is no markup."""
    say = say_in(message.language)
    found: list[dict[str, Any]] = [{"type": "header", "text": _plain(message.subject[:_LONGEST_HEADER])}]
    if text := short(replace(message, url=None, links={}))[:_LONGEST_SECTION].strip():
        found.append({"type": "section", "text": _plain(text)})
    buttons: list[dict[str, Any]] = []
    for decision, token in message.buttons.items():
        word, style = _WORDS[decision]
        title = (message.asked.title if message.asked is not None else message.subject)[:_LONGEST_TITLE]
        buttons.append(
            {
                "type": "button",
                "action_id": f"{BUTTON}{decision}",
                "text": _plain(say(word)),
                "style": style,
                "value": token,
                "confirm": {
                    "title": _plain(say(word)),
                    "text": _plain(title or "…"),
                    "confirm": _plain(say(word)),
                    "deny": _plain(say(_CANCEL)),
                },
            }
        )
    if buttons:
        element = {
            "type": "plain_text_input",
            "action_id": COMMENT,
            "multiline": True,
            "max_length": LONGEST_COMMENT,
        }
        label = _plain(say(_COMMENT))
        found.append(
            {"type": "input", "block_id": COMMENT, "optional": True, "dispatch_action": False, "element": element}
            | {"label": label}
        )
    page = message.asked.url if message.asked is not None else None
    if there := page or message.url:
        buttons.append({"type": "button", "action_id": f"{BUTTON}open", "text": _plain(say(OPEN)), "url": there})
    if buttons:
        found.append({"type": "actions", "block_id": BUTTONS, "elements": buttons})
    return found


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _is_person(address: str | None) -> bool:
    return address is not None and ("@" in address or _MEMBER.fullmatch(address) is not None)

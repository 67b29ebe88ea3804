"""Chat and SMS through Apprise: URLs name the organisation's services, addresses name the people in them."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from activities.notifications.channels.channel import Message, NotDelivered
from languages.catalogues import say_in

# Services with fixed hosts: a person's own URL cannot make this server call its own network.
OWN_SERVICES = frozenset({"slack", "msteams", "discord", "tgram", "gchat", "twilio", "vonage", "pover"})
LONGEST = 1_500  # characters of one chat message
ADDRESS = "{address}"
_WORDS = {"approve": "Approve", "reject": "Reject"}  # by decision; the catalogue has them in other languages


class ChatChannel:
    """Send short messages through services that Apprise supports."""

    concurrency = 4

    def __init__(self, name: str, urls: Sequence[SecretStr], *, timeout: float) -> None:
        """`name` is `chat` or `sms`; in `urls`, `{address}` stands for the person's address."""
        self.name = name
        self._urls = tuple(urls)
        self.timeout = timeout

    async def send(self, message: Message) -> None:
        """Send one message; raises NotDelivered."""
        apprise = await asyncio.to_thread(_library)
        services = apprise.Apprise()
        for url in self._services(message):
            if not services.add(url):
                raise NotDelivered(f"the {self.name} address of user:{message.person} is invalid", permanent=True)
        body = short(message)
        try:
            async with asyncio.timeout(self.timeout):
                taken = await services.async_notify(
                    body=body, title=message.subject, body_format=apprise.NotifyFormat.TEXT
                )
        except TimeoutError as error:
            raise NotDelivered(
                f"{self.name} did not answer within {self.timeout:g} s", channel_down=True, in_doubt=True
            ) from error
        if not taken:
            raise NotDelivered(f"the {self.name} service did not accept the message")

    def takes_links(self, address: str | None) -> bool:
        """Whether one person alone reads it: links do not go into a common room, nor into a short message."""
        if self.name != "chat" or not address:
            return False
        return "://" in address or all(ADDRESS in url.get_secret_value() for url in self._urls)

    async def close(self) -> None:
        """Do nothing: no connection stays open."""

    def _services(self, message: Message) -> list[str]:
        """Return the URLs for this message. They hold credentials, so they must not be logged."""
        address = message.address
        if address and "://" in address:
            if urlsplit(address).scheme not in OWN_SERVICES:
                allowed = ", ".join(sorted(OWN_SERVICES))
                raise NotDelivered(
                    f"user:{message.person} has an address with an URL of another service; allowed are {allowed}",
                    permanent=True,
                )
            return [address]
        urls = [url.get_secret_value() for url in self._urls]
        if address:
            return [url.replace(ADDRESS, quote(address, safe="@+#")) for url in urls]
        # Without an address, a message goes to the services that need none, such as a common room.
        common = [url for url in urls if ADDRESS not in url]
        if not common:
            raise NotDelivered(f"user:{message.person} has no {self.name} address", permanent=True)
        return common


def short(message: Message) -> str:
    """Return the text of a chat message: the first two paragraphs after the greeting, and the links, which stay whole.

    Paragraphs that hold a link that decides are left out, since these links come at the end.
    """
    paragraphs = [p for p in message.text.split("\n\n") if not any(link in p for link in message.links.values())][1:3]
    text = "\n\n".join(p for p in paragraphs if not p.startswith("--"))
    say = say_in(message.language)
    links = [f"{say(_WORDS.get(decision, decision))}: {link}" for decision, link in message.links.items()]
    links += [message.url] if message.url is not None else []
    if not links:
        return text[:LONGEST]
    end = "\n".join(links)
    return f"{text[: max(0, LONGEST - len(end) - 2)]}\n\n{end}"


@cache
def _library() -> Any:
    """Load Apprise for the first message: it takes a second, and many installations have no chat."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some of its services use what Python is about to drop
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages name URLs with credentials
    return apprise

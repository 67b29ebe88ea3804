"""Chat and SMS through apprise: the organisation's services by URL, people by their address in them."""

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

# Services whose hosts are fixed, so that a person's own URL cannot point this server at its own network.
OWN_SERVICES = frozenset({"slack", "msteams", "discord", "tgram", "gchat", "twilio", "vonage", "pover"})
LONGEST = 1_500  # characters of one chat message
ADDRESS = "{address}"


class ChatChannel:
    """Send short messages through services that apprise knows."""

    concurrency = 4

    def __init__(self, name: str, urls: Sequence[SecretStr], *, timeout: float) -> None:
        """Take the channel's name (`chat`, `sms`) and its service URLs, in which `{address}` is the person's."""
        self.name = name
        self._urls = tuple(urls)
        self.timeout = timeout

    async def send(self, message: Message) -> None:
        """Hand one message to the service; raises NotDelivered."""
        apprise = await asyncio.to_thread(_library)
        services = apprise.Apprise()
        for url in self._services(message):
            if not services.add(url):
                raise NotDelivered(f"the {self.name} address of user:{message.person} cannot be used", permanent=True)
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
            raise NotDelivered(f"the {self.name} service did not take the message")

    async def close(self) -> None:
        """Nothing is kept open."""

    def _services(self, message: Message) -> list[str]:
        """Return where this message goes; the URLs hold credentials and stay in here."""
        address = message.address
        if address and "://" in address:
            if urlsplit(address).scheme not in OWN_SERVICES:
                allowed = ", ".join(sorted(OWN_SERVICES))
                raise NotDelivered(f"user:{message.person} may use an URL of one of these: {allowed}", permanent=True)
            return [address]
        urls = [url.get_secret_value() for url in self._urls]
        if address:
            return [url.replace(ADDRESS, quote(address, safe="@+#")) for url in urls]
        # Without an address a message goes where everybody reads it, if there is such a place.
        common = [url for url in urls if ADDRESS not in url]
        if not common:
            raise NotDelivered(f"user:{message.person} has no {self.name} address", permanent=True)
        return common


def short(message: Message) -> str:
    """Return what a chat shows under the subject: the first two paragraphs after the greeting, and the link if any."""
    paragraphs = message.text.split("\n\n")[1:3]
    text = "\n\n".join(p for p in paragraphs if not p.startswith("--"))
    if message.url is None:
        return text[:LONGEST]
    room = LONGEST - len(message.url) - 2
    return f"{text[:room]}\n\n{message.url}"


@cache
def _library() -> Any:
    """Load apprise with all its services when the first message leaves: it takes a second, and most do without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some of its services use what Python is about to drop
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages name URLs with credentials
    return apprise

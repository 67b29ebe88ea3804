"""A channel that nobody has set up: it says so for every message, so that nothing waits for it unnoticed."""

from __future__ import annotations

from activities.notifications.channels.channel import Message, NotDelivered


class NotSetUp:
    """Refuse every message with the remedy."""

    concurrency = 4
    timeout = 0.0

    def __init__(self, name: str, remedy: str) -> None:
        self.name = name
        self._remedy = remedy

    async def send(self, message: Message) -> None:  # noqa: ARG002 - the same answer for all
        """Refuse the message for good; it can be sent again once the channel is set up."""
        raise NotDelivered(f"{self.name} is not set up: {self._remedy}", permanent=True)

    async def close(self) -> None:
        """Nothing is open."""

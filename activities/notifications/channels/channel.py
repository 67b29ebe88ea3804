"""Channels: the protocol of a way to reach people, the message that it carries, and the channel that is not set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from placet.errors import PlacetError

LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message for one person, ready to leave. `id` is the same at every attempt, so receivers can see a repeat."""

    id: str
    person: str
    name: str
    address: str | None  # as the channel understands it; None where the person has none
    subject: str
    text: str
    html: str
    url: str | None  # where people open what it is about
    event: str
    request_id: str
    urgent: bool = False


class NotDelivered(PlacetError):
    """The channel did not take the message.

    `permanent`: trying again is useless. `channel_down`: the fault is the channel's, not this message's, so that its
    other messages wait as well. `in_doubt`: it was handed over, only no answer came, so it may have arrived.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, channel_down: bool = False, in_doubt: bool = False
    ) -> None:
        super().__init__(" ".join(message.split())[:LONGEST_REASON])
        self.permanent = permanent
        self.channel_down = channel_down
        self.in_doubt = in_doubt


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str:
        """The name that people choose it by: `mail`, `chat`, `sms`."""
        ...

    @property
    def concurrency(self) -> int:
        """How many messages it carries at once."""
        ...

    @property
    def timeout(self) -> float:
        """How long it takes at most to send one, in seconds."""
        ...

    async def send(self, message: Message) -> None:
        """Return once the message has been taken over; raise NotDelivered otherwise."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class UnconfiguredChannel:
    """Stands in for a channel without settings: it refuses every message and says what to set."""

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

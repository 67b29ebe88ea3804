"""Channels: the protocol of a way to reach people, the message that it carries, and the channel that is not set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from languages.catalogues import SOURCE, Language
from placet.errors import PlacetError

LONGEST_REASON = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTask:
    """A task that waits for a person's decision, as it is when the message is written."""

    id: str
    title: str  # of its request
    stage: str
    round: int
    revision: int
    url: str | None  # of its page


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to one person. `id` is the same in every attempt, so that receivers recognise a repeat."""

    id: str
    person: str
    name: str
    address: str | None  # in the channel's own form; None for a person without one
    subject: str
    text: str
    html: str
    url: str | None  # of the request's page
    event: str
    request_id: str
    language: Language = SOURCE
    urgent: bool = False
    links: Mapping[str, str] = field(default_factory=dict)  # what decides, by decision; they stand in the text as well
    buttons: Mapping[str, str] = field(default_factory=dict)  # tokens of buttons that decide, by decision
    asked: AskedTask | None = None  # the task that the person is asked to decide


class NotDelivered(PlacetError):
    """The channel did not take the message.

    `permanent`: a retry is useless. `channel_down`: the channel itself is at fault, so that its other messages wait
    too. `in_doubt`: the message was handed over and no answer came, so it may have arrived.
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
        """How many messages it sends at the same time."""
        ...

    @property
    def timeout(self) -> float:
        """The most seconds that sending one message takes."""
        ...

    def takes_links(self, address: str | None) -> bool:
        """Whether a message to this address may carry links that decide: one person alone gets it, and it has room."""
        ...

    async def send(self, message: Message) -> None:
        """Return once the channel has accepted the message; raises NotDelivered."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@runtime_checkable
class TakesButtons(Protocol):
    """A channel whose messages may carry buttons that decide."""

    def takes_buttons(self, address: str | None) -> bool:
        """Whether a message to this address may carry them: one person alone gets it, and it says who presses."""
        ...


class UnconfiguredChannel:
    """Stands in for a channel without settings: it refuses every message and says what to set."""

    concurrency = 4
    timeout = 0.0

    def __init__(self, name: str, remedy: str) -> None:
        self.name = name
        self._remedy = remedy

    def takes_links(self, address: str | None) -> bool:  # noqa: ARG002 - nothing is sent
        """No message leaves."""
        return False

    async def send(self, message: Message) -> None:  # noqa: ARG002 - every message is refused
        """Refuse the message permanently. It can be sent again once the channel is set up."""
        raise NotDelivered(f"{self.name} is not set up: {self._remedy}", permanent=True)

    async def close(self) -> None:
        """Nothing is open."""

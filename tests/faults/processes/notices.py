"""A notification process: the real dispatcher's steps, over a channel whose messages the schedule loses or doubles."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from activities.notifications.channels.channel import Message, NotDelivered
from activities.notifications.delivery import message_sender
from activities.notifications.delivery.channel_delivery import ChannelDelivery
from activities.notifications.delivery.confirmation import HistoryConfirmation
from activities.notifications.delivery.planning import Planner
from activities.notifications.settings import NotifySettings
from activities.notifications.templates.template_set import RenderedText, TemplateSet
from placet.errors import Unavailable
from storage.queries.notifications import delivery_queue
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.recording.group_commit import GroupCommit
from tests.faults.processes.database import ProcessDatabase

if TYPE_CHECKING:
    from tests.faults.world import World

_NO_WORDS = RenderedText(subject="", text="", html="", template="default", language="en", problem=None)
SETTINGS = NotifySettings(
    notify_retry_first=5,
    notify_retry_most=60,
    notify_lease=120,
    notify_confirm_after=1,
    notify_give_up_after=90 * 24 * 3600,
)


class Unwritten(TemplateSet):
    """Templates that are not rendered: what is said is no part of what the simulator tests."""

    def compose(self, *_: Any) -> RenderedText:
        """Return no words."""
        return _NO_WORDS


class Mailbox:
    """The channel `mail`: it tells the world of each message, which says what becomes of it."""

    name = "mail"
    concurrency = 2
    timeout = 30.0

    def __init__(self, world: World, process: Courier) -> None:
        self._world = world
        self._process = process

    def takes_links(self, address: str | None) -> bool:
        return False

    async def send(self, message: Message) -> None:
        """Deliver a message, or fail; raises NotDelivered."""
        fate = await self._world.pause_to_send(self._process, message)
        if fate == "done":
            return
        raise NotDelivered("the mail server does not answer", in_doubt=fate == "unanswered")

    async def close(self) -> None:
        """Nothing is open."""


class Courier:
    """One process that confirms, plans and sends."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.alive = True
        self.turn: asyncio.Task[None] | None = None
        self.seen: tuple[int, float] = (-1, -1.0)  # the store's commits and the time when it last found nothing to do
        database: Any = ProcessDatabase(world.store, lambda what, writes: world.pause(self, what, writes))
        self._world = world
        self.restored = world.store.restored  # how often rows had been restored when its turn began
        self.began = world.loop.now  # its turn
        confirmation = HistoryConfirmation(
            lambda id_: world.pause_to_ask(self, id_), lambda id_: world.pause_to_tell(self, id_)
        )
        self._planner = Planner(database, confirmation, SETTINGS, [Mailbox.name])
        commits: GroupCommit[AttemptResult] = GroupCommit(
            database, delivery_queue.finish_all, key=lambda finish: (finish.key, finish.channel)
        )
        with patch.object(message_sender, "TemplateSet", Unwritten):
            sender = message_sender.MessageSender(Mailbox(world, self), database, SETTINGS)
        self._delivery = ChannelDelivery(Mailbox.name, sender, database, commits, SETTINGS)

    @property
    def idle(self) -> bool:
        """Whether it waits for its next turn."""
        return self.alive and (self.turn is None or self.turn.done())

    def begin(self) -> None:
        """Take a turn."""
        self.seen = (self._world.store.commits, self._world.loop.time())
        self.restored = self._world.store.restored
        self.began = self._world.loop.now
        self.turn = self._world.loop.create_task(self._work())

    async def _work(self) -> None:
        working = asyncio.Event()  # never set: nobody tells it to stop, it is killed
        for step in (self._planner.confirm, self._planner.plan, partial(self._delivery.step, working)):
            try:
                await step()
            except (Unavailable, ExceptionGroup) as error:  # of what is sent at the same time
                self._world.note(f"{self.name}: {error!r}")

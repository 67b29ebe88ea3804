"""A turn: the work on one channel, or on the planning for all, until it is told to stop or the channel fails."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Protocol

from activities.notifications.delivery.channel_delivery import ChannelDelivery
from activities.notifications.delivery.planning import Planner
from activities.notifications.delivery.repeating import GATHER, Look, repeat, together, until_stopped
from activities.notifications.delivery.webhook_feed import WebhookFeed
from activities.notifications.settings import NotifySettings
from storage.announcements.announce import HELD, READY, queue_topic
from storage.announcements.listener import Subscriptions
from storage.database import Database
from storage.queries.notifications.backlog import backlogs

log = logging.getLogger(__name__)

WARN_AGAIN = 60.0  # seconds


class Turn(Protocol):
    """One turn. `proven` is set once it is clear that what the turn needs works."""

    proven: asyncio.Event

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; raises ChannelDown, Unavailable, and whatever else fails as a whole."""
        ...

    def pulse(self) -> dict[str, Any]:
        """Tell what the turn does, in the words that people read beside its heartbeat."""
        ...


class SendingTurn:
    """Sends the messages of one channel to people."""

    def __init__(self, delivery: ChannelDelivery, subscriptions: Subscriptions, settings: NotifySettings) -> None:
        self.proven = asyncio.Event()
        self._delivery = delivery
        self._subscriptions = subscriptions
        self._poll = settings.notify_poll

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until told to stop; raises ChannelDown once several messages in a row found the channel down."""

        async def step() -> Look:
            found = await self._delivery.step(stopping)
            if (down := self._delivery.down) is not None:
                await self._delivery.give_up_old()
                raise down
            if self._delivery.works:
                self.proven.set()
            return found

        topic = queue_topic(self._delivery.name)
        await repeat(step, topic, self._subscriptions, stopping, clock=self._delivery.now, poll=self._poll)

    def pulse(self) -> dict[str, Any]:
        """Tell how many messages this turn has sent."""
        return {"state": "sending" if self._delivery.works else "waiting for a message to test it with"} | _told(
            self._delivery
        )


class PlanningTurn:
    """Confirms and plans notifications for all channels, and warns of those that wait too long."""

    def __init__(
        self, planner: Planner, database: Database, subscriptions: Subscriptions, settings: NotifySettings
    ) -> None:
        self.proven = asyncio.Event()
        self._planner = planner
        self._database = database
        self._subscriptions = subscriptions
        self._settings = settings

    async def run(self, stopping: asyncio.Event) -> None:
        """Confirm and plan until told to stop."""
        settings, announced = self._settings, self._subscriptions
        clock, poll = self._database.now, settings.notify_poll
        warn_again, patience = min(WARN_AGAIN, settings.notify_warn_after), settings.notify_confirm_after
        await together(
            stopping,
            # The API confirms what it was answered for; the engine is asked about what is held for longer.
            repeat(self._planner.confirm, HELD, announced, stopping, clock=clock, poll=poll, patience=patience),
            repeat(self._plan, READY, announced, stopping, clock=clock, poll=poll),
            self._warn_repeatedly(stopping, warn_again),
        )

    def pulse(self) -> dict[str, Any]:
        """Tell how many notifications this turn has planned."""
        return {"state": "planning", "planned": self._planner.planned}

    async def _plan(self) -> Look:
        found = await self._planner.plan()
        self.proven.set()
        return found

    async def _warn_repeatedly(self, stopping: asyncio.Event, seconds: float) -> None:
        while not stopping.is_set():
            await self._warn()
            await until_stopped(stopping, seconds)

    async def _warn(self) -> None:
        """Log a warning about notifications that wait too long."""
        now = self._database.now()
        found = await self._database.read(backlogs, now)
        for channel, backlog in sorted(found.items()):
            if (waited := backlog.waited(now)) > timedelta(seconds=self._settings.notify_warn_after):
                log.warning("%s: %d notifications wait, the oldest for %s", channel, backlog.number, waited)


class WebhookTurn:
    """Queues events for the endpoints of webhooks, and sends them. An endpoint that is down delays no other."""

    def __init__(self, feed: WebhookFeed, subscriptions: Subscriptions, settings: NotifySettings) -> None:
        self.proven = asyncio.Event()
        self._feed = feed
        self._subscriptions = subscriptions
        self._poll = settings.notify_poll
        self._gather = min(GATHER, settings.notify_poll)

    async def run(self, stopping: asyncio.Event) -> None:
        """Queue and send until told to stop."""

        async def step() -> Look:
            found = await self._feed.step()
            self.proven.set()
            return found

        # Entries of which nobody is notified are not announced.
        queueing = repeat(
            step,
            READY,
            self._subscriptions,
            stopping,
            clock=self._feed.now,
            poll=self._poll,
            seldom=self._poll,
            patience=self._gather,
        )
        await together(stopping, self._feed.deliver(self._subscriptions, stopping), queueing)

    def pulse(self) -> dict[str, Any]:
        """Tell of each endpoint how many events were sent to it, and which are down."""
        told = {delivery.name: _told(delivery) for delivery in self._feed.deliveries}
        down = sorted(delivery.name for delivery in self._feed.deliveries if not delivery.works)
        return {"state": "sending", "down": down, "endpoints": told}


def _told(delivery: ChannelDelivery) -> dict[str, Any]:
    tally = delivery.tally
    return {
        "sent": tally.sent,
        "given up": tally.failed,
        "last sent": tally.last_sent.isoformat(timespec="seconds") if tally.last_sent else None,
        "last error": tally.last_error,
    }

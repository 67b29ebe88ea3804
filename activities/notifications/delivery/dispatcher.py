"""The dispatcher of notifications: confirm that history holds their cause, plan their channels, and deliver them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from activities.notifications.channels.channel import Channel, UnconfiguredChannel
from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.delivery.channel_delivery import ChannelDelivery
from activities.notifications.delivery.confirmation import MOST_ASKED, Confirm, HistoryConfirmation
from activities.notifications.delivery.message_sender import Links, MessageSender, preferences_of
from activities.notifications.delivery.webhook_feed import WebhookFeed
from activities.notifications.preferences import MAIL
from activities.notifications.settings import NotifySettings
from activities.notifications.templates.template_set import TemplateSet, TemplateSource
from placet.errors import Unavailable
from storage.database import Database
from storage.queries.notifications import delivery_queue, facts, notification_templates
from storage.queries.notifications.backlog import backlogs
from storage.queries.notifications.delivery_queue import AttemptResult
from storage.recording import outbox
from storage.recording.group_commit import GroupCommit
from storage.tables.approvals import Outbox, StoredPerson

log = logging.getLogger(__name__)

CONFIRMING, PLANNING, WEBHOOKS = "confirming", "planning", "webhooks"
MOST_PLANNED = 100
SHORTEST_WAIT = 0.05  # seconds; the first pause between two steps, which doubles while there is nothing to do
TEMPLATES_AGAIN = 2.0  # seconds
WARN_AGAIN = 60.0  # seconds
GATHER = 0.05  # seconds in which work gathers for the next step; this saved an eighth of the CPU of an approval


class Dispatcher:
    """Sends notifications until it is stopped. Any number of dispatchers may share one database."""

    def __init__(
        self,
        database: Database,
        channels: Sequence[Channel],
        confirm: Confirm,
        settings: NotifySettings,
        *,
        links: Links | None = None,
        secrets: WebhookSecrets | None = None,
    ) -> None:
        """`channels` are those that are set up.

        `links` makes one-click links for mails that ask for a decision. With `secrets`, webhooks are sent as well.
        """
        self._database = database
        self._confirmation = HistoryConfirmation(confirm)
        self._settings = settings
        self._templates = TemplateSet()
        self._channels = {channel.name: channel for channel in channels}
        self._channels.setdefault(MAIL, UnconfiguredChannel(MAIL, "set PLACET_SMTP_HOST"))
        commits: GroupCommit[AttemptResult, None] = GroupCommit(
            database, delivery_queue.finish_all, key=lambda finish: (finish.key, finish.channel)
        )
        self._deliveries = [
            ChannelDelivery(
                name,
                MessageSender(channel, database, self._templates, settings, links=links),
                database,
                commits,
                settings,
            )
            for name, channel in self._channels.items()
        ]
        self._wake_events = {name: asyncio.Event() for name in (CONFIRMING, PLANNING, WEBHOOKS, *self._channels)}
        self._stopping = asyncio.Event()
        self._feed = None if secrets is None else WebhookFeed(database, self._confirmation, commits, secrets, settings)
        self._templates_at = 0.0

    @property
    def down(self) -> list[str]:
        """The names of the channels that do not work at the moment."""
        return [delivery.name for delivery in self._deliveries if delivery.down]

    def wake(self) -> None:
        """Read the outbox at once: this process wrote or confirmed something."""
        for woken in self._wake_events.values():
            woken.set()

    def stop(self) -> None:
        """Let `run` return once the messages that are being sent have been sent."""
        self._stopping.set()
        self.wake()
        if self._feed is not None:
            self._feed.changed.set()

    async def run(self) -> None:
        """Send until stopped. Errors are logged and the step is retried, so no error ends the dispatcher."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(CONFIRMING, self._confirm, PLANNING))
                group.create_task(self._repeat(PLANNING, self._plan, *self._channels))
                group.create_task(self._warn_repeatedly())
                for delivery in self._deliveries:
                    group.create_task(self._repeat(delivery.name, delivery.step))
                if self._feed is not None:
                    group.create_task(self._repeat(WEBHOOKS, self._feed.step))
                    group.create_task(self._run_webhook_deliveries(self._feed, group))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _warn_repeatedly(self) -> None:
        """Log a warning about notifications that wait too long, and repeat it while they do."""
        while not self._stopping.is_set():
            try:
                await self._warn()
            except Unavailable as error:
                log.warning("the age of waiting notifications cannot be read: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(WARN_AGAIN, self._settings.notify_warn_after))

    async def _warn(self) -> None:
        now = datetime.now(UTC)
        found = await self._database.read(backlogs, now)
        for channel, backlog in sorted(found.items()):
            if (waited := backlog.waited(now)) > timedelta(seconds=self._settings.notify_warn_after):
                log.warning("%s: %d notifications wait, the oldest for %s", channel, backlog.number, waited)

    async def _run_webhook_deliveries(self, feed: WebhookFeed, group: asyncio.TaskGroup) -> None:
        """Run one delivery for each webhook endpoint, as endpoints are added and removed."""
        running: dict[ChannelDelivery, asyncio.Event] = {}
        while not self._stopping.is_set():
            wanted = feed.deliveries
            for delivery in [delivery for delivery in running if delivery not in wanted]:
                # The last step may finish, since its results have to be stored.
                running.pop(delivery).set()
            for delivery in wanted:
                if delivery not in running:
                    running[delivery] = asyncio.Event()
                    self._wake_events[delivery.name] = asyncio.Event()
                    group.create_task(self._repeat(delivery.name, delivery.step, ended=running[delivery]))
            feed.changed.clear()
            await feed.changed.wait()

    async def _repeat(
        self, name: str, step: Callable[[], Awaitable[bool]], *following: str, ended: asyncio.Event | None = None
    ) -> None:
        """Repeat a step: after GATHER while there is more to do, else after a growing pause up to the poll time.

        A step that had work to do wakes the `following` steps.
        """
        woken = self._wake_events[name]
        wait = SHORTEST_WAIT
        while not self._stopping.is_set() and not (ended is not None and ended.is_set()):
            try:
                more = await step()
            except Unavailable as error:
                log.warning("notifications (%s) wait for the database: %s", name, error)
                more = False
            except Exception:
                log.exception("notifications (%s) failed; the step will be retried", name)
                more = False
            if more:
                wait = SHORTEST_WAIT
                for other in following:
                    self._wake_events[other].set()
                await asyncio.sleep(GATHER)
                continue
            try:
                await asyncio.wait_for(woken.wait(), wait)
            except TimeoutError:
                wait = min(wait * 2, self._settings.notify_poll)
            else:
                wait = SHORTEST_WAIT
                woken.clear()

    async def _confirm(self) -> bool:
        """Ask the engine about unconfirmed notifications, once for each request."""
        before = datetime.now(UTC) - timedelta(seconds=self._settings.notify_confirm_after)
        waiting = await self._database.read(
            outbox.held, before=before, limit=MOST_ASKED + self._confirmation.unconfirmed
        )
        answers = await self._confirmation.ask(waiting)
        if not answers:
            return False
        await self._database.write(outbox.confirm_all, answers)
        still = set(
            await self._database.read(outbox.held, before=before, limit=MOST_ASKED + self._confirmation.unconfirmed)
        )
        for answer in answers:
            self._confirmation.note_answer(answer.request_id, confirmed=answer.request_id not in still)
        return any(answer.request_id not in still for answer in answers)

    async def _plan(self) -> bool:
        """Choose the channels of each notification, and when to send it."""
        await self._read_templates()
        now = datetime.now(UTC)
        rows, people = await self._database.read(_plannable, now)
        if not rows:
            return False
        plans = [(row, preferences_of(people.get(row.person)).routes(row.event, self._channels, now)) for row in rows]
        await self._database.write(delivery_queue.plan, plans, now)
        return True

    async def _read_templates(self) -> None:
        if time.monotonic() - self._templates_at < TEMPLATES_AGAIN:
            return
        rows = await self._database.read(notification_templates.in_force)
        self._templates.change(
            {
                name: TemplateSource(name=name, version=row.version, subject=row.subject, text=row.text, html=row.html)
                for name, row in rows.items()
            }
        )
        self._templates_at = time.monotonic()


def _plannable(connection: Connection, now: datetime) -> tuple[list[Outbox], dict[str, StoredPerson]]:
    """Return notifications to plan, and the people whom they are for."""
    rows = delivery_queue.plannable(connection, now, limit=MOST_PLANNED)
    return rows, facts.people(connection, (row.person for row in rows)) if rows else {}

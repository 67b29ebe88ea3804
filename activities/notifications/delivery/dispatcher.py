"""The dispatcher: confirm what history holds, plan it for each person, and let every channel carry its share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from activities.notifications.channels.channel import Channel, NotSetUp
from activities.notifications.channels.webhook_secrets import Secrets
from activities.notifications.delivery.channel_delivery import ChannelDelivery
from activities.notifications.delivery.confirmation import MOST_ASKED, Confirm, Inquiry
from activities.notifications.delivery.message_sender import Links, Writer, chosen
from activities.notifications.delivery.webhook_feed import Feed
from activities.notifications.preferences import MAIL
from activities.notifications.settings import NotifySettings
from activities.notifications.templates.template_set import Source, Wording
from placet.errors import Unavailable
from storage.database import Database
from storage.queries.notifications import delivery_queue, facts, notification_templates
from storage.queries.notifications.backlog import backlogs
from storage.queries.notifications.delivery_queue import Finish
from storage.recording import outbox
from storage.recording.group_commit import GroupCommit

log = logging.getLogger(__name__)

CONFIRMING, PLANNING, WEBHOOKS = "confirming", "planning", "webhooks"
MOST_PLANNED = 100
SHORTEST_WAIT = 0.05  # seconds; what the wait between looks starts from, and doubles
TEMPLATES_AGAIN = 2.0  # seconds
WARN_AGAIN = 60.0  # seconds
GATHER = 0.05  # seconds; what comes within them shares the next step, which saved an eighth of the CPU of an approval


class Dispatcher:
    """Send notices until stopped. Any number of them may run, in any processes, on one database."""

    def __init__(
        self,
        database: Database,
        channels: Sequence[Channel],
        confirm: Confirm,
        settings: NotifySettings,
        *,
        links: Links | None = None,
        secrets: Secrets | None = None,
    ) -> None:
        """Take the channels that are set up.

        `links` makes one-click links for mails that ask for a decision; with `secrets`, webhooks are sent as well.
        """
        self._database = database
        self._inquiry = Inquiry(confirm)
        self._settings = settings
        self._wording = Wording()
        self._channels = {channel.name: channel for channel in channels}
        self._channels.setdefault(MAIL, NotSetUp(MAIL, "set PLACET_SMTP_HOST"))
        commits: GroupCommit[Finish] = GroupCommit(
            database, delivery_queue.finish_all, key=lambda finish: (finish.key, finish.channel)
        )
        self._lanes = [
            ChannelDelivery(
                name, Writer(channel, database, self._wording, settings, links=links), database, commits, settings
            )
            for name, channel in self._channels.items()
        ]
        self._news = {name: asyncio.Event() for name in (CONFIRMING, PLANNING, WEBHOOKS, *self._channels)}
        self._stopping = asyncio.Event()
        self._feed = None if secrets is None else Feed(database, self._inquiry, commits, secrets, settings)
        self._templates_at = 0.0

    @property
    def down(self) -> list[str]:
        """Name the channels that are known not to work at the moment."""
        return [lane.name for lane in self._lanes if lane.down]

    def wake(self) -> None:
        """Look into the outbox at once: something was written or confirmed in this process."""
        for news in self._news.values():
            news.set()

    def stop(self) -> None:
        """Let `run` return once the messages that are on their way have arrived."""
        self._stopping.set()
        self.wake()
        if self._feed is not None:
            self._feed.changed.set()

    async def run(self) -> None:
        """Send until stopped. What fails is logged and tried again; nothing ends the dispatcher."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(CONFIRMING, self._confirm_held, PLANNING))
                group.create_task(self._repeat(PLANNING, self._plan, *self._channels))
                group.create_task(self._watch())
                for lane in self._lanes:
                    group.create_task(self._repeat(lane.name, lane.step))
                if self._feed is not None:
                    group.create_task(self._repeat(WEBHOOKS, self._feed.step))
                    group.create_task(self._hooks(self._feed, group))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _watch(self) -> None:
        """Warn of what waits too long, again and again while it does."""
        while not self._stopping.is_set():
            try:
                await self._warn()
            except Unavailable as error:
                log.warning("how long notices wait is not known: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(WARN_AGAIN, self._settings.notify_warn_after))

    async def _warn(self) -> None:
        now = datetime.now(UTC)
        async with self._database.session() as session:
            found = await backlogs(session, now)
        for channel, backlog in sorted(found.items()):
            if (waited := backlog.waited(now)) > timedelta(seconds=self._settings.notify_warn_after):
                log.warning("%s: %d notices wait, the oldest for %s", channel, backlog.number, waited)

    async def _hooks(self, feed: Feed, group: asyncio.TaskGroup) -> None:
        """Keep one lane running for each endpoint, as they come and go."""
        running: dict[ChannelDelivery, asyncio.Event] = {}
        while not self._stopping.is_set():
            wanted = feed.lanes
            for lane in [lane for lane in running if lane not in wanted]:
                # Its last step is left to end: what it sends now has to be noted.
                running.pop(lane).set()
            for lane in wanted:
                if lane not in running:
                    running[lane] = asyncio.Event()
                    self._news[lane.name] = asyncio.Event()
                    group.create_task(self._repeat(lane.name, lane.step, ended=running[lane]))
            feed.changed.clear()
            await feed.changed.wait()

    async def _repeat(
        self, name: str, step: Callable[[], Awaitable[bool]], *following: str, ended: asyncio.Event | None = None
    ) -> None:
        """Do a step again and again: after GATHER where there is more, else soon, and ever later up to the poll time.

        Whatever a step has moved on concerns the steps that follow it, which are woken.
        """
        news = self._news[name]
        wait = SHORTEST_WAIT
        while not self._stopping.is_set() and not (ended is not None and ended.is_set()):
            try:
                more = await step()
            except Unavailable as error:
                log.warning("notifications (%s) wait for the database: %s", name, error)
                more = False
            except Exception:
                log.exception("notifications (%s) failed; they will be tried again", name)
                more = False
            if more:
                wait = SHORTEST_WAIT
                for other in following:
                    self._news[other].set()
                await asyncio.sleep(GATHER)
                continue
            try:
                await asyncio.wait_for(news.wait(), wait)
            except TimeoutError:
                wait = min(wait * 2, self._settings.notify_poll)
            else:
                wait = SHORTEST_WAIT
                news.clear()

    async def _confirm_held(self) -> bool:
        """Ask the engine about notices that nobody has confirmed, one question for each request."""
        before = datetime.now(UTC) - timedelta(seconds=self._settings.notify_confirm_after)
        async with self._database.session() as session:
            waiting = await outbox.held(session, before=before, limit=MOST_ASKED + self._inquiry.doubtful)
        answers = await self._inquiry.ask(waiting)
        if not answers:
            return False
        await self._database.run(outbox.confirm_all, answers)
        async with self._database.session() as session:
            still = set(await outbox.held(session, before=before, limit=MOST_ASKED + self._inquiry.doubtful))
        for answer in answers:
            self._inquiry.settle(answer.request_id, confirmed=answer.request_id not in still)
        return any(answer.request_id not in still for answer in answers)

    async def _plan(self) -> bool:
        """Decide for each notice over which channels it goes, and when."""
        await self._read_templates()
        now = datetime.now(UTC)
        async with self._database.session() as session:
            rows = await delivery_queue.plannable(session, now, limit=MOST_PLANNED)
            if not rows:
                return False
            people = await facts.people(session, (row.person for row in rows))
        plans = [(row, chosen(people.get(row.person)).leaves(row.event, self._channels, now)) for row in rows]
        await self._database.run(delivery_queue.plan, plans, now)
        return True

    async def _read_templates(self) -> None:
        if time.monotonic() - self._templates_at < TEMPLATES_AGAIN:
            return
        async with self._database.session() as session:
            rows = await notification_templates.in_force(session)
        self._wording.change(
            {
                name: Source(name=name, version=row.version, subject=row.subject, text=row.text, html=row.html)
                for name, row in rows.items()
            }
        )
        self._templates_at = time.monotonic()

"""The dispatcher: confirm what history holds, plan it for each person, and let every channel carry its share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from activities.notify.channel import Channel
from activities.notify.lane import Lane
from activities.notify.preferences import MAIL
from activities.notify.settings import NotifySettings
from activities.notify.unset import NotSetUp
from activities.notify.wording import Source, Wording
from activities.notify.writer import Links, Writer, chosen
from placet.errors import Unavailable
from storage import notification_facts, notifications, outbox, wordings
from storage.database import Database
from storage.group import GroupCommit
from storage.notifications import Finish
from storage.outbox import Confirmation

log = logging.getLogger(__name__)

Confirm = Callable[[str], Awaitable[tuple[int, str] | None]]
"""Ask the engine how far its history holds a request's audit chain: (seq, head), or None where it cannot tell."""

MOST_PLANNED = 100
MOST_ASKED = 50
ASKED_AT_ONCE = 8
SHORTEST_WAIT = 0.05  # seconds; what the wait between looks starts from, and doubles
ASK_AGAIN_MOST = 300.0  # seconds between two questions about a request that history does not confirm
TEMPLATES_AGAIN = 2.0  # seconds


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
    ) -> None:
        """Take the channels that are set up; `links` makes one-click links for mails that ask for a decision."""
        self._database = database
        self._confirm = confirm
        self._settings = settings
        self._wording = Wording()
        self._channels = {channel.name: channel for channel in channels}
        self._channels.setdefault(MAIL, NotSetUp(MAIL, "set PLACET_SMTP_HOST"))
        commits: GroupCommit[Finish] = GroupCommit(
            database, notifications.finish_all, key=lambda finish: finish.request_id
        )
        self._commits = commits
        self._lanes = [
            Lane(name, Writer(channel, database, self._wording, settings, links=links), database, commits, settings)
            for name, channel in self._channels.items()
        ]
        self._news = [asyncio.Event()]
        self._stopping = asyncio.Event()
        self._ask_again: dict[str, tuple[float, float]] = {}  # request -> (monotonic moment, wait)
        self._templates_at = 0.0

    @property
    def down(self) -> list[str]:
        """Name the channels that are known not to work at the moment."""
        return [lane.name for lane in self._lanes if lane.down]

    def wake(self) -> None:
        """Look into the outbox at once: something was written or confirmed in this process."""
        for event in self._news:
            event.set()

    def stop(self) -> None:
        """Let `run` return once the messages that are on their way have arrived."""
        self._stopping.set()
        self.wake()

    async def run(self) -> None:
        """Send until stopped. What fails is logged and tried again; nothing ends the dispatcher."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat("confirming", self._confirm_held))
                group.create_task(self._repeat("planning", self._plan))
                for lane in self._lanes:
                    group.create_task(self._repeat(lane.name, lane.step))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _repeat(self, name: str, step: Callable[[], Awaitable[bool]]) -> None:
        """Do a step again and again: at once where there is more, else soon, and ever later up to the poll time."""
        news = asyncio.Event()
        self._news.append(news)
        wait = SHORTEST_WAIT
        while not self._stopping.is_set():
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
                # The others want to see at once what this step has moved on.
                self.wake()
                news.clear()
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
            waiting = await outbox.held(session, before=before, limit=MOST_ASKED + len(self._ask_again))
        self._ask_again = {r: again for r, again in self._ask_again.items() if r in waiting}
        now = time.monotonic()
        asked = [r for r in waiting if self._ask_again.get(r, (0.0, 0.0))[0] <= now][:MOST_ASKED]
        if not asked:
            return False
        room = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(request_id: str) -> Confirmation | None:
            async with room:
                try:
                    answer = await self._confirm(request_id)
                except Exception as error:
                    log.warning("the engine did not say how far its history of %s goes: %r", request_id, error)
                    return None
            return None if answer is None else Confirmation(request_id=request_id, seq=answer[0], head=answer[1])

        answers = [answer for answer in await asyncio.gather(*map(ask, asked)) if answer is not None]
        if answers:
            async with self._database.connection() as connection:
                await connection.run_sync(outbox.confirm_all, answers)
        async with self._database.session() as session:
            still = set(await outbox.held(session, before=before, limit=MOST_ASKED + len(self._ask_again)))
        for request_id in asked:
            wait = min(2 * self._ask_again.get(request_id, (0.0, 0.5))[1], ASK_AGAIN_MOST)
            if request_id in still:
                self._ask_again[request_id] = (time.monotonic() + wait, wait)
            else:
                self._ask_again.pop(request_id, None)
        return any(request_id not in still for request_id in asked)

    async def _plan(self) -> bool:
        """Decide for each notice over which channels it goes, and when."""
        await self._read_templates()
        now = datetime.now(UTC)
        async with self._database.session() as session:
            rows = await notifications.plannable(session, now, limit=MOST_PLANNED)
            if not rows:
                return False
            people = await notification_facts.people(session, (row.person for row in rows))
        plans = [(row, chosen(people.get(row.person)).leaves(row.event, self._channels, now)) for row in rows]
        async with self._database.connection() as connection:
            await notifications.plan(connection, plans, now)
        return True

    async def _read_templates(self) -> None:
        if time.monotonic() - self._templates_at < TEMPLATES_AGAIN:
            return
        async with self._database.session() as session:
            rows = await wordings.in_force(session)
        self._wording.change(
            {
                name: Source(name=name, version=row.version, subject=row.subject, text=row.text, html=row.html)
                for name, row in rows.items()
            }
        )
        self._templates_at = time.monotonic()

"""Look at the database: whether it answers, its schema and clock, what waits to be sent, and the transparency log."""

from __future__ import annotations

import time
from datetime import timedelta

from cli.checkup.check import Bad, Finding, Unseen
from cli.installation import require_installation
from service.erasure.erasing import missing
from service.erasure.ledger import read_ledger
from storage.clock import time_of
from storage.database import Database
from storage.migrate import is_of_newer, newest, revision
from storage.queries import transparency_log
from storage.queries.notifications.backlog import backlogs
from storage.retention import erasures
from worker.settings import Settings

CLOCK_SECONDS = 2.0
"""By how much clocks may differ."""
LONGEST_WAIT = timedelta(minutes=15)
"""How long a notification that could leave may wait, and what was recorded may be under no checkpoint."""


class Stored:
    """The database as the checks read it: as it is, without making or migrating it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Database | None = None
        self._current = False

    async def answers(self) -> Finding:
        """Whether there is a database, and answers."""
        self._opened = Database(require_installation(self._settings).database)
        await self._database.check()
        return self._database.url.render_as_string(hide_password=True)

    @property
    def current(self) -> Database | None:
        """The database where its schema is the one of this code."""
        return self._opened if self._current else None

    @property
    def _database(self) -> Database:
        if self._opened is None:
            raise RuntimeError("the database has to answer before it is read")
        return self._opened

    async def close(self) -> None:
        """Close what was opened."""
        if self._opened is not None:
            await self._opened.close()

    async def schema(self) -> Finding:
        """Whether its schema is the one that this code works with."""
        found = await self._database.read(revision)
        if found == newest():
            self._current = True
            return f"revision {found}"
        if found is None:
            return Bad(found="the database holds no tables of Placet")
        if is_of_newer(found):
            return Bad(
                found=f"revision {found} is of a newer release than this one ({newest()})",
                remedy="Use the release that has written it, or restore the backup of before the upgrade.",
            )
        return Bad(found=f"revision {found}, and this release needs {newest()}")

    async def clock(self) -> Finding:
        """Whether its clock agrees with the one of this machine."""
        if self._database.url.get_backend_name() == "sqlite":
            return "the database has this machine's clock"
        before = time.time()
        there = await self._database.read(time_of)
        apart = there.timestamp() - (before + time.time()) / 2
        said = f"the database is {abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} this machine"
        return said if abs(apart) <= CLOCK_SECONDS else Bad(found=said)

    async def outbox(self) -> Finding:
        """Whether notifications leave."""
        if not self._current:
            return Unseen(why="the schema is another one")
        now = self._database.now()
        waiting = await self._database.read(backlogs, now)
        if not waiting:
            return "nothing waits to be sent"
        said = "; ".join(
            f"{channel}: {backlog.number} wait, the oldest for {backlog.waited(now).total_seconds():.0f} s"
            for channel, backlog in sorted(waiting.items())
        )
        late = any(backlog.waited(now) > LONGEST_WAIT for backlog in waiting.values())
        return Bad(found=said) if late else said

    async def log(self) -> Finding:
        """Whether the transparency log grows."""
        if not self._current:
            return Unseen(why="the schema is another one")
        last = await self._database.read(transparency_log.last_checkpoint)
        behind = await self._database.read(transparency_log.behind, self._database.now())
        if last is None:
            return "no checkpoint yet: nothing has been recorded for longer than a minute"
        said = (
            f"checkpoint {last.number} over {last.tree_size} leaves; all is in it that was recorded until "
            f"{behind.total_seconds():.0f} s ago"
        )
        return Bad(found=said) if behind > LONGEST_WAIT else said

    async def erasures(self) -> Finding:
        """Whether everybody who was erased is so in this database, which may be an older one that was restored."""
        if not self._current:
            return Unseen(why="the schema is another one")
        unknown = await missing(self._database, read_ledger(self._settings.home))
        if unknown:
            return Bad(
                found="this database still has people who were erased, so it was restored from an older backup: "
                + ", ".join(one.person for one in unknown)
            )
        waiting = await self._database.read(erasures.incomplete)
        return f"some of it waits: {', '.join(waiting)}" if waiting else "none waits"

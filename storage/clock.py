"""What time it is for the database, which all processes that use it share, whatever the clocks of their machines say.

What one process stores, another one finds due, late or expired. Were each to go by its own clock, a message would wait
until the slowest of them has come so far, and a lease would end early for the fastest.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

ASKED_AGAIN_AFTER = 60.0  # seconds: two machines' clocks drift apart by some milliseconds in that time


def time_of(connection: Connection) -> datetime:
    """Return the time of the database, also where a transaction has been going on for long.

    A file of SQLite is on this machine, so its time is this machine's.
    """
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


class SharedClock:
    """The time of the database, without a question each time.

    PostgreSQL is asked once a minute, in a transaction that is carried out anyway. In between its time goes on by the
    monotonic clock of this machine, which nobody sets. Before the first transaction it is the time of this machine.
    """

    def __init__(self, dialect: str) -> None:
        self._follows = dialect == "postgresql"
        self._asked: tuple[datetime, float] | None = None  # what was answered, and when by the monotonic clock

    def now(self) -> datetime:
        """Return the time."""
        asked = self._asked
        if asked is None:
            return datetime.now(UTC)
        at, then = asked
        return at + timedelta(seconds=time.monotonic() - then)

    def follow(self, connection: Connection) -> None:
        """Ask the database at the beginning of a transaction, where it was not asked for a while."""
        if not self._follows or (self._asked is not None and time.monotonic() - self._asked[1] < ASKED_AGAIN_AFTER):
            return
        before = time.monotonic()
        there = time_of(connection)
        self._asked = there, (before + time.monotonic()) / 2

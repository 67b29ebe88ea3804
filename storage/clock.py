"""What time it is for the database, which all processes that use it share, whatever the clocks of their machines say.

What one process stores, another one finds due, late or expired. Were each to go by its own clock, a message would wait
until the slowest of them has come so far, and a lease would end early for the fastest.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

ASKED_AGAIN_AFTER = 60.0  # seconds: two machines' clocks drift apart by some milliseconds in that time
QUICK = 1.0  # seconds in which an answer comes; a slower one is asked for again


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

    PostgreSQL is asked once a minute, in a transaction that is carried out anyway. In between its time goes on by a
    clock of this machine that nobody sets. Before the first transaction it is the time of this machine.
    """

    def __init__(self, dialect: str) -> None:
        self._follows = dialect == "postgresql"
        self._asked: tuple[datetime, float] | None = None  # what was answered, and when by `_passed`

    def now(self) -> datetime:
        """Return the time."""
        asked = self._asked
        if asked is None:
            return datetime.now(UTC)
        at, then = asked
        return at + timedelta(seconds=_passed() - then)

    def follow(self, connection: Connection) -> None:
        """Ask the database at the beginning of a transaction, where it was not asked for a while."""
        if not self._follows or (self._asked is not None and _passed() - self._asked[1] < ASKED_AGAIN_AFTER):
            return
        before = _passed()
        there = time_of(connection)
        took = _passed() - before
        if self._asked is None or took < QUICK:  # else nobody knows when in that time it was answered
            self._asked = there, before + took / 2


def _passed() -> float:
    """Return the seconds since some moment, also those in which the machine was suspended, where it counts them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()

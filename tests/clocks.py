"""Clocks of machines that are wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

AHEAD = timedelta(hours=2)


def machine_time() -> datetime:
    """Return what time it is for this machine: all there is of clocks in a test of one process."""
    return datetime.now(UTC)


class Ahead(datetime):
    """The clock of a machine that is two hours ahead, in the place of `datetime` in a module that reads it."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment, as stored
        """Return the wrong time."""
        return datetime.now(tz) + AHEAD

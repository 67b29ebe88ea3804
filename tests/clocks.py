"""Clocks of machines that are wrong."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

AHEAD = timedelta(hours=2)


class Ahead(datetime):
    """The clock of a machine that is two hours ahead, in the place of `datetime` in a module that reads it."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment, as stored
        """Return the wrong time."""
        return datetime.now(tz) + AHEAD

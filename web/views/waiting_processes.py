"""The processes that the filter of the inbox offers: those of which tasks wait for the reader.

Finding them reads up to a thousand tasks, which is most of what an inbox of very many costs, and they seldom change. So
they are kept for a short time; a page adds the processes of the tasks that it shows.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy import Connection

from storage.queries.requests import inbox
from storage.queries.requests.visibility import Visibility

KEPT = timedelta(seconds=30)
_MOST = 2_000  # readers


class WaitingProcesses:
    """The processes of each reader, as this process of Placet has found them lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[Visibility, tuple[datetime, tuple[str, ...]]] = OrderedDict()
        self._lock = Lock()  # pages are read on several threads

    def of(self, connection: Connection, reader: Visibility, now: datetime) -> tuple[str, ...]:
        """Return the processes of which tasks wait for this reader, as they were at most `KEPT` ago."""
        with self._lock:
            found_at, processes = self._known.get(reader, (None, ()))
        if found_at is not None and abs(now - found_at) <= KEPT:
            return processes
        processes = inbox.templates_waiting(connection, reader)
        with self._lock:
            self._known[reader] = now, processes
            self._known.move_to_end(reader)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return processes

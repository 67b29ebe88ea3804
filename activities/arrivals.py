"""Who waits for a request's opening record, and the word that it is there, where recorder and API share a process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Arrivals:
    """Pass on which requests were recorded, within one event loop.

    It saves looking: a request may as well be recorded by a worker elsewhere, which tells nobody here.
    """

    def __init__(self) -> None:
        self.told = False
        """Whether a recorder of this process tells here."""
        self._waiting: dict[str, list[asyncio.Event]] = {}

    @contextmanager
    def expecting(self, request_id: str) -> Iterator[asyncio.Event]:
        """Give what is set once the request is recorded; begin before anybody can record it."""
        arrived = asyncio.Event()
        self._waiting.setdefault(request_id, []).append(arrived)
        try:
            yield arrived
        finally:
            waiting = self._waiting[request_id]
            waiting.remove(arrived)
            if not waiting:
                del self._waiting[request_id]

    def tell(self, request_id: str) -> None:
        """Say that something about the request was recorded."""
        for arrived in self._waiting.get(request_id, ()):
            arrived.set()

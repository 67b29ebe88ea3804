"""Ask the engine how far its history goes: once for each request, and ever more rarely where it has no answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from storage.recording.outbox import Confirmation

log = logging.getLogger(__name__)

Confirm = Callable[[str], Awaitable[tuple[int, str] | None]]
"""Ask the engine up to which entry its history holds a request's audit chain: (seq, head), or None if unknown."""

Tell = Callable[[str], Awaitable[object]]
"""Tell a request in the engine that more of it is stored than history holds; it looks and takes that back."""

MOST_ASKED = 50
ASKED_AT_ONCE = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 300.0  # seconds between two questions about an unconfirmed request
MOST_REMEMBERED = 5_000
LONG = 64.0  # seconds between two questions; that far apart they are 30 s after the first, and no lost event comes then


class HistoryConfirmation:
    """Asks the engine, some requests at a time, and remembers which requests it did not confirm."""

    def __init__(self, confirm: Confirm, tell: Tell) -> None:
        self._confirm = confirm
        self._tell = tell
        self._room = asyncio.Semaphore(ASKED_AT_ONCE)
        self._again: dict[str, tuple[float, float]] = {}  # request -> (moment to ask again, wait after that)

    @property
    def unconfirmed(self) -> int:
        """The number of requests that history did not confirm when it was asked."""
        return len(self._again)

    def postponed(self) -> list[str]:
        """List the requests whose next question is not due yet."""
        now = time.monotonic()
        return [request_id for request_id, (moment, _) in self._again.items() if moment > now]

    def seconds_until_next(self) -> float | None:
        """Return how long until a question may be asked again that had no answer, or None without any."""
        if not self._again:
            return None
        return max(0.0, min(moment for moment, _ in self._again.values()) - time.monotonic())

    async def ask(self, requests: Sequence[str]) -> list[Confirmation]:
        """Return the engine's answers about those of these requests whose question is due."""
        later = set(self.postponed())
        asked = [request_id for request_id in requests if request_id not in later][:MOST_ASKED]
        answers = await asyncio.gather(*map(self._ask, asked))
        return [answer for answer in answers if answer is not None]

    def note_answer(self, request_id: str, *, confirmed: bool) -> None:
        """Note whether an answer agreed with the store. If not, the next question is asked later."""
        _, wait = self._again.pop(request_id, (0.0, FIRST_WAIT))
        if confirmed:
            return
        if len(self._again) >= MOST_REMEMBERED:
            self._again.pop(next(iter(self._again)))
        self._again[request_id] = (time.monotonic() + wait, min(2 * wait, LONGEST_WAIT))

    def unconfirmed_for_long(self, request_id: str) -> bool:
        """Tell whether history has not confirmed a request for so long that what is stored may be of a lost event."""
        return request_id in self._again and self._again[request_id][1] >= LONG

    async def tell(self, requests: Sequence[str]) -> None:
        """Tell these requests that more of them is stored than history holds. Whom that misses is told again."""
        await asyncio.gather(*map(self._tell_one, requests))

    async def _tell_one(self, request_id: str) -> None:
        async with self._room:
            try:
                await self._tell(request_id)
            except Exception as error:
                log.warning("request %s could not be told that more of it is stored: %r", request_id, error)

    async def _ask(self, request_id: str) -> Confirmation | None:
        async with self._room:
            try:
                answer = await self._confirm(request_id)
            except Exception as error:
                log.warning("the engine did not answer how far its history of request %s goes: %r", request_id, error)
                answer = None
        if answer is None:
            self.note_answer(request_id, confirmed=False)
            return None
        return Confirmation(request_id=request_id, seq=answer[0], head=answer[1])

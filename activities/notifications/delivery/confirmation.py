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

MOST_ASKED = 50
ASKED_AT_ONCE = 8
FIRST_WAIT, LONGEST_WAIT = 0.5, 300.0  # seconds between two questions about an unconfirmed request
MOST_REMEMBERED = 5_000


class HistoryConfirmation:
    """Asks the engine, some requests at a time, and remembers which requests it did not confirm."""

    def __init__(self, confirm: Confirm) -> None:
        self._confirm = confirm
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

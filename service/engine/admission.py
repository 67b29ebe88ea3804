"""Admission: a limit of concurrent calls to the engine. Other calls wait in a fair queue, or are refused as busy.

Every start and every update is a few transactions of the engine's database, which carries them out one after the other.
Sent all together they wait there instead, where a queue of a second already loses work: the engine gives up handing a
workflow task to a worker after one second, though it has noted that the worker has it, and nobody does it before that
task's timeout of ten seconds. A queue here costs nothing of that, and callers take turns in it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from placet.errors import Busy, Stopping
from placet.sentences import sentence

# Enough to keep an engine busy, and few enough that each is through within a fraction of a second.
AT_ONCE = 16
# Of one request at once: its events are carried out one after the other anyway, and one that hangs must not take all.
AT_ONE = 4
# How many may wait, in all and of one caller; more are refused at once.
MOST_WAITING, MOST_OF_ONE = 2000, 1000
# How long one waits at most, in seconds.
PATIENCE = 30.0
# When those who are refused may come again, in seconds.
RETRY_AFTER = 10

_TOO_MANY = "Too many calls wait for the engine; nothing has happened."


@dataclass(eq=False, slots=True)
class _Waiting:
    about: str
    admitted: bool = False
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Admission:
    """Let so many calls in at once, callers taking turns; for one event loop."""

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        at_one: int = AT_ONE,
        most_waiting: int = MOST_WAITING,
        most_of_one: int = MOST_OF_ONE,
        patience: float = PATIENCE,
    ) -> None:
        self._at_once = at_once
        self._at_one = at_one
        self._most_waiting = most_waiting
        self._most_of_one = most_of_one
        self._patience = patience
        self._closed = False
        self._inside = 0
        self._about: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()  # by caller, whose turn is next first

    @property
    def inside(self) -> int:
        """How many are inside."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(map(len, self._waiting.values()))

    @property
    def closed(self) -> bool:
        """Whether everyone is refused, because the process stops."""
        return self._closed

    def close(self) -> None:
        """Refuse those who wait and whoever comes; those inside stay until they are done."""
        self._closed = True
        for mine in self._waiting.values():
            for waiting in mine:
                if not waiting.turn.done():
                    waiting.turn.set_exception(Stopping())

    @asynccontextmanager
    async def turn(self, caller: str, about: str) -> AsyncIterator[None]:
        """Wait for a turn and keep it while the block runs; `about` is the request that the call concerns.

        Raises Busy where too many wait already or the turn does not come in time, and Stopping where the process ends;
        nothing of the block has run then.
        """
        await self._enter(caller, about)
        try:
            yield
        finally:
            self._leave(about)

    async def _enter(self, caller: str, about: str) -> None:
        if self._closed:
            raise Stopping
        if self._free(about):  # then none who waits could go in instead
            self._take(about)
            return
        mine = len(self._waiting.get(caller, ()))
        if self.waiting >= self._most_waiting or mine >= self._most_of_one:
            raise Busy(
                sentence(
                    "{too_many} {waiting} calls wait here, {mine} of them yours.",
                    too_many=_TOO_MANY,
                    waiting=self.waiting,
                    mine=mine,
                ),
                retry_after=RETRY_AFTER,
            )
        waiting = _Waiting(about)
        self._waiting.setdefault(caller, deque()).append(waiting)
        try:
            async with asyncio.timeout(self._patience):
                await waiting.turn
        except BaseException as error:
            if waiting.admitted:
                self._leave(about)  # its turn came at the same moment
            else:
                self._forget(caller, waiting)
            if isinstance(error, TimeoutError):
                waited = f"This one has waited for {self._patience:g} seconds."
                raise Busy(
                    sentence("{too_many} {waited}", too_many=_TOO_MANY, waited=waited), retry_after=RETRY_AFTER
                ) from None
            raise

    def _free(self, about: str) -> bool:
        return self._inside < self._at_once and self._about[about] < self._at_one

    def _take(self, about: str) -> None:
        self._inside += 1
        self._about[about] += 1

    def _leave(self, about: str) -> None:
        self._inside -= 1
        self._about[about] -= 1
        if not self._about[about]:
            del self._about[about]
        self._admit()

    def _admit(self) -> None:
        """Let in the one who may come now that one has left; the callers take turns."""
        for caller, mine in self._waiting.items():
            for waiting in mine:
                if self._free(waiting.about) and not waiting.turn.done():
                    self._take(waiting.about)
                    waiting.admitted = True
                    waiting.turn.set_result(None)
                    self._waiting.move_to_end(caller)
                    self._forget(caller, waiting)
                    return

    def _forget(self, caller: str, waiting: _Waiting) -> None:
        mine = self._waiting[caller]
        mine.remove(waiting)
        if not mine:
            del self._waiting[caller]

"""Threads that carry out what coroutines wait for: the least that a change of threads can cost.

`ThreadPoolExecutor` makes a future, a condition and a chain of callbacks for each piece of work, which costs more than
reading a row does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")
_Work = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Threads:
    """Up to so many threads, which take what waits in its order. They end with the process, or at `shutdown`."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._started: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._closed = False

    def run(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """Have work carried out, and return the future of its result on the running loop; cancel it to give it up.

        What has begun comes to its end, cancelled or not.
        """
        if self._closed:
            raise RuntimeError(f"The threads {self._name} have been shut down")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._waiting.put((work, done, loop))
        if len(self._started) < self._most:
            self._start_one()
        return done

    def shutdown(self) -> None:
        """Refuse more work, and return once all that waits has been carried out."""
        self._closed = True
        for _ in self._started:
            self._waiting.put(None)
        for thread in self._started:
            thread.join()

    def _start_one(self) -> None:
        with self._starting:
            number = len(self._started)
            if number < self._most:
                thread = threading.Thread(target=self._carry_out, name=f"{self._name}_{number}", daemon=True)
                self._started.append(thread)
                thread.start()

    def _carry_out(self) -> None:
        while (next_ := self._waiting.get()) is not None:
            work, done, loop = next_
            # Nobody else takes it out of the queue, so whoever gives it up from here on has had it begun.
            if not done.cancelled():
                result: Any = None
                failure: BaseException | None = None
                try:
                    result = work()
                except BaseException as error:
                    failure = error
                with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                    loop.call_soon_threadsafe(_settle, done, result, failure)
                del result, failure
            del next_, work, done  # what they hold is not kept until there is more to do


def _settle(done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)

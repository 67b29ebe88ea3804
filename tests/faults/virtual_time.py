"""Virtual time: an event loop without sockets and threads, and the clocks that the product reads, set by it."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import random
import sys
import time
import uuid
from asyncio import events
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
# Packages whose modules read a clock or draw at random where the simulation runs them.
_READERS = (
    "activities.notifications.delivery",
    "activities.audit",
    "activities.due_moment",
    "activities.directory",
    "storage.clock",
    "storage.recording",
    "storage.queries.notifications",
)


_MOST_CANCELLED = 100  # timers that stay in the heap, as in asyncio


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time stands still until `advance`, and whose threads are function calls."""

    def __init__(self) -> None:
        super().__init__()
        self._timer_cancelled_count = 0
        self._now = 0.0
        self.now = START  # the virtual moment
        self._clock_resolution = 1e-9
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        """Return the seconds since the start."""
        return self._now

    def settle(self) -> None:
        """Run until everything waits for a choice or for time to pass, in the order of the base class."""
        ready: deque[asyncio.Handle] = self._ready  # type: ignore[attr-defined]
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not ready and not (scheduled and scheduled[0]._when <= self._now):  # type: ignore[attr-defined]
            return
        events._set_running_loop(self)
        try:
            while True:
                self._add_due(ready)
                for _ in range(len(ready)):
                    handle = ready.popleft()
                    if not handle._cancelled:
                        handle._run()
                if not ready:
                    break
        finally:
            events._set_running_loop(None)

    def _add_due(self, ready: deque[asyncio.Handle]) -> None:
        """Add the timers that are due, without looking for anything outside: nothing comes from there."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if len(scheduled) > _MOST_CANCELLED and self._timer_cancelled_count > len(scheduled) / 2:
            for handle in scheduled:
                handle._scheduled = not handle._cancelled  # type: ignore[attr-defined]
            scheduled[:] = [handle for handle in scheduled if handle._scheduled]  # type: ignore[attr-defined]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        self.next_timer()
        end = self._now + self._clock_resolution
        while scheduled and scheduled[0]._when < end:  # type: ignore[attr-defined]
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            ready.append(handle)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop inside; nothing is run."""
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(None)

    def next_timer(self) -> float | None:
        """Return when the next timer is due, or None without any."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count = max(0, self._timer_cancelled_count - 1)
        return scheduled[0].when() if scheduled else None

    def call_soon(  # type: ignore[override]  # the base class types each argument
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Have a function called in the next round."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def advance(self, to: float) -> None:
        """Let time pass."""
        if to > self._now:
            self._now, self.now = to, START + timedelta(seconds=to)

    def close(self) -> None:
        """Forget what is left."""
        self._closed = True
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]

    def run_in_executor(  # type: ignore[override]  # done at once, so the future is the loop's own
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Call the function now."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def _process_events(self, _events: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in another thread."""


class _AsDatetime(type):
    """Takes every datetime for an instance of the stand-in."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


class _Moment(datetime, metaclass=_AsDatetime):
    """The datetime class whose `now` is the loop's."""

    loop: ClassVar[VirtualLoop]

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment, as stored
        return cls.loop.now if tz is UTC else cls.loop.now.astimezone(tz)


@contextmanager
def clocks(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """Have the modules that record and deliver read the loop's time, and draw at random from the seed."""
    rng = random.Random(seed)
    _Moment.loop = loop
    stand_ins: dict[str, Any] = {
        "datetime": _Moment,
        "time": SimpleNamespace(monotonic=loop.time),
        "random": rng,
        "uuid": SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=f"{rng.getrandbits(128):032x}")),
    }
    readers = _readers(len(sys.modules))
    try:
        for module, name in readers:
            setattr(module, name, stand_ins[name])
        yield
    finally:
        for module, name in readers:
            setattr(module, name, _REAL[name])


_REAL: dict[str, Any] = {"datetime": datetime, "time": time, "random": random, "uuid": uuid}


@lru_cache(maxsize=1)
def _readers(_modules: int) -> list[tuple[ModuleType, str]]:
    """List what is replaced, and in which modules; looked for again once more modules are loaded."""
    return [
        (module, name)
        for module_name, module in sorted(sys.modules.items())
        if module_name.startswith(_READERS)
        for name, real in _REAL.items()
        if getattr(module, name, None) is real and f"{name}." in _source(module)
    ]


@cache
def _source(module: ModuleType) -> str:
    return inspect.getsource(module) if getattr(module, "__file__", None) else ""

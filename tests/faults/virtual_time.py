"""Virtual time: an event loop without sockets and threads, and the clocks that the product reads, set by it."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import random
import sys
import uuid
from asyncio import events
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

START = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday
# Packages whose modules read a clock or draw at random where the simulation runs them.
_READERS = (
    "activities.notifications.delivery",
    "activities.audit",
    "activities.due_moment",
    "activities.directory",
    "storage.recording",
    "storage.queries.notifications",
)


class _NoSockets:
    """Stands in for the selector: there is nothing to wait for."""

    def select(self, _timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None:
        """Nothing is open."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose time stands still until `advance`, and whose threads are function calls."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = _NoSockets()
        self._clock_resolution = 1e-9
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        """Return the seconds since the start."""
        return self._now

    @property
    def now(self) -> datetime:
        """The virtual moment."""
        return START + timedelta(seconds=self._now)

    def settle(self) -> None:
        """Run until everything waits for a choice or for time to pass."""
        events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]  # the base class's own step
            while self._ready:  # type: ignore[attr-defined]
                self._run_once()  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(None)

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
        while scheduled and scheduled[0].cancelled():
            handle = heapq.heappop(scheduled)
            handle._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count = max(0, self._timer_cancelled_count - 1)
        return scheduled[0].when() if scheduled else None

    def advance(self, to: float) -> None:
        """Let time pass."""
        self._now = max(self._now, to)

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


@contextmanager
def clocks(loop: VirtualLoop, seed: int) -> Iterator[None]:
    """Have the modules that record and deliver read the loop's time, and draw at random from the seed."""

    class AsDatetime(type):
        """Takes every datetime for an instance of the stand-in."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Moment(datetime, metaclass=AsDatetime):
        """The datetime class whose `now` is the loop's."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain moment, as stored
            return loop.now.astimezone(tz)

    rng = random.Random(seed)
    stand_ins: dict[str, tuple[Any, Any]] = {
        "datetime": (datetime, Moment),
        "time": (sys.modules["time"], SimpleNamespace(monotonic=loop.time)),
        "random": (random, rng),
        "uuid": (uuid, SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=f"{rng.getrandbits(128):032x}"))),
    }
    with _all(
        patch.object(module, name, stand_in)
        for module in _readers()
        for name, (real, stand_in) in stand_ins.items()
        if getattr(module, name, None) is real and f"{name}." in _source(module)
    ):
        yield


@contextmanager
def _all(patches: Iterator[Any]) -> Iterator[None]:
    entered = list(patches)
    for one in entered:
        one.start()
    try:
        yield
    finally:
        for one in reversed(entered):
            one.stop()


def _readers() -> list[ModuleType]:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(_READERS)]


_SOURCES: dict[str, str] = {}


def _source(module: ModuleType) -> str:
    if module.__name__ not in _SOURCES:
        _SOURCES[module.__name__] = inspect.getsource(module) if getattr(module, "__file__", None) else ""
    return _SOURCES[module.__name__]

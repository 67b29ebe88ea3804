"""The supervisor: starts children in order, restarts those that end, and stops all of them in the opposite order."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from cli.supervisor.child import Child, Role
from placet.errors import PlacetError, Unavailable

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0  # seconds before a child is started again; doubles each time
_STEADY = 60.0  # seconds after which a child that ends has run well, and is started again at once
_LONGEST_LINE = 65_536
_LOOK_SECONDS = 600.0  # after which `look_after` is called where nothing happens
_STOPPING = (signal.SIGINT, signal.SIGTERM)

Log = Callable[[str, str], None]


class ToldToStop(Exception):
    """SIGINT or SIGTERM has come."""


class Supervisor:
    """Runs children, one for each role, in this process without threads."""

    def __init__(
        self, log: Log, changed: Callable[[], None] = lambda: None, look_after: Callable[[], None] = lambda: None
    ) -> None:
        """`log` is given a name and a line; `changed` is called when a child that was started again is ready.

        `look_after` is called again and again while the children run.
        """
        self.told: dict[str, dict[str, Any]] = {}
        """What the children have reported of themselves, by their names, with their `pid`."""
        self._log = log
        self._changed = changed
        self._look_after = look_after
        self._children: dict[str, Child] = {}
        self._failed: dict[str, PlacetError] = {}
        self._since: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._due: dict[str, tuple[float, Role]] = {}
        self._lines: defaultdict[str, bytes] = defaultdict(bytes)
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._restarting = False
        self._stopped = False

    @contextmanager
    def watching_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while the block runs. A second one ends everything at once."""
        reading, writing = os.pipe()
        for end in (reading, writing):
            os.set_blocking(end, False)
        before = {number: signal.signal(number, self._signalled) for number in _STOPPING}
        woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._selector.register(reading, selectors.EVENT_READ, lambda: _drain(reading))
        try:
            yield
        finally:
            self._selector.close()
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)

    def start(self, roles: Sequence[Role], seconds: float | None = None) -> None:
        """Start children and return once all are ready.

        Raises the error of one that could not start, Unavailable where that takes too long, and ToldToStop.
        """
        for role in roles:
            self._start(role)
        names = {role.name for role in roles}
        end = None if seconds is None else time.monotonic() + seconds
        while waiting := names - self.told.keys():
            self.look(0.5)
            for name in waiting & self._failed.keys():
                raise self._failed[name]
            for name in waiting - self._children.keys():
                raise Unavailable(f"{name} ended before it was ready; its last lines above say why.")
            if end is not None and time.monotonic() > end:
                raise Unavailable(f"{', '.join(sorted(waiting))} was not ready within {seconds:.0f} seconds.")

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, and start again what ends."""
        self._restarting = True
        with contextlib.suppress(ToldToStop):
            while True:
                self.look(_LOOK_SECONDS)
                self._look_after()

    def look(self, seconds: float | None) -> None:
        """Do what is to be done now; wait for that no longer than so many seconds. Raises ToldToStop."""
        if self._signals and not self._stopped:
            raise ToldToStop
        now = time.monotonic()
        for name, (due, role) in list(self._due.items()):
            if due <= now:
                del self._due[name]
                self._start(role)
            else:
                seconds = min(due - now, due - now if seconds is None else seconds)
        for key, _ in self._selector.select(seconds):
            key.data()

    def stop(self) -> None:
        """End all children, the last tier first; one that takes longer than its grace is killed."""
        self._restarting, self._stopped = False, True
        self._due.clear()
        try:
            self._stop_by_tiers()
        finally:  # whatever goes wrong, none is left
            for child in self._children.values():
                child.kill()

    def _stop_by_tiers(self) -> None:
        for tier in sorted({child.role.tier for child in self._children.values()}, reverse=True):
            mine = [child for child in self._children.values() if child.role.tier == tier]
            for child in mine:
                child.stop()
            end = time.monotonic() + max(child.role.grace for child in mine)
            while left := [child for child in mine if child.role.name in self._children]:
                if time.monotonic() > end:
                    for child in left:
                        child.kill()
                self.look(0.5)

    def _start(self, role: Role) -> None:
        self._failed.pop(role.name, None)
        child = Child(role)
        self._children[role.name] = child
        self._since[role.name] = time.monotonic()
        for readable, act in ((child.log, self._pass_on), (child.reports, self._hear), (child.sentinel, self._bury)):
            self._selector.register(readable, selectors.EVENT_READ, self._of(act, child))

    def _of(self, act: Callable[[Child], object], child: Child) -> Callable[[], None]:
        def unless_buried() -> None:  # by what else happened at the same moment
            if self._children.get(child.role.name) is child:
                act(child)

        return unless_buried

    def _pass_on(self, child: Child) -> bool:
        """Log the whole lines that a child has written; tell whether there was anything."""
        try:
            written = os.read(child.log, _LONGEST_LINE)
        except BlockingIOError:
            return False
        if not written:  # it has ended, and so have those that it started
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.log)
            return False
        *lines, rest = (self._lines[child.role.name] + written).split(b"\n")
        if len(rest) >= _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._lines[child.role.name] = rest
        for line in lines:
            self._log(child.role.name, line.decode(errors="replace"))
        return True

    def _hear(self, child: Child) -> bool:
        """Note what a child reports: that it is ready, or why it cannot start."""
        try:
            report = child.reports.recv() if child.reports.poll() else None
        except EOFError:
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.reports)
            return False
        if report is None:
            return False
        if isinstance(report, PlacetError):
            self._failed[child.role.name] = report
            return True
        self.told[child.role.name] = {"pid": child.pid, **report}
        if self._restarting:
            self._changed()
        return True

    def _bury(self, child: Child) -> None:
        """Note the end of a child, and start it again after a pause where it shall run on."""
        name = child.role.name
        while self._hear(child) or self._pass_on(child):
            pass
        if rest := self._lines.pop(name, b""):
            self._log(name, rest.decode(errors="replace"))
        for readable in (child.log, child.reports, child.sentinel):
            with contextlib.suppress(KeyError):
                self._selector.unregister(readable)
        code = child.close()
        del self._children[name]
        if not self._restarting:
            return
        if time.monotonic() - self._since[name] > _STEADY:
            self._pauses.pop(name, None)
        pause = self._pauses.get(name, FIRST_PAUSE)
        self._pauses[name] = min(2 * pause, LONGEST_PAUSE)
        why = self._failed[name].message if name in self._failed else _ending(code)
        self._log(name, f"has ended ({why}); it is started again in {pause:g} s")
        self._due[name] = (time.monotonic() + pause, child.role)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            for child in self._children.values():
                child.kill()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 4096)


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

"""A child of the supervisor: a forked process that reports when it is ready, and does not outlive the supervisor."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import uvloop

from cli.terminal.logs import write_logs
from placet.errors import PlacetError

_FORK = multiprocessing.get_context("fork")
_PR_SET_PDEATHSIG = 1
_HANDLED = (signal.SIGINT, signal.SIGTERM)

Report = Callable[[dict[str, Any]], None]
Work = Callable[[Report, asyncio.Event], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Role:
    """What one child does. `work` reports when it is ready, and ends in order once the event is set."""

    name: str
    work: Work
    tier: int
    """Children of a lower tier start before and stop after those of a higher one."""
    grace: float
    """Seconds between SIGTERM and SIGKILL."""


class Child:
    """A running child, as the supervisor has it."""

    def __init__(self, role: Role) -> None:
        """Fork it. Only a process without threads may do this."""
        self.role = role
        self.reports, reporting = _FORK.Pipe(duplex=False)
        log, logging = os.pipe()
        os.set_blocking(log, False)
        self.log = log
        self._process: ForkProcess = _FORK.Process(target=_live, args=(role, os.getpid(), reporting, logging))
        try:
            # Until it has its own handlers, what is sent to the child has to wait.
            signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            reporting.close()
            os.close(logging)
        self.pid = self._process.pid or 0
        self.sentinel = self._process.sentinel
        """A descriptor that is readable once the child has ended."""

    def stop(self) -> None:
        """Ask it to end in order."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> int:
        """Give back its descriptors after its end, and return its exit code, negative for a signal."""
        self._process.join()
        code = self._process.exitcode
        self._process.close()
        self.reports.close()
        os.close(self.log)
        return 0 if code is None else code


def _live(role: Role, supervisor: int, reporting: Connection, logging: int) -> None:
    """Run in the child."""
    end_with(supervisor)
    for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(logging, descriptor)
    os.close(logging)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the supervisor stops us in our turn
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
    _show_name(role.name)
    write_logs(role.name)

    async def work() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await role.work(reporting.send, stop)

    try:
        uvloop.run(work())
    except PlacetError as error:
        reporting.send(error)
        raise SystemExit(1) from None


def end_with(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel end this process with its parent, however that ends. Its only thread forked this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os._exit(1)


def _show_name(name: str) -> None:
    """Show the name of the child in the list of processes."""
    if sys.platform == "linux":
        Path("/proc/self/comm").write_text(f"placet-{name}"[:15])

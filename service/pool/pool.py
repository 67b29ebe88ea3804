"""A pool of processes for heavy work on what somebody else wrote: proofs, explorations, imports.

Such work is bounded before it begins (`placet.definition.json_schema.cost`, `placet.definition.limits`), and here
once more: it runs in a process of its own with a limit of memory and of processor time, which may die without taking
the service along. Whoever asked is then told so (TooMuchWork); beyond a number of waiting callers the next one is told
to come again (Busy).

Processes are started when they are first needed, are kept warm, and are ended when nothing has needed them for a while;
none outlives the process that started it (`service.pool.process`). Heavy libraries are loaded in them only. Work is a
function of a module, and what it is given and returns is pickled, so nothing that is held here (a database session, a
lock) can be held meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pickle import dumps, loads
from typing import Any, TypeAlias, TypeVar

from placet.errors import Busy, PlacetError, TooMuchWork, Unavailable
from placet.sentences import sentence

Tell: TypeAlias = Callable[[Any], None]
T = TypeVar("T")

LONGEST_ANSWER = 64_000_000  # bytes
_KEPT_MEGABYTES = 300  # a process that holds more after its work is ended, and the next one starts afresh
_PATIENCE = 10  # seconds on the clock for each second of processor time, which a process gets on a busy machine too
_RETRY_AFTER = 5  # seconds
# What a process needs to find its libraries and read its clock; nothing that is secret.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONTZPATH", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the pool may use."""

    processes: int = 2
    megabytes: int = 512  # of each process, its libraries included
    seconds: int = 60  # of processor time for one piece of work
    waiting: int = 32  # callers that wait for a process; the next one is Busy
    idle_seconds: float = 300.0  # after which an unused process is ended


class WorkFailed(Exception):
    """The work broke off by a fault of ours; the message is the traceback of its process."""


class ProcessPool:
    """The processes of one service. Belongs to one event loop; close it where that ends."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._turns = asyncio.Semaphore(self.limits.processes)
        # One process is always left for work that somebody waits for.
        self._background = asyncio.Semaphore(max(1, self.limits.processes - 1))
        self._threads = ThreadPoolExecutor(self.limits.processes, thread_name_prefix="pool")
        self._idle: list[tuple[_Process, asyncio.TimerHandle]] = []
        self._busy: set[_Process] = set()
        self._waiting: Counter[str] = Counter()  # callers, by who they are
        self._closed = False

    async def run(
        self,
        work: Callable[..., T],
        *arguments: Any,
        tell: Tell | None = None,
        by: str = "",
        seconds: int | None = None,
        background: bool = False,
    ) -> T:
        """Carry work out in a process and return what it returns; where it is cancelled, the process is ended.

        `tell` is called with all that the work tells: the work gets a function of that name. `by` is whose work it is:
        nobody takes more than half of the places. `background`: nobody waits for it, so it waits as long as it takes.

        Raises what the work raises of our own errors, TooMuchWork where it exceeds its limits, Busy where too many
        wait.
        """
        if not background:
            self._admit(by)
        self._waiting[by] += not background
        try:
            async with self._turn(background):
                self._waiting[by] -= not background
                background = True  # no longer counted
                return await self._carry_out(work, arguments, tell, seconds or self.limits.seconds)
        finally:
            self._waiting[by] -= not background
            if not self._waiting[by]:
                del self._waiting[by]

    async def close(self) -> None:
        """End every process; what still runs is broken off."""
        self._closed = True
        for process, timer in self._idle:
            timer.cancel()
            process.end()
        self._idle.clear()
        for process in list(self._busy):
            process.end()
        await asyncio.to_thread(self._threads.shutdown)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that there are now."""
        every = (*(process for process, _ in self._idle), *self._busy)
        return tuple(process.pid for process in every if process.pid)

    @property
    def waiting(self) -> int:
        """How many callers wait for a process."""
        return self._waiting.total()

    def _admit(self, by: str) -> None:
        places = self.limits.waiting
        if self.waiting >= places or (by and self._waiting[by] >= max(1, places // 2)):
            message = f"{self.waiting} calls wait for a proof or a simulation already; nothing has happened"
            raise Busy(sentence("{message}. Try again later.", message=message), retry_after=_RETRY_AFTER)

    @asynccontextmanager
    async def _turn(self, background: bool) -> AsyncIterator[None]:
        if background:
            async with self._background, self._turns:
                yield
        else:
            async with self._turns:
                yield

    async def _carry_out(self, work: Callable[..., T], arguments: tuple[Any, ...], tell: Tell | None, most: int) -> T:
        if self._closed:
            raise Unavailable("the pool of processes is closed")
        loop = asyncio.get_running_loop()

        def told(what: Any) -> None:
            if tell is not None:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(tell, what)

        process = self._taken()
        self._busy.add(process)
        try:
            answer = await loop.run_in_executor(
                self._threads, process.carry_out, work, arguments, tell is not None, told, most
            )
        except asyncio.CancelledError:
            process.end()
            raise
        finally:
            self._busy.discard(process)
            self._keep(process, loop)
        if self._closed and answer.kind == "died":
            raise Unavailable("the pool of processes was closed meanwhile")
        found: T = _result(answer, self.limits, most)
        return found

    def _taken(self) -> _Process:
        while self._idle:
            process, timer = self._idle.pop()
            timer.cancel()
            if process.alive:
                return process
            process.end()
        return _Process(self.limits)

    def _keep(self, process: _Process, loop: asyncio.AbstractEventLoop) -> None:
        if self._closed or not process.fit:
            process.end()
            return

        def retire() -> None:
            self._idle = [(one, timer) for one, timer in self._idle if one is not process]
            process.end()

        self._idle.append((process, loop.call_later(self.limits.idle_seconds, retire)))


@asynccontextmanager
async def processes(limits: Limits | None = None) -> AsyncIterator[ProcessPool]:
    """Give a pool of processes while the block runs."""
    pool = ProcessPool(limits)
    try:
        yield pool
    finally:
        await pool.close()


@dataclass(frozen=True, slots=True)
class _Answer:
    """How work ended: `returned` or `raised` with a value, `memory`, `time`, `long` or `died`."""

    kind: str
    value: Any = None


class _Process:
    """One process of the pool, started by its first work. Its methods block: they are called in a thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._leash: int | None = None
        self._ended = False
        self.fit = False  # whether it can take further work

    @property
    def pid(self) -> int:
        """Its id, 0 before it is started."""
        return self._child.pid if self._child is not None else 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.poll() is None

    def carry_out(
        self, work: Callable[..., Any], arguments: tuple[Any, ...], telling: bool, tell: Tell, seconds: int
    ) -> _Answer:
        """Carry work out and say how it ended; afterwards the process is `fit` or has ended."""
        self.fit = False
        job = dumps((work, arguments, telling, seconds))
        if self._child is None:
            self._start()
        assert self._line is not None  # noqa: S101 - it has been started
        try:
            self._line.send_bytes(job)
            while self._line.poll(seconds * _PATIENCE):
                kind, value, megabytes = loads(self._line.recv_bytes())  # noqa: S301 - from our own process
                if kind == "told":
                    tell(value)
                    continue
                self.fit = kind in {"returned", "raised"} and megabytes < _KEPT_MEGABYTES
                return _Answer(kind, value)
        except (OSError, EOFError):
            return _Answer("time" if self._code() == -signal.SIGXCPU else "died", self._code())
        self.end()
        return _Answer("time")

    def end(self) -> None:
        """End the process; again does nothing."""
        if self._ended:
            return
        self._ended, self.fit = True, False
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        if self._leash is not None:
            os.close(self._leash)

    def _code(self) -> int:
        if self._child is None:
            return 0
        try:
            return self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def _start(self) -> None:
        ours, theirs = Pipe()
        held, self._leash = os.pipe()
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", "-m", "service.pool.process"]
                + [str(n) for n in (theirs.fileno(), held, os.getpid(), self._limits.megabytes)],
                pass_fds=(theirs.fileno(), held),
                stdin=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            )
        except OSError as error:
            raise Unavailable(sentence("no process could be started for this: {error}", error=error)) from error
        finally:
            theirs.close()
            os.close(held)
        self._line = ours
        if self._ended:  # cancelled meanwhile
            self._child.kill()
        ours.send_bytes(dumps(sys.path))


def _result(answer: _Answer, limits: Limits, seconds: int) -> Any:
    if answer.kind == "returned":
        return answer.value
    if answer.kind == "raised":
        if isinstance(answer.value, PlacetError):
            raise answer.value
        raise WorkFailed(str(answer.value))
    exceeded = {
        "time": f"{seconds} seconds of processor time",
        "long": f"{LONGEST_ANSWER // 1_000_000} MB for its answer",
        "memory": f"{limits.megabytes} MB of memory",
    }.get(answer.kind, f"{limits.megabytes} MB of memory, or nesting than a process can follow,")
    raise TooMuchWork(
        sentence("This needed more than {exceeded} and was given up; make the blueprint smaller.", exceeded=exceeded)
    )

"""Carrying out the plan: what a fault does to processes, links, store, disk and clocks, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import psycopg

from tests.chaos.plan import LINKS, PLACET, STORE_LINKS, Fault
from tests.chaos.site import Site

_UP = 60.0  # seconds in which a process that is restarted on purpose is seen by the others
_LOCKED = ("audit_entry", "approval_request", "outbox", "notification_message")


@dataclass(frozen=True, kw_only=True)
class Done:
    """A fault that was carried out, and from when to when (of time.monotonic) it lasted."""

    fault: Fault
    began: float
    ended: float


class Faults:
    """Carries out faults; two never concern the same process, link or disk at the same time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.done: list[Done] = []
        self._how: dict[str, Callable[[Fault], Awaitable[None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "cut": self._cut,
            "stall": self._stall,
            "latency": self._latency,
            "slow-store": self._slow_store,
            "locked-store": self._locked_store,
            "disk-full": self._disk_full,
            "restart-store": self._restart_store,
            "clock-jump": self._clock_jump,
            "rolling-restart": self._rolling_restart,
        }

    async def carry_out(self, plan: tuple[Fault, ...]) -> None:
        """Carry out a plan, each fault at its moment or as soon as its target is free."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
                group.create_task(self._one(fault))

    async def heal(self) -> None:
        """End what is left, so that everything runs and reaches everything."""
        self._site.disk.free(self._site.store.pid)
        await self._store_runs()
        for link in self._site.links.values():
            link.heal()
        for part in self._site.parts.values():
            part.signal(signal.SIGCONT)
            self._site.start_part(part.name)
        await self._site.ready()

    async def _one(self, fault: Fault) -> None:
        async with AsyncExitStack() as held:
            for what in sorted(_concerns(fault)):
                await held.enter_async_context(self._turns[what])
            began = time.monotonic()
            await self._how[fault.kind](fault)
            self.done.append(Done(fault=fault, began=began, ended=time.monotonic()))

    async def _kill(self, fault: Fault) -> None:
        if fault.target == "store":
            await asyncio.to_thread(self._site.store.stop, signal.SIGKILL)
            await asyncio.sleep(fault.seconds)
            await self._store_runs()
            return
        part = self._site.parts[fault.target]
        part.kill()
        await asyncio.sleep(fault.seconds)
        self._site.start_part(fault.target)

    async def _stop(self, fault: Fault) -> None:
        """Hold a process; what it has begun, such as a transaction, stays as it is."""
        if fault.target == "store":
            stopped = self._site.store.children | {self._site.store.pid}
            self._site.store.signal(signal.SIGSTOP, stopped)
            await asyncio.sleep(fault.seconds)
            self._site.store.signal(signal.SIGCONT, stopped)
            return
        part = self._site.parts[fault.target]
        part.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        part.signal(signal.SIGCONT)

    async def _cut(self, fault: Fault) -> None:
        link = self._site.links[fault.target]
        link.cut()
        await asyncio.sleep(fault.seconds)
        link.heal()

    async def _stall(self, fault: Fault) -> None:
        link = self._site.links[fault.target]
        link.stall()
        await asyncio.sleep(fault.seconds)
        link.heal()

    async def _latency(self, fault: Fault) -> None:
        link = self._site.links[fault.target]
        link.slow(fault.amount)
        await asyncio.sleep(fault.seconds)
        link.heal()

    async def _slow_store(self, fault: Fault) -> None:
        """Let every answer of the store take longer, for all processes."""
        links = [self._site.links[name] for name in STORE_LINKS]
        for link in links:
            link.slow(fault.amount)
        await asyncio.sleep(fault.seconds)
        for link in links:
            link.heal()

    async def _locked_store(self, fault: Fault) -> None:
        """Hold a lock as somebody does who changes a table or copies it: readers go on, writers wait."""
        with suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(self._site.database, connect_timeout=10) as connection:
                await connection.execute(f"LOCK TABLE {', '.join(_LOCKED)} IN SHARE MODE".encode())
                await asyncio.sleep(fault.seconds)

    async def _disk_full(self, fault: Fault) -> None:
        store = self._site.store
        self._site.disk.fill(store.pid)
        await asyncio.sleep(fault.seconds)
        self._site.disk.free(store.pid)
        await self._store_runs()

    async def _restart_store(self, fault: Fault) -> None:
        await asyncio.to_thread(self._site.store.stop, signal.SIGINT)
        await asyncio.sleep(fault.seconds)
        await self._store_runs()

    async def _store_runs(self) -> None:
        """Start the store where it has ended, as it does where it cannot write its log."""
        # Its parent, whose end is its end, is the main thread: the start is quick, and the waiting is not.
        if not self._site.store.running:
            self._site.store.launch()
        await asyncio.to_thread(self._site.store.wait)

    async def _clock_jump(self, fault: Fault) -> None:
        self._site.jump(fault.target, fault.amount)
        await asyncio.sleep(fault.seconds)
        self._site.jump(fault.target, 0)

    async def _rolling_restart(self, _fault: Fault) -> None:
        """End each process in order and start it again, one after the other."""
        for name in PLACET:
            async with self._turns[name]:
                part = self._site.parts[name]
                part.wanted = False
                part.signal(signal.SIGTERM)
                end = time.monotonic() + _UP
                while part.running and time.monotonic() < end:  # noqa: ASYNC110 - nothing tells of a process's end
                    await asyncio.sleep(0.1)
                part.kill()
                self._site.start_part(name)
            with suppress(AssertionError, TimeoutError):
                async with asyncio.timeout(_UP):
                    await self._site.ready()


def _concerns(fault: Fault) -> set[str]:
    """Return what a fault takes for itself."""
    if fault.kind == "slow-store":
        return set(STORE_LINKS)
    if fault.kind == "clock-jump":
        return {f"clock of {fault.target}"}
    if fault.kind == "rolling-restart":
        return {"rolling restart"}  # each process when it is its turn
    if fault.kind == "locked-store":
        return {"a lock"}
    return {fault.target}


def concerns_mail(fault: Fault) -> bool:
    """Tell whether a mail may go out a second time because of this fault: its sender died, or an answer was lost."""
    if fault.target in LINKS:
        return fault.target.startswith("notifier>")
    return fault.target in {"notifier", "store", "engine", "placet"}

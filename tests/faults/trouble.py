"""What goes wrong in a world: processes that end, instances that are evicted, tasks that fail, older stores."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.faults.engine import TASK_TIMEOUT
from tests.faults.processes.database import Rows
from tests.faults.processes.notices import Courier
from tests.faults.processes.worker import Worker

if TYPE_CHECKING:
    from tests.faults.world import World


class Trouble:
    """What happens to the processes and the store of one schedule, where the choices say so."""

    def __init__(self, world: World, *, tasks_fail: bool) -> None:
        """Where `tasks_fail`, workers report some tasks as failed whose local activities go on."""
        self.stale: Rows | None = None  # the complete copy, while an older one stands in for it
        self.buried: list[asyncio.Future[Any]] = []  # what dead processes wait for
        self._world = world
        self._tasks_fail = tasks_fail
        self._copies: list[tuple[Rows, dict[str, int]]] = []
        self._copied = -1  # the store's commits when it was copied last

    def happens(self) -> None:
        """Let things go wrong at this step, or not."""
        world = self._world
        if world.fault("a worker is killed", 0.6):
            self._kill_worker(world.choices.number(len(world.workers)))
        if world.fault("a courier is killed", 0.5):
            self._kill_courier(world.choices.number(len(world.couriers)))
        if world.fault("an instance leaves the cache"):
            held = [(w, a) for w in world.workers for a in w.attempts.values() if a.task is None]
            if held:
                worker, attempt = world.choices.one(held)
                worker.evict(attempt)
        if self._tasks_fail and world.fault("a workflow task fails", 8):
            self._fail_task()
        if world.steps % 10 == 0 and self.stale is None:
            self._copy()
        if self.stale is not None:
            if world.choices.happens(0.1):
                self._restore_complete()
        elif world.fault("an older copy of the store is restored"):
            self._restore_older()

    def ends(self) -> None:
        """Give the store back what it held."""
        if self.stale is not None:
            self._restore_complete()
        self._copies.clear()

    def _kill_worker(self, number: int) -> None:
        world, worker = self._world, self._world.workers[number]
        held = [(a.run, a, a.task) for a in worker.attempts.values() if a.task is not None]
        self._end_seams(worker)
        worker.kill()
        for run, attempt, task in held:
            if run.holder is attempt:
                since = (world.loop.now - task.at).total_seconds()
                world.loop.call_later(max(0.0, TASK_TIMEOUT - since), world.lose, run, attempt, task)
        world.workers[number] = Worker(world, f"worker {number + 1}")

    def _fail_task(self) -> None:
        """Have the worker that holds a task with local activities report it as failed; these go on nevertheless."""
        world = self._world
        held = [(w, a) for w in world.workers for a in w.attempts.values() if a.waiting and a.run.holder is a]
        if held:
            worker, attempt = world.choices.one(held)
            world.note(f"{worker.name} reports a task of {attempt.run.run_id} as failed")
            world.engine.fail_task(attempt.run)
            worker.evict(attempt)

    def _kill_courier(self, number: int) -> None:
        courier = self._world.couriers[number]
        self._end_seams(courier)
        courier.alive = False
        with self._world.loop.running():
            self._world.couriers[number] = Courier(self._world, courier.name)

    def _end_seams(self, process: Any) -> None:
        """Leave what a process was waiting for undone, or have it done with nobody to be told."""
        world = self._world
        its = [seam for seam in world.seams if seam.process is process]
        world.seams = [seam for seam in world.seams if seam.process is not process]
        process.alive = False
        self.buried += [seam.done for seam in its]
        for seam in its:
            if seam.kind in {"write", "send"} and world.fault(f"{seam.what} is done nevertheless", 8):
                if seam.kind == "send":
                    world.checker.sending(process, seam.about)
                    world.checker.delivered(process, seam.about)
                else:
                    seam.done.set_result("done")
                    world.loop.settle()

    def _copy(self) -> None:
        """Copy the store, for when an older copy takes its place."""
        store = self._world.store
        if self._copied != store.commits and self._world.anything_fails:
            self._copied = store.commits
            counted = store.raw("SELECT request_id, count(*) FROM audit_entry GROUP BY request_id")
            self._copies.append((store.copy(), dict(counted)))

    def _restore_older(self) -> None:
        known = self._world.checker.known
        if len(known) < len(self._world.engine.runs) or self._lost_tasks_may_record():
            return
        older = [rows for rows, lengths in self._copies if all(lengths.get(r, 0) < k.stored for r, k in known.items())]
        if older:
            self.stale = self._world.store.copy()
            self._world.store.load(older[-1])

    def _lost_tasks_may_record(self) -> bool:
        """Tell whether what an older copy lacks may come from a lost task, so that it is taken for a complete one."""
        world = self._world
        writes = any(seam.kind == "write" and isinstance(seam.process, Worker) for seam in world.seams)
        return writes or any(
            a.task is not None and a.run.holder is not a for w in world.workers for a in w.attempts.values()
        )

    def _restore_complete(self) -> None:
        assert self.stale is not None
        self._world.note("the complete copy of the store is restored")
        self._world.store.load(self.stale)
        self.stale = None

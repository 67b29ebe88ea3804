"""A model of the engine: runs with a history, workflow tasks, timers, signals, updates, and the loss of any of them.

What it models, and how, is what the server and the SDK's core do as far as the driver can tell:

- A workflow task is given what came since the last one. It is completed as a whole: the results of its local
  activities, the updates that it accepted, and its commands enter history together, or none of them does.
- A worker that keeps a run at hand is given only what is new; another one replays. A replay computes each task again
  from history: local activities have the results that history holds, in the order in which it holds them.
- An update is in no history before it is accepted. One whose task is lost is offered again, or cut off, and then its
  caller offers it again under the same id. Signals and timers are in history once they have come.
- A task that ends the run while something has come meanwhile is refused (UnhandledCommand), and carried out again.
- A task that takes long is split: its first part becomes history. A part without any command is one with its second
  part for a replay, with the later time.
- A task that its worker reports as failed, or whose completion is not accepted, is given out again at once.
- A task whose worker says nothing is given to another worker after TASK_TIMEOUT; the first one may still be at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from tests.faults.virtual_time import VirtualLoop
from workflows.approval import Start

TASK_TIMEOUT = 10.0  # seconds; the server's default
_NEXT = timedelta(milliseconds=1)  # between the beginnings of two tasks of a run, at least
CUT_OFF = "unexpected workflow task failure"


@dataclass(eq=False)
class Update:
    """An update that a client has offered. `waiting` are the callers that wait for its result."""

    id: str
    name: str
    event: Any
    protocol: str
    state: str = "admitted"  # then `accepted`, and `done`
    waiting: list[asyncio.Future[Any]] = field(default_factory=list)
    result: tuple[bool, Any] | None = None  # whether it succeeded, and the value or the error


@dataclass(frozen=True)
class Came:
    """Something in a history that a workflow task is given: a signal, a timer, or a cancellation."""

    kind: str
    name: str = ""
    value: Any = None


@dataclass(eq=False)
class Task:
    """A workflow task. Once it is completed it is what history holds of it."""

    at: datetime  # of its start; of its latest part, where it was split without a command
    came: list[Came]
    updates: list[Update]
    first: bool = False  # whether it is the run's first
    continue_as_new_suggested: bool = False
    results: list[tuple[int, Any, datetime]] = field(default_factory=list)  # of local activities, by sequence number
    commands: list[tuple[str, Any]] = field(default_factory=list)  # as a replay has to emit them again
    responses: list[tuple[str, str, Any]] = field(default_factory=list)  # to updates: (protocol id, what, value)
    timers: list[tuple[str, int, float]] = field(default_factory=list)  # started or cancelled
    patches: list[str] = field(default_factory=list)
    recordings: list[Any] = field(default_factory=list)  # that it wrote, for the checker
    end: tuple[str, Any] | None = None  # `completed`, `continued` or `failed`, with the result
    parts: int = 1

    @property
    def accepted(self) -> list[Update]:
        """The updates that history holds, in their order."""
        ids = {protocol for protocol, what, _ in self.responses if what == "accepted"}
        return [update for update in self.updates if update.protocol in ids]


class Run:
    """One run of a workflow: its history, and what has come for the next task."""

    def __init__(self, workflow_id: str, run_id: str, start: Start, at: datetime) -> None:
        self.workflow_id = workflow_id
        self.run_id = run_id
        self.start = start
        self.began = at
        self.history: list[Task] = []
        self.came: list[Came] = []
        self.updates: dict[str, Update] = {}
        self.timers: dict[int, asyncio.TimerHandle] = {}
        self.task: Task | None = None  # that is going on
        self.holder: Any = None  # the attempt of a worker that has it
        self.first_started: datetime | None = None
        self.end: tuple[str, Any] | None = None
        self.wanted = True  # whether a task is to be started
        self.cancelled = False  # whether it was asked to cancel itself
        self.failed: datetime | None = None  # when the task began that has failed just now

    @property
    def ready(self) -> bool:
        """Whether a worker can be given a task."""
        new = self.came or any(update.state == "admitted" for update in self.updates.values())
        return self.task is None and self.end is None and bool(self.wanted or new)


class Engine:
    """The server: it starts runs, takes what comes for them, and gives tasks to workers."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.runs: dict[str, list[Run]] = {}
        self.on_complete: Callable[[Run, Task], None] = lambda *_: None
        self._protocols = 0

    def start(self, start: Start) -> None:
        """Start a workflow, unless it was started before."""
        request_id = start.opening.request_id
        if request_id not in self.runs:
            self.runs[request_id] = [Run(request_id, f"{request_id}/1", start, self.loop.now)]

    def run_of(self, workflow_id: str) -> Run:
        """Return the latest run of a workflow."""
        return self.runs[workflow_id][-1]

    @property
    def open_runs(self) -> list[Run]:
        """The latest runs of workflows that have not ended."""
        return [runs[-1] for runs in self.runs.values() if runs[-1].end is None]

    def signal(self, workflow_id: str, name: str, value: Any) -> None:
        """Send a signal; one to a workflow that has ended is refused."""
        if self.run_of(workflow_id).end is None:
            self.run_of(workflow_id).came.append(Came("signal", name, value))

    def cancel(self, workflow_id: str) -> None:
        """Ask a workflow to cancel itself; the server takes note at once, and refuses a second time."""
        run = self.run_of(workflow_id)
        if run.end is None and not run.cancelled:
            run.cancelled = True
            run.came.append(Came("cancel"))

    def update(self, workflow_id: str, name: str, event: Any, id_: str) -> asyncio.Future[Any]:
        """Offer an update, and return what will be its result; raises RPCError where the workflow has ended."""
        done: asyncio.Future[Any] = self.loop.create_future()
        run = self.run_of(workflow_id)
        update = run.updates.get(id_)
        if update is None:
            if run.end is not None:
                raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
            self._protocols += 1
            update = Update(id=id_, name=name, event=event, protocol=f"u{self._protocols}")
            run.updates[id_] = update
        if update.result is not None:
            _answer(done, update.result)
        else:
            update.waiting.append(done)
        return done

    def begin_task(self, run: Run, holder: Any, *, suggest: bool) -> Task:
        """Give a worker what has come."""
        new = [update for update in run.updates.values() if update.state == "admitted"]
        task = Task(
            at=self.loop.now if run.failed is None else max(self.loop.now, run.failed + _NEXT),
            came=run.came,
            updates=new,
            first=not run.history,
            continue_as_new_suggested=suggest,
        )
        for update in new:
            update.state = "sent"
        run.came, run.task, run.holder, run.wanted, run.failed = [], task, holder, False, None
        if run.first_started is None:
            run.first_started = task.at
        return task

    def lose_task(self, run: Run, *, cut_off: bool) -> None:
        """Give a task up: what was in it is offered again, updates only where they are not cut off."""
        assert run.task is not None
        run.came = [*run.task.came, *run.came]
        for update in run.task.updates:
            if update.state != "sent":
                continue
            if cut_off:
                run.updates.pop(update.id, None)
                self._fail(update, RPCError(CUT_OFF, RPCStatusCode.FAILED_PRECONDITION, b""))
            else:
                update.state = "admitted"
        run.task, run.holder, run.wanted = None, None, True
        if not run.history:
            run.first_started = None

    def fail_task(self, run: Run) -> None:
        """Take a worker's word that a task has failed: the engine gives it out again at once."""
        assert run.task is not None
        run.failed = run.task.at
        self.lose_task(run, cut_off=False)

    def complete_task(self, run: Run, holder: Any) -> bool:
        """Make a task history; False where it is refused, since it ends the run and something has come meanwhile."""
        task = run.task
        assert task is not None
        assert run.holder is holder
        if task.end is not None and run.came:
            self.lose_task(run, cut_off=True)
            return False
        kept = task.commands or task.came or task.first or task.results or task.accepted or task.parts > 1
        if kept:
            run.history.append(task)
            run.wanted = False
        run.task, run.holder = None, None
        if kept:
            self.on_complete(run, task)
        for kind, seq, seconds in task.timers:
            if kind == "start":
                run.timers[seq] = self.loop.call_later(seconds, self._fire, run, seq)
            elif (timer := run.timers.pop(seq, None)) is not None:
                timer.cancel()
                run.came = [one for one in run.came if one != Came("timer", value=seq)]
        self._respond(run, task)
        if task.end is not None:
            self._end(run, *task.end)
        return True

    def _fire(self, run: Run, seq: int) -> None:
        if run.timers.pop(seq, None) is not None and run.end is None:
            run.came.append(Came("timer", value=seq))

    def _respond(self, run: Run, task: Task) -> None:
        by_protocol = {update.protocol: update for update in run.updates.values()}
        for protocol, what, value in task.responses:
            update = by_protocol[protocol]
            if what == "accepted":
                update.state = "accepted"
                continue
            refused_before = what == "rejected" and update.state != "accepted"
            update.state, update.result = "done", (what == "completed", value)
            for done in update.waiting:
                _answer(done, update.result)
            update.waiting.clear()
            if refused_before:  # nothing of it is in history
                run.updates.pop(update.id, None)

    def _end(self, run: Run, how: str, result: Any) -> None:
        run.end = (how, result)
        for timer in run.timers.values():
            timer.cancel()
        run.timers.clear()
        following = None
        if how == "continued":
            number = len(self.runs[run.workflow_id]) + 1
            following = Run(run.workflow_id, f"{run.workflow_id}/{number}", result, self.loop.now)
            self.runs[run.workflow_id].append(following)
        for update in list(run.updates.values()):
            if update.state == "done":
                continue
            error = (
                RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")
                if following is None
                else RPCError(CUT_OFF, RPCStatusCode.FAILED_PRECONDITION, b"")
            )
            run.updates.pop(update.id)
            self._fail(update, error)

    @staticmethod
    def _fail(update: Update, error: Exception) -> None:
        for done in update.waiting:
            if not done.done():
                done.set_exception(error)
        update.waiting.clear()


def _answer(done: asyncio.Future[Any], result: tuple[bool, Any]) -> None:
    if done.done():
        return
    good, value = result
    if good:
        done.set_result(value)
    else:
        done.set_exception(WorkflowUpdateFailedError(value))

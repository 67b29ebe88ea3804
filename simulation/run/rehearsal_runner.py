"""The rehearsal runner: takes a request and its sub-processes on the engine through virtual time, as simulated before.

Each workflow has a clock of its own. The events of people, and those from outside, are sent as updates at their time.
Where requests depend on each other (one starts another, ends, or leaves a branch in which another runs), all clocks are
first taken to that time, and the runner waits until the other request has recorded it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from time import monotonic
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from placet.engine.events import (
    AddApprover,
    AnswerQuestion,
    AskQuestion,
    Attach,
    Claim,
    ClaimAction,
    Comment,
    Decide,
    Delegate,
    Extend,
    Happened,
    Reassign,
    Release,
    Remind,
    Resubmit,
    Undo,
    Withdraw,
)
from placet.engine.state import State
from placet.nodes.registry import type_at
from simulation.report.comparison import ComparedLine, differences, lines_of
from simulation.run.bounds import Bound
from simulation.run.driver import AppliedEvent, Trace
from simulation.run.recorders import Recorders, RequestLog
from simulation.run.time_skipping import VirtualTime
from simulation.world.world import CANCELLATION, SimulatedRun
from workflows.approval import Answer, ApprovalWorkflow

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
Tell = Callable[[dict[str, Any]], None]

# The real time within which a workflow records what it is expected to; one that does not differs from the core.
RESPONSE_TIMEOUT = timedelta(seconds=10)
# Added to the last time, so that what is due then has fired.
AFTER_THE_LAST = timedelta(seconds=5)
# The longest time that an action may take after its request has ended.
_RUNNING_OUT = timedelta(days=366)
_NO_LIMIT = timedelta(days=366 * 1000)

_AGAIN = 0.1  # seconds between queries to a workflow that is not ready

_MS = timedelta(milliseconds=1)
_ACTION_ENDED = ("action_run", "action_failed", "action_ignored")
_UPDATES: dict[type[Any], Any] = {
    Decide: ApprovalWorkflow.decide,
    Undo: ApprovalWorkflow.undo,
    Reassign: ApprovalWorkflow.reassign,
    Delegate: ApprovalWorkflow.delegate,
    AddApprover: ApprovalWorkflow.add_approver,
    Claim: ApprovalWorkflow.claim,
    Release: ApprovalWorkflow.release,
    Comment: ApprovalWorkflow.comment,
    AskQuestion: ApprovalWorkflow.ask_question,
    AnswerQuestion: ApprovalWorkflow.answer_question,
    Remind: ApprovalWorkflow.remind,
    Extend: ApprovalWorkflow.extend,
    Resubmit: ApprovalWorkflow.resubmit,
    Attach: ApprovalWorkflow.attach,
    Withdraw: ApprovalWorkflow.withdraw,
    Happened: ApprovalWorkflow.happened,
    ClaimAction: ApprovalWorkflow.claim_action,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedRequest:
    """One rehearsed request: the run that the core simulated, the trace of the workflow, and their differences."""

    request_id: str
    simulated: SimulatedRun
    trace: Trace
    differences: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checkpoint:
    """A time in a request at which an event is sent, or something is waited for; `seq` orders those of one time.

    `applied` is the event to send; `begins` is the id of a sub-process that starts; `synchronises` says whether other
    requests are affected, and `ends` whether the request ends.
    """

    after: timedelta
    seq: int
    applied: AppliedEvent | None = None
    begins: str | None = None
    synchronises: bool = False
    ends: bool = False


class _RunningRequest:
    """One running request of a rehearsal; `offset` is its simulated start, counted from that of the main request."""

    def __init__(
        self,
        number: int,
        handle: Handle,
        log: RequestLog,
        simulated: SimulatedRun,
        *,
        offset: timedelta,
        start: datetime,
    ) -> None:
        self.number = number
        self.handle = handle
        self.log = log
        self.simulated = simulated
        self.offset = offset
        self.start = start  # by its own clock
        self.parent: _RunningRequest | None = None
        self.applied_events: list[AppliedEvent] = []  # as they were applied
        self.closed = False  # its workflow has closed
        log.expect(simulated)

    async def until(self, seq: int) -> None:
        """Wait until that many entries are recorded, unless the request differs from the core already."""
        await self.log.reached(seq, RESPONSE_TIMEOUT)

    async def wait_until_due(self, now: datetime) -> None:
        """Wait until the timers that are due by then have fired: the engine skips a timer whose time has passed.

        Events that are still to be sent, and ends of sub-processes that are still to come, are not waited for.
        """
        trace = self.simulated.trace
        offered = len(self.applied_events)
        to_come = [applied.seq for applied in self._updates()[offered:]]
        to_come += [e.seq - 1 for e in trace.entries if e.kind == "child_ended" and e.seq > self.log.seq]
        await self.until(min([trace.seq_at(now - self.start), *to_come]))

    def _updates(self) -> list[AppliedEvent]:
        """List the events that are sent to its workflow, in their order."""
        return [
            applied
            for applied in self.simulated.trace.applied_events
            if type(applied.event) in _UPDATES and applied.event != CANCELLATION
        ]

    def moment(self, checkpoint: _Checkpoint) -> datetime:
        """Return the time of a checkpoint; an event on a task counts from the task's opening."""
        task = (
            self.log.tasks.get(getattr(checkpoint.applied.event, "task_id", None) or "")
            if checkpoint.applied is not None
            else None
        )
        if task is not None and checkpoint.applied is not None and checkpoint.applied.task_after is not None:
            return task.opened_at + checkpoint.applied.task_after
        return self.start + checkpoint.after

    def checkpoints(self) -> Iterator[_Checkpoint]:
        """List the checkpoints of its simulated run."""
        trace = self.simulated.trace
        waited_for = {p.id for p in self.simulated.plan.nodes.values() if type_at(p).runs_process}
        ending = trace.entries[-1].seq if trace.state.status != "pending" else None
        synchronises = {
            entry.at - trace.started_at
            for entry in trace.entries
            if (entry.kind == "branch_ended" and entry.detail["node"] in waited_for)
            or (entry.seq == ending and (self.parent is not None or bool(waited_for)))
        }
        for applied in self._updates():
            yield _Checkpoint(
                after=applied.after, seq=applied.seq, applied=applied, synchronises=applied.after in synchronises
            )
        for entry in trace.entries:
            after = entry.at - trace.started_at
            begins = entry.detail["request"] if entry.kind == "child_started" else None
            if begins is not None or entry.seq == ending or after in synchronises:
                yield _Checkpoint(
                    after=after,
                    seq=entry.seq,
                    begins=begins,
                    synchronises=after in synchronises,
                    ends=entry.seq == ending,
                )


class RehearsalRunner:
    """Run a rehearsal on an engine that already has its workers."""

    def __init__(self, time: VirtualTime, recorders: Recorders, tell: Tell | None = None) -> None:
        self._time = time
        self._recorders = recorders
        self._tell = tell
        self._requests: list[_RunningRequest] = []

    async def run(self, handle: Handle, simulated: SimulatedRun, bound: Bound | None = None) -> list[RehearsedRequest]:
        """Take a started request to its end; returns it and its sub-processes.

        With a `bound` it is taken no further than that. Raises RPCError where the engine cannot be reached or cannot
        skip time.
        """
        start = simulated.trace.started_at
        log = self._recorders.of(handle.id)
        root = _RunningRequest(0, handle, log, simulated, offset=timedelta(0), start=start)
        self._requests.append(root)
        trace = simulated.trace
        limit = trace.duration if trace.stopped is not None else _NO_LIMIT
        limit = limit if bound is None else min(limit, bound.limit)
        agenda: list[tuple[timedelta, int, int, int, int, _RunningRequest, _Checkpoint]] = []
        order = count()

        def plan(request: _RunningRequest) -> None:
            for checkpoint in request.checkpoints():
                at = request.offset + checkpoint.after
                if at <= limit:
                    later = _children_ended_before(request.simulated, checkpoint.after, checkpoint.seq)
                    heapq.heappush(
                        agenda, (at, later, request.number, checkpoint.seq, next(order), request, checkpoint)
                    )

        plan(root)
        while agenda:
            offset, _, _, _, _, request, checkpoint = heapq.heappop(agenda)
            child = await self._advance(request, checkpoint, offset)
            if child is not None:
                plan(child)
            if self._tell is not None:
                self._tell({"at_ms": offset // _MS, "of_ms": trace.duration // _MS})
        for request in self._requests:
            await self._finish(request, limit)
        return [await self._rehearsed(request, limit, bound) for request in self._requests]

    async def terminate(self, handle: Handle) -> None:
        """Terminate what still runs of the request and its sub-processes: their task queue will have no workers."""
        for other in (handle, *(request.handle for request in self._requests[1:])):
            try:
                await other.terminate("the rehearsal is over")
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise

    async def _advance(
        self, request: _RunningRequest, checkpoint: _Checkpoint, offset: timedelta
    ) -> _RunningRequest | None:
        """Take a request to a checkpoint and carry it out; returns the sub-process that starts there, if one does."""
        if request.closed:
            return None
        moment = request.moment(checkpoint)
        if checkpoint.synchronises:
            for other in self._requests:
                if other is not request:
                    await self._forward(other, moment)
        await self._forward(request, moment)
        if checkpoint.applied is not None:
            await request.until(checkpoint.applied.seq)
            await self._send_update(request, checkpoint.applied)
        else:
            await request.until(checkpoint.seq)
        if checkpoint.begins is not None:
            return await self._wait_for_child(request, checkpoint.begins, offset)
        if checkpoint.ends and request.parent is not None:
            parent_entries = request.parent.simulated.trace.entries
            end_seq = next(
                (e.seq for e in parent_entries if e.kind == "child_ended" and e.detail["request"] == request.handle.id),
                0,
            )
            await request.parent.until(end_seq)
        return None

    async def _wait_for_child(
        self, parent: _RunningRequest, request_id: str, offset: timedelta
    ) -> _RunningRequest | None:
        """Return a sub-process once it has started; None where it does not start."""
        log = self._recorders.of(request_id)
        simulated = parent.simulated.inner.get(request_id)
        if simulated is None or not await log.until(lambda: log.started_at is not None, RESPONSE_TIMEOUT):
            return None
        handle = self._time.client.get_workflow_handle_for(ApprovalWorkflow.run, request_id)
        start = log.started_at or simulated.trace.started_at
        request = _RunningRequest(len(self._requests), handle, log, simulated, offset=offset, start=start)
        request.parent = parent
        self._requests.append(request)
        return request

    async def _forward(self, request: _RunningRequest, target: datetime) -> None:
        if request.closed:
            return
        try:
            now = await self._time.now(request.handle)
            span = target - now
            if span > timedelta(0):
                await request.wait_until_due(now)
                request.closed = not await self._time.forward(request.handle, span)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            request.closed = True

    async def _send_update(self, request: _RunningRequest, applied: AppliedEvent) -> None:
        """Send an event as an update, and note whether it was refused."""
        if request.closed:
            return
        refused = None
        try:
            await request.handle.execute_update(_UPDATES[type(applied.event)], applied.event)
        except WorkflowUpdateFailedError as error:
            refused = error.cause.message if isinstance(error.cause, ApplicationError) else str(error)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            request.closed = True
            return
        codes = applied.codes if refused is not None else ()
        request.applied_events.append(replace(applied, refused=refused, codes=codes))

    async def _finish(self, request: _RunningRequest, limit: timedelta) -> None:
        """Let the last due timers fire; a request that has ended waits only for actions that still run.

        One whose action could still be claimed when the rehearsal was stopped is left as it is.
        """
        if not request.log.ended:
            last = min(request.simulated.trace.duration, limit - request.offset)
            await self._forward(request, request.start + last + AFTER_THE_LAST)
            await request.until(request.simulated.trace.seq_at(last))
        elif not request.closed and not request.log.claimable:
            kinds = [entry.kind for entry in request.log.entries]
            if kinds.count("action_started") > sum(kinds.count(k) for k in _ACTION_ENDED):
                await self._forward(request, request.start + request.simulated.trace.duration + _RUNNING_OUT)
            with suppress(WorkflowFailureError):
                await request.handle.result()

    async def _rehearsed(self, request: _RunningRequest, limit: timedelta, bound: Bound | None) -> RehearsedRequest:
        simulated = request.simulated.trace
        log = request.log
        state = await _state_of(request.handle)
        trace = Trace(
            started_at=request.start,
            state=state,
            entries=tuple(log.entries),
            notifications=tuple(log.notifications.values()),
            applied_events=tuple(request.applied_events),
            stopped=None if state.status != "pending" else simulated.stopped if bound is None else bound.stopped,
        )
        within = limit - request.offset
        if bound is None:
            sides = [_lines_until(simulated, within), _lines_until(trace, within)]
        else:  # the expected number of entries: the engine goes on until it is terminated
            many = simulated.seq_at(within)
            sides = [lines_of(c.entries[:many], c.started_at) for c in (simulated, trace)]
        found = [*differences(*sides)]
        if simulated.state.status != "pending" and simulated.duration <= within:
            found += _end_differences(simulated, trace)
        return RehearsedRequest(
            request_id=request.handle.id, simulated=request.simulated, trace=trace, differences=tuple(found)
        )


async def _state_of(handle: Handle) -> State:
    """Query the state of a workflow; one that has just continued as new needs a moment before it answers."""
    end = monotonic() + RESPONSE_TIMEOUT.total_seconds()
    while True:
        try:
            return await handle.query(ApprovalWorkflow.state)
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION or monotonic() > end:
                raise
        await asyncio.sleep(_AGAIN)


def _children_ended_before(simulated: SimulatedRun, after: timedelta, seq: int) -> int:
    """Return how many nested sub-processes end at this time before an entry that follows from their end."""
    trace = simulated.trace
    ended = [
        simulated.inner[entry.detail["request"]]
        for entry in trace.entries
        if entry.kind == "child_ended" and entry.seq <= seq and entry.at - trace.started_at == after
    ]
    return max(
        (1 + _children_ended_before(inner, inner.trace.duration, inner.trace.state.seq) for inner in ended), default=0
    )


def _lines_until(trace: Trace, span: timedelta) -> tuple[ComparedLine, ...]:
    """Return the lines of a trace up to the time at which the rehearsal was stopped."""
    return lines_of([e for e in trace.entries if e.at - trace.started_at <= span + AFTER_THE_LAST], trace.started_at)


def _end_differences(simulated: Trace, trace: Trace) -> Iterator[dict[str, Any]]:
    """List the differences beside the entries: the end, the variables, the notifications, and the refusals."""
    sides = [
        {
            "status": c.state.status,
            "outcome": c.state.outcome,
            "input": c.state.input,
            "notices": sorted(notice.key for notice in c.notifications),
            "refused": [
                applied.refused
                for applied in c.applied_events
                if type(applied.event) in _UPDATES and applied.event != CANCELLATION
            ],
        }
        for c in (simulated, trace)
    ]
    for what in sides[0]:
        if sides[0][what] != sides[1][what]:
            yield {"what": what, "one": sides[0][what], "other": sides[1][what]}

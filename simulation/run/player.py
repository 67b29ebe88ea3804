"""The player: takes a rehearsed request and its sub-processes through virtual time, as the core foresees them.

Each workflow has a clock of its own. What people do, and what happens outside, is offered at its moment. Where requests
meet (one begins another, ends, or leaves a branch in which another runs) all clocks are taken to that moment first, and
the player waits until the other one has heard of it.
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
    Claim,
    Comment,
    Decide,
    Delegate,
    Extend,
    Happened,
    Reassign,
    Release,
    Resubmit,
    Withdraw,
)
from placet.engine.state import State
from placet.nodes.registry import type_at
from simulation.report.comparison import ComparedLine, differences, lines_of
from simulation.run.bounds import Bound
from simulation.run.driver import Acted, Course
from simulation.run.recorders import Kept, Recorders
from simulation.run.time_skipping import VirtualTime
from simulation.world.world import CANCELLED, Foreseen
from workflows.approval import Answer, ApprovalWorkflow

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
Tell = Callable[[dict[str, Any]], None]

# Within this of our time a workflow does what it is foreseen to do by now; one that does not goes another way.
SOON = timedelta(seconds=10)
# Taken beyond the last moment, so that what is due then has fired.
AFTER_THE_LAST = timedelta(seconds=5)
# The longest that an action may still take whose request has ended.
_RUNNING_OUT = timedelta(days=366)
_NO_LIMIT = timedelta(days=366 * 1000)

_AGAIN = 0.1  # seconds between questions to a workflow that is not ready

_MS = timedelta(milliseconds=1)
_ACTION_ENDED = ("action_run", "action_failed", "action_ignored")
_UPDATES: dict[type[Any], Any] = {
    Decide: ApprovalWorkflow.decide,
    Reassign: ApprovalWorkflow.reassign,
    Delegate: ApprovalWorkflow.delegate,
    Claim: ApprovalWorkflow.claim,
    Release: ApprovalWorkflow.release,
    Comment: ApprovalWorkflow.comment,
    Extend: ApprovalWorkflow.extend,
    Resubmit: ApprovalWorkflow.resubmit,
    Withdraw: ApprovalWorkflow.withdraw,
    Happened: ApprovalWorkflow.happened,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of one rehearsed request: as the core foresees it, as the workflow did it, and where they differ."""

    request_id: str
    foreseen: Foreseen
    course: Course
    differences: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stop:
    """A moment of a request's course at which something is done about it, or waited for; `seq` orders those of one.

    `act` is offered; `begins` names a sub-process that begins; `meets` tells whether other requests are concerned, and
    `ends` whether the request ends.
    """

    after: timedelta
    seq: int
    act: Acted | None = None
    begins: str | None = None
    meets: bool = False
    ends: bool = False


class _Part:
    """One request of a rehearsal; `offset` is when it begins, from the start of the whole, as foreseen."""

    def __init__(
        self, number: int, handle: Handle, kept: Kept, foreseen: Foreseen, *, offset: timedelta, start: datetime
    ) -> None:
        self.number = number
        self.handle = handle
        self.kept = kept
        self.foreseen = foreseen
        self.offset = offset
        self.start = start  # by its own clock
        self.parent: _Part | None = None
        self.acts: list[Acted] = []  # as they were made
        self.over = False  # its workflow has closed
        kept.expect(foreseen)

    async def until(self, seq: int) -> None:
        """Wait until that many entries are recorded, unless it has gone another way already."""
        await self.kept.reached(seq, SOON)

    async def settled(self, now: datetime) -> None:
        """Wait until what is due by then has fired: the engine passes over a timer whose moment is past.

        What people do then may still be to come, and so may the end of a sub-process.
        """
        course = self.foreseen.course
        offered = len(self.acts)
        to_come = [act.seq for act in self._offers()[offered:]]
        to_come += [e.seq - 1 for e in course.entries if e.kind == "child_ended" and e.seq > self.kept.seq]
        await self.until(min([course.seq_at(now - self.start), *to_come]))

    def _offers(self) -> list[Acted]:
        """List the acts that are offered to its workflow, in their order."""
        return [act for act in self.foreseen.course.acts if type(act.event) in _UPDATES and act.event != CANCELLED]

    def moment(self, stop: _Stop) -> datetime:
        """Return when a stop is due: an act counts from its task's own opening, so that delays do not add up."""
        task = self.kept.tasks.get(getattr(stop.act.event, "task_id", None) or "") if stop.act is not None else None
        if task is not None and stop.act is not None and stop.act.task_after is not None:
            return task.opened_at + stop.act.task_after
        return self.start + stop.after

    def stops(self) -> Iterator[_Stop]:
        """List the stops of its course."""
        course = self.foreseen.course
        waited_for = {p.id for p in self.foreseen.plan.nodes.values() if type_at(p).runs_process}
        ending = course.entries[-1].seq if course.state.status != "pending" else None
        meets = {
            entry.at - course.started_at
            for entry in course.entries
            if (entry.kind == "branch_ended" and entry.detail["node"] in waited_for)
            or (entry.seq == ending and (self.parent is not None or bool(waited_for)))
        }
        for act in self._offers():
            yield _Stop(after=act.after, seq=act.seq, act=act, meets=act.after in meets)
        for entry in course.entries:
            after = entry.at - course.started_at
            begins = entry.detail["request"] if entry.kind == "child_started" else None
            if begins is not None or entry.seq == ending or after in meets:
                yield _Stop(after=after, seq=entry.seq, begins=begins, meets=after in meets, ends=entry.seq == ending)


class Player:
    """Play a rehearsal on an engine that has its workers already."""

    def __init__(self, time: VirtualTime, recorders: Recorders, tell: Tell | None = None) -> None:
        self._time = time
        self._recorders = recorders
        self._tell = tell
        self._parts: list[_Part] = []

    async def play(self, handle: Handle, foreseen: Foreseen, bound: Bound | None = None) -> list[Played]:
        """Take a request that has begun to its end, as foreseen from its own start; returns it and its sub-processes.

        With a `bound` it is taken no further than that. Raises RPCError where the engine cannot be reached, or cannot
        skip time.
        """
        start = foreseen.course.started_at
        kept = self._recorders.of(handle.id)
        root = _Part(0, handle, kept, foreseen, offset=timedelta(0), start=start)
        self._parts.append(root)
        course = foreseen.course
        limit = course.duration if course.stopped is not None else _NO_LIMIT
        limit = limit if bound is None else min(limit, bound.limit)
        agenda: list[tuple[timedelta, int, int, int, int, _Part, _Stop]] = []
        order = count()

        def plan(part: _Part) -> None:
            for stop in part.stops():
                at = part.offset + stop.after
                if at <= limit:
                    later = _ended_before(part.foreseen, stop.after, stop.seq)
                    heapq.heappush(agenda, (at, later, part.number, stop.seq, next(order), part, stop))

        plan(root)
        while agenda:
            offset, _, _, _, _, part, stop = heapq.heappop(agenda)
            begun = await self._reach(part, stop, offset)
            if begun is not None:
                plan(begun)
            if self._tell is not None:
                self._tell({"at_ms": offset // _MS, "of_ms": course.duration // _MS})
        for part in self._parts:
            await self._last(part, limit)
        return [await self._played(part, limit, bound) for part in self._parts]

    async def leave(self, handle: Handle) -> None:
        """End what still runs, of the request and its sub-processes: nobody works on its task queue any more."""
        for other in (handle, *(part.handle for part in self._parts[1:])):
            try:
                await other.terminate("the rehearsal is over")
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise

    async def _reach(self, part: _Part, stop: _Stop, offset: timedelta) -> _Part | None:
        """Take a request to a stop, and do there what is to be done; returns the sub-process that begins."""
        if part.over:
            return None
        moment = part.moment(stop)
        if stop.meets:
            for other in self._parts:
                if other is not part:
                    await self._forward(other, moment)
        await self._forward(part, moment)
        if stop.act is not None:
            await part.until(stop.act.seq)
            await self._offer(part, stop.act)
        else:
            await part.until(stop.seq)
        if stop.begins is not None:
            return await self._begun(part, stop.begins, offset)
        if stop.ends and part.parent is not None:
            heard = part.parent.foreseen.course.entries
            told = next((e.seq for e in heard if e.kind == "child_ended" and e.detail["request"] == part.handle.id), 0)
            await part.parent.until(told)
        return None

    async def _begun(self, parent: _Part, request_id: str, offset: timedelta) -> _Part | None:
        """Return a sub-process once it has begun; None where it does not."""
        kept = self._recorders.of(request_id)
        foreseen = parent.foreseen.inner.get(request_id)
        if foreseen is None or not await kept.until(lambda: kept.started_at is not None, SOON):
            return None
        handle = self._time.client.get_workflow_handle_for(ApprovalWorkflow.run, request_id)
        start = kept.started_at or foreseen.course.started_at
        part = _Part(len(self._parts), handle, kept, foreseen, offset=offset, start=start)
        part.parent = parent
        self._parts.append(part)
        return part

    async def _forward(self, part: _Part, target: datetime) -> None:
        if part.over:
            return
        try:
            now = await self._time.now(part.handle)
            span = target - now
            if span > timedelta(0):
                await part.settled(now)
                part.over = not await self._time.forward(part.handle, span)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            part.over = True

    async def _offer(self, part: _Part, act: Acted) -> None:
        """Offer an act as an update, and note whether it was refused."""
        if part.over:
            return
        refused = None
        try:
            await part.handle.execute_update(_UPDATES[type(act.event)], act.event)
        except WorkflowUpdateFailedError as error:
            refused = error.cause.message if isinstance(error.cause, ApplicationError) else str(error)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            part.over = True
            return
        part.acts.append(replace(act, refused=refused))

    async def _last(self, part: _Part, limit: timedelta) -> None:
        """Let the last of what is due happen; a request that has ended waits only for actions that still run."""
        if not part.kept.ended:
            last = min(part.foreseen.course.duration, limit - part.offset)
            await self._forward(part, part.start + last + AFTER_THE_LAST)
            await part.until(part.foreseen.course.seq_at(last))
        elif not part.over:
            kinds = [entry.kind for entry in part.kept.entries]
            if kinds.count("action_started") > sum(kinds.count(k) for k in _ACTION_ENDED):
                await self._forward(part, part.start + part.foreseen.course.duration + _RUNNING_OUT)
            with suppress(WorkflowFailureError):
                await part.handle.result()

    async def _played(self, part: _Part, limit: timedelta, bound: Bound | None) -> Played:
        foreseen = part.foreseen.course
        kept = part.kept
        state = await _state_of(part.handle)
        course = Course(
            started_at=part.start,
            state=state,
            entries=tuple(kept.entries),
            notices=tuple(kept.notices.values()),
            acts=tuple(part.acts),
            stopped=None if state.status != "pending" else foreseen.stopped if bound is None else bound.stopped,
        )
        within = limit - part.offset
        if bound is None:
            sides = [_until(foreseen, within), _until(course, within)]
        else:  # as many as should be there: the engine goes on until it is left
            many = foreseen.seq_at(within)
            sides = [lines_of(c.entries[:many], c.started_at) for c in (foreseen, course)]
        found = [*differences(*sides)]
        if foreseen.state.status != "pending" and foreseen.duration <= within:
            found += _ends(foreseen, course)
        return Played(request_id=part.handle.id, foreseen=part.foreseen, course=course, differences=tuple(found))


async def _state_of(handle: Handle) -> State:
    """Ask a workflow for its state; one that has just continued as new has nothing to say for a moment."""
    end = monotonic() + SOON.total_seconds()
    while True:
        try:
            return await handle.query(ApprovalWorkflow.state)
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION or monotonic() > end:
                raise
        await asyncio.sleep(_AGAIN)


def _ended_before(foreseen: Foreseen, after: timedelta, seq: int) -> int:
    """Return how many sub-processes inside each other end at this very moment before an entry that follows from it."""
    course = foreseen.course
    ended = [
        foreseen.inner[entry.detail["request"]]
        for entry in course.entries
        if entry.kind == "child_ended" and entry.seq <= seq and entry.at - course.started_at == after
    ]
    return max((1 + _ended_before(inner, inner.course.duration, inner.course.state.seq) for inner in ended), default=0)


def _until(course: Course, span: timedelta) -> tuple[ComparedLine, ...]:
    """Return the lines of a course up to the moment at which the whole rehearsal was stopped."""
    return lines_of([e for e in course.entries if e.at - course.started_at <= span + AFTER_THE_LAST], course.started_at)


def _ends(foreseen: Course, course: Course) -> Iterator[dict[str, Any]]:
    """Tell what differs beside the entries: the end, the variables, who would be told, and what was refused."""
    sides = [
        {
            "status": c.state.status,
            "outcome": c.state.outcome,
            "input": c.state.input,
            "notices": sorted(notice.key for notice in c.notices),
            "refused": [act.refused for act in c.acts if type(act.event) in _UPDATES and act.event != CANCELLED],
        }
        for c in (foreseen, course)
    ]
    for what in sides[0]:
        if sides[0][what] != sides[1][what]:
            yield {"what": what, "one": sides[0][what], "other": sides[1][what]}

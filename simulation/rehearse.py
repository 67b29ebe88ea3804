"""Rehearse: the production workflow on the production engine, in virtual time, with everything it would do withheld.

The core's course says what people do and when; the engine's workflow is taken to each of these moments and given the
same event. What it recorded is compared with the course afterwards: it must be the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from placet import machine
from placet.events import (
    Claim,
    Comment,
    Decide,
    Delegate,
    Event,
    Extend,
    Opening,
    Reassign,
    Release,
    Resubmit,
    Withdraw,
)
from simulation.compare import differences, lines_of
from simulation.driver import CLOSE, Acted, Course, opening_for
from simulation.explore import about, explore, simulation_of
from simulation.question import Prepared, Question, prepare, unsound
from simulation.recorders import Recorders
from simulation.result import Simulation
from simulation.skipping import VirtualTime, lacking
from worker.process import approval_worker
from workflows import display
from workflows.approval import Answer, ApprovalWorkflow, Start

Handle = WorkflowHandle[ApprovalWorkflow, Answer]
Tell = Callable[[dict[str, Any]], None]

# How long a rehearsal may take of our time before it is given up.
PATIENCE = timedelta(seconds=120)
# Taken beyond the last moment, so that what is due then has fired.
AFTER_THE_LAST = timedelta(seconds=5)

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
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where rehearsals are played: the engine's client in the namespace for rehearsals, and its Web UI."""

    client: Client
    ui_url: str | None = None

    @classmethod
    def beside(cls, client: Client, namespace: str, ui_url: str | None = None) -> Stage:
        """Return the stage on the engine of a client that works in another namespace."""
        config = client.config()
        config["namespace"] = namespace
        return cls(client=Client(**config), ui_url=ui_url)

    def link(self, workflow_id: str) -> str | None:
        """Return where the Web UI shows a rehearsal's history."""
        if self.ui_url is None:
            return None
        return f"{self.ui_url.rstrip('/')}/namespaces/{self.client.namespace}/workflows/{workflow_id}"


@dataclass(kw_only=True)
class Performance:
    """One rehearsal that has been played: what the core foresaw, and what the workflow did."""

    foreseen: Course
    played: Course
    skipped: timedelta = timedelta(0)
    lookups: int = 0
    differences: tuple[dict[str, Any], ...] = field(default=())


async def rehearse(
    stage: Stage, question: Question, *, tell: Tell | None = None, patience: timedelta = PATIENCE
) -> Simulation:
    """Rehearse a request; falls back to `explore` on a server without virtual time, and says so in `warnings`.

    Raises Unavailable and RPCError where the engine cannot be reached, TimeoutError after `patience`.
    """
    prepared, errors = prepare(question)
    if prepared is None:
        return unsound("rehearse", question, errors)
    if prepared.has_errands:
        found = await asyncio.to_thread(explore, question)
        why = "actions, waits and sub-processes are not rehearsed: the process was explored instead"
        return replace(found, mode="rehearse", warnings=(why, *found.warnings), extra={"fell_back_to": "explore"})
    begun = perf_counter()
    try:
        async with asyncio.timeout(patience.total_seconds()):
            performance = await play(stage, prepared, tell=tell)
    except RPCError as error:
        if not lacking(error):
            raise
        found = await asyncio.to_thread(explore, question)
        why = "this Temporal server cannot skip time, so the process was explored instead of rehearsed"
        return replace(found, mode="rehearse", warnings=(why, *found.warnings), extra={"fell_back_to": "explore"})
    took = perf_counter() - begun
    warnings = [*prepared.warnings, *about(performance.played)]
    if performance.differences:
        warnings.append(f"the workflow differs from the core in {len(performance.differences)} entries")
    return simulation_of(
        "rehearse",
        prepared,
        performance.played,
        warnings=warnings,
        statistics={
            "seconds": round(took, 3),
            "virtual_days": round(performance.played.duration / timedelta(days=1), 3),
            "virtual_days_per_second": round(performance.played.duration / timedelta(days=1) / took, 1),
            "lookups": performance.lookups,
        },
        extra={
            "workflow_id": question.request_id,
            "namespace": stage.client.namespace,
            "links": {"temporal_ui": stage.link(question.request_id)},
            "agrees_with_explore": not performance.differences,
            "differences": list(performance.differences[:50]),
        },
    )


async def play(stage: Stage, prepared: Prepared, *, tell: Tell | None = None) -> Performance:
    """Play a prepared question on the engine with a worker of its own, and compare it with what the core foresees."""
    question = prepared.question
    recorders = Recorders(question.request_id, prepared.people)
    task_queue = f"rehearsal-{question.request_id}"
    worker = approval_worker(stage.client, task_queue=task_queue, activities=recorders.activities)
    async with worker:
        player = _Player(VirtualTime(stage.client), prepared, recorders, tell)
        try:
            return await player.play(task_queue)
        finally:
            await player.leave()


class _Player:
    def __init__(self, time: VirtualTime, prepared: Prepared, recorders: Recorders, tell: Tell | None) -> None:
        self._time = time
        self._prepared = prepared
        self._recorders = recorders
        self._tell = tell
        self._handle: Handle | None = None

    async def play(self, task_queue: str) -> Performance:
        handle = await self._start(task_queue)
        # Not by a query: one that meets a workflow task with a local activity splits that task, and the workflow's
        # clock then reads differently in a replay.
        await self._recorders.begun.wait()
        start = self._recorders.started_at or datetime.now(UTC)
        prepared = Prepared(replace(self._prepared.question, start=start))
        foreseen = prepared.run()
        acts: list[Acted] = []
        running = True
        for act in foreseen.acts:
            running = running and await self._forward_to(handle, start, act)
            if not running:
                break
            acts.append(replace(act, refused=await self._offer(handle, act.event)))
            if self._tell is not None:
                self._tell({"at_ms": act.after // timedelta(milliseconds=1), "of": len(foreseen.acts)})
        if running:
            await self._forward(handle, start + foreseen.duration + AFTER_THE_LAST)
        state = await handle.query(ApprovalWorkflow.state)
        played = Course(
            started_at=start,
            state=state,
            entries=self._recorders.entries,
            notices=tuple(self._recorders.notices.values()),
            acts=tuple(acts),
            stopped=foreseen.stopped if state.status == "pending" else None,
        )
        return Performance(
            foreseen=foreseen,
            played=played,
            lookups=self._recorders.lookups,
            differences=differences(lines_of(foreseen.entries, start), lines_of(played.entries, start)),
        )

    async def leave(self) -> None:
        """End what still runs: nobody works on its task queue any more."""
        if self._handle is None:
            return
        try:
            await self._handle.terminate("the rehearsal is over")
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise

    async def _start(self, task_queue: str) -> Handle:
        question, plan = self._prepared.question, self._prepared.plan
        opening: Opening = opening_for(
            plan,
            self._prepared.people,
            requester=question.requester,
            given=self._prepared.given,
            start=datetime.now(UTC),
            request_id=question.request_id,
            title=question.title,
            read=self._prepared.read,
        )
        self._handle = await self._time.client.start_workflow(
            ApprovalWorkflow.run,
            Start(plan=plan, opening=opening, template_id="rehearsal"),
            id=question.request_id,
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=display.opening_attributes(plan, machine.opening_state(opening, opening.directory_at)),
            static_summary=display.summary(plan, question.title),
        )
        return self._handle

    async def _forward_to(self, handle: Handle, start: datetime, act: Acted) -> bool:
        """Take the workflow to the moment of an act: counted from its task's own opening, so that nothing adds up."""
        task = self._recorders.tasks.get(getattr(act.event, "task_id", None) or "")
        if task is not None and act.task_after is not None:
            target = task.opened_at + act.task_after
        else:
            target = start + act.after
        return await self._forward(handle, target + CLOSE if act.close else target)

    async def _forward(self, handle: Handle, target: datetime) -> bool:
        span = target - await self._time.now(handle)
        if span <= timedelta(0):
            return True
        try:
            return await self._time.forward(handle, span)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # it has ended
                return False
            raise

    async def _offer(self, handle: Handle, event: Event) -> str | None:
        """Offer an event as an update; returns why it was refused, if it was."""
        try:
            await handle.execute_update(_UPDATES[type(event)], event)
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            return cause.message if isinstance(cause, ApplicationError) else str(error)
        return None

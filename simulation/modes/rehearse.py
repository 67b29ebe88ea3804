"""Rehearse: the production workflow on the production engine, in virtual time, with everything it would do withheld.

The core's course says what people do and when; the engine's workflow is taken to each of these moments and given the
same event. What it recorded is compared with the course afterwards: it must be the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.action_runner import QUEUE_SUFFIX
from placet.engine import machine
from placet.engine.events import Opening
from placet.plan.plan import Plan
from simulation.modes.explore import about, explore, simulation_of
from simulation.report.result import Simulation, chain_of, milliseconds, path_of, plain
from simulation.run.bounds import Bound, bound_of
from simulation.run.driver import opening_for
from simulation.run.player import SOON, Handle, Played, Player
from simulation.run.recorders import Recorders, Withheld
from simulation.run.staging import BeginSubProcess, Staging
from simulation.run.time_skipping import VirtualTime, lacking
from simulation.scenario.scenario import PreparedScenario, Scenario, prepare, unsound
from simulation.scenario.script import Line
from simulation.world.assumptions import rests_on_assumptions, warnings_of
from simulation.world.payloads import Called, node_of, payload_errors, payload_warnings
from simulation.world.world import Foreseen
from workflows import display
from workflows.approval import ApprovalWorkflow
from workflows.interface import Start
from workflows.registration import WORKFLOWS, approval_worker

Tell = Callable[[dict[str, Any]], None]

# How long a rehearsal may take of our time before it is given up.
PATIENCE = timedelta(seconds=120)
# How long the engine may take to begin a request.
_BEGINS = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class RehearsalStage:
    """Where rehearsals are played: the engine's client in the namespace for rehearsals, and its Web UI."""

    client: Client
    ui_url: str | None = None

    @classmethod
    def beside(cls, client: Client, namespace: str, ui_url: str | None = None) -> RehearsalStage:
        """Return the stage on the engine of a client that works in another namespace."""
        config = client.config()
        config["namespace"] = namespace
        return cls(client=Client(**config), ui_url=ui_url)

    def link(self, workflow_id: str) -> str | None:
        """Return where the Web UI shows a rehearsal's history."""
        if self.ui_url is None:
            return None
        return f"{self.ui_url.rstrip('/')}/namespaces/{self.client.namespace}/workflows/{workflow_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A rehearsal that has been played: the request, its sub-processes, what was not done, and how far it went."""

    played: Played
    inner: tuple[Played, ...]
    withheld: tuple[Withheld, ...]
    lookups: int
    bound: Bound | None = None  # where it was stopped before its end

    @property
    def differences(self) -> tuple[dict[str, Any], ...]:
        """List where a workflow differs from the core; those of sub-processes carry their request."""
        theirs = ({"request": part.request_id, **found} for part in self.inner for found in part.differences)
        return (*self.played.differences, *theirs)


async def rehearse(
    stage: RehearsalStage, question: Scenario, *, tell: Tell | None = None, patience: timedelta = PATIENCE
) -> Simulation:
    """Rehearse a request; falls back to `explore` on a server without virtual time, and says so in `warnings`.

    Raises Unavailable and RPCError where the engine cannot be reached, TimeoutError after `patience`.
    """
    prepared, errors = await asyncio.to_thread(prepare, question)
    if prepared is None:
        return unsound("rehearse", question, errors)
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
    course = performance.played.course
    warnings = [*prepared.warnings, *about(course)]
    if performance.bound is not None:
        reached = performance.bound.limit / timedelta(days=1)
        warnings.append(f"{performance.bound.why}, to day {reached:.1f}, and was stopped there")
        warnings += (f"foreseen after that: {told}" for told in about(performance.played.foreseen.course))
    warnings += [
        f"{part.request_id}: {told}" for part in performance.inner for told in about(part.course) if part.differences
    ]
    called = tuple(_called(performance))
    warnings += payload_warnings(prepared.blueprint, called)
    warnings += warnings_of(performance.played.foreseen, question.script)
    agrees = _agrees(bool(performance.differences), performance.played.foreseen, question.script)
    if agrees is None:
        warnings.append(
            "explore and rehearse rest on the same made-up values, so that their agreement proves nothing; a script "
            "that gives them lets both be compared"
        )
    if performance.differences:
        warnings.append(f"the workflow differs from the core in {len(performance.differences)} places")
    return await asyncio.to_thread(
        simulation_of,
        "rehearse",
        prepared,
        course,
        errors=payload_errors(prepared.blueprint, called, prepared.given),
        warnings=warnings,
        statistics={
            "seconds": round(took, 3),
            "virtual_days": round(course.duration / timedelta(days=1), 3),
            "virtual_days_per_second": round(course.duration / timedelta(days=1) / took, 1),
            "lookups": performance.lookups,
        },
        extra={
            "workflow_id": question.request_id,
            "namespace": stage.client.namespace,
            "links": {"temporal_ui": stage.link(question.request_id)},
            "agrees_with_explore": agrees,
            "differences": list(performance.differences[:50]),
            "actions": [plain(action) for action in performance.withheld],
            "sub_processes": [_told(stage, part) for part in performance.inner],
        },
    )


async def play(stage: RehearsalStage, prepared: PreparedScenario, *, tell: Tell | None = None) -> Performance:
    """Play a prepared question on the engine with workers of its own, and compare it with what the core foresees.

    Raises RPCError where the engine cannot be reached or cannot skip time, TimeoutError where it begins nothing.
    """
    question = prepared.question
    recorders = Recorders(prepared.people, SOON)
    task_queue = f"rehearsal-{question.request_id}"
    time = VirtualTime(stage.client)
    async with AsyncExitStack() as workers:
        await workers.enter_async_context(
            approval_worker(
                stage.client,
                task_queue=task_queue,
                activities=recorders.activities,
                interceptors=[Staging()],
                workflows=(*WORKFLOWS, BeginSubProcess),
            )
        )
        if _acts(prepared.plan):
            queue = task_queue + QUEUE_SUFFIX
            await workers.enter_async_context(Worker(stage.client, task_queue=queue, activities=[recorders.run_action]))
        handle = await _start(time, prepared, task_queue)
        player = Player(time, recorders, tell)
        try:
            # Not by a query: one that meets a workflow task with a local activity splits that task, and the
            # workflow's clock then reads differently in a replay.
            kept = recorders.of(handle.id)
            if not await kept.until(lambda: kept.started_at is not None, _BEGINS):
                raise TimeoutError("the engine did not begin the request in time")
            start = kept.started_at or datetime.now(UTC)
            # In a thread, here as above and below: what takes the core seconds must not hold up the engine's tasks.
            again = PreparedScenario(replace(question, start=start))
            foreseen = await asyncio.to_thread(again.foresee)
            prepared.warnings += [told for told in again.warnings if told not in prepared.warnings]
            bound = bound_of(foreseen)
            first, *others = await player.play(handle, foreseen, bound)
        finally:
            await player.leave(handle)
        return Performance(
            played=first,
            inner=tuple(others),
            withheld=tuple(recorders.withheld),
            lookups=recorders.lookups,
            bound=bound,
        )


async def _start(time: VirtualTime, prepared: PreparedScenario, task_queue: str) -> Handle:
    question, plan = prepared.question, prepared.plan
    opening: Opening = opening_for(
        plan,
        prepared.people,
        requester=question.requester,
        given=prepared.given,
        start=datetime.now(UTC),
        request_id=question.request_id,
        title=question.title,
        read=prepared.read,
    )
    return await time.client.start_workflow(
        ApprovalWorkflow.run,
        Start(plan=plan, opening=opening, template_id="rehearsal"),
        id=question.request_id,
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=display.opening_attributes(plan, machine.opening_state(plan, opening, opening.directory_at)),
        static_summary=display.summary(plan, question.title),
    )


def _called(performance: Performance) -> Iterator[Called]:
    """Generate the actions whose schemas are broken, as the recorders found them."""
    played = performance.played
    for action in performance.withheld:
        inner = action.request_id != played.request_id
        within = node_of(played.course.entries, action.request_id) if inner else None
        if within is not None or not inner:
            yield Called(node=action.node, action=action.action, breaches=action.breaches, within=within)


def _acts(plan: Plan) -> bool:
    """Whether a process runs actions, itself or in a sub-process."""
    return bool(plan.actions) or any(_acts(child.plan) for child in plan.children.values())


def _told(stage: RehearsalStage, part: Played) -> dict[str, Any]:
    """Return what became of a sub-process, as JSON values."""
    course = part.course
    return {
        "request_id": part.request_id,
        "template": part.foreseen.plan.name,
        "version": part.foreseen.plan.version,
        "outcome": course.state.outcome,
        "end": course.state.status,
        "duration_ms": milliseconds(course.duration) if course.state.status != "pending" else None,
        "execution_path": plain(path_of(course)),
        "approval_chain": plain(chain_of(course)),
        "links": {"temporal_ui": stage.link(part.request_id)},
        "agrees_with_explore": _agrees(bool(part.differences), part.foreseen, ()),
    }


def _agrees(differs: bool, foreseen: Foreseen, script: Sequence[Line]) -> bool | None:
    """Whether the workflow did what the core foresaw; None where what both made of it rests on what was made up."""
    return False if differs else None if rests_on_assumptions(foreseen, script) else True

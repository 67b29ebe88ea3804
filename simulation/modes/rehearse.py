"""Rehearse: run the production workflow on the production engine, in virtual time, with its activities replaced.

The core simulates the request first, which says what people do and when. The workflow is then taken to each of these
times and given the same events. What it recorded has to equal the simulated run.
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
from placet.engine.bound_action import BoundAction
from placet.engine.events import Opening
from placet.plan.plan import Plan
from placet.sentences import sentence
from simulation.modes.explore import explore, simulation_of, trace_warnings
from simulation.report.result import SimulationResult, chain_of, json_value, milliseconds, path_of
from simulation.run.bounds import Bound, bound_of
from simulation.run.driver import opening_for
from simulation.run.recorders import Recorders, WithheldAction
from simulation.run.rehearsal_interceptor import BeginSubProcess, RehearsalInterceptor
from simulation.run.rehearsal_runner import RESPONSE_TIMEOUT, Handle, RehearsalRunner, RehearsedRequest
from simulation.run.time_skipping import VirtualTime, lacks_time_skipping
from simulation.scenario.prepared_scenario import PreparedScenario, invalid_result, prepare
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import ScriptLine
from simulation.world.assumptions import rests_on_assumptions, warnings_of
from simulation.world.payloads import CheckedCall, node_of, payload_errors, payload_warnings
from simulation.world.world import SimulatedRun
from workflows import display
from workflows.approval import ApprovalWorkflow
from workflows.interface import Start
from workflows.registration import WORKFLOWS, approval_worker

Tell = Callable[[dict[str, Any]], None]

# The real time after which a rehearsal is given up.
PATIENCE = timedelta(seconds=120)
# The real time that the engine may take to start a request.
_BEGINS = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class RehearsalEngine:
    """The engine for rehearsals: a client in the namespace for rehearsals, and the Web UI."""

    client: Client
    ui_url: str | None = None

    @classmethod
    def beside(cls, client: Client, namespace: str, ui_url: str | None = None) -> RehearsalEngine:
        """Return the engine of a client that works in another namespace."""
        config = client.config()
        config["namespace"] = namespace
        return cls(client=Client(**config), ui_url=ui_url)

    def link(self, workflow_id: str) -> str | None:
        """Return the URL at which the Web UI shows a rehearsal's history."""
        if self.ui_url is None:
            return None
        return f"{self.ui_url.rstrip('/')}/namespaces/{self.client.namespace}/workflows/{workflow_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A finished rehearsal: the request, its sub-processes, and the actions that were withheld."""

    rehearsed: RehearsedRequest
    inner: tuple[RehearsedRequest, ...]
    withheld: tuple[WithheldAction, ...]
    lookups: int
    limit_reached: Bound | None = None  # where it was stopped early

    @property
    def differences(self) -> tuple[dict[str, Any], ...]:
        """List where a workflow differs from the core; differences of sub-processes have their `request`."""
        theirs = ({"request": child.request_id, **found} for child in self.inner for found in child.differences)
        return (*self.rehearsed.differences, *theirs)


async def rehearse(
    engine: RehearsalEngine, scenario: Scenario, *, tell: Tell | None = None, patience: timedelta = PATIENCE
) -> SimulationResult:
    """Rehearse a request; falls back to `explore` on a server without virtual time, and says so in `warnings`.

    Raises Unavailable and RPCError where the engine cannot be reached, TimeoutError after `patience`.
    """
    prepared, errors = await asyncio.to_thread(prepare, scenario)
    if prepared is None:
        return invalid_result("rehearse", scenario, errors)
    started = perf_counter()
    try:
        async with asyncio.timeout(patience.total_seconds()):
            rehearsal = await run_on_engine(engine, prepared, tell=tell)
    except RPCError as error:
        if not lacks_time_skipping(error):
            raise
        found = await asyncio.to_thread(explore, scenario)
        why = "this Temporal server cannot skip time, so the process was explored instead of rehearsed"
        return replace(found, mode="rehearse", warnings=(why, *found.warnings), extra={"fell_back_to": "explore"})
    took = perf_counter() - started
    trace = rehearsal.rehearsed.trace
    warnings = [*prepared.warnings, *trace_warnings(trace)]
    if rehearsal.limit_reached is not None:
        reached = rehearsal.limit_reached.limit / timedelta(days=1)
        warnings.append(
            sentence(
                "{why}, to day {reached:.1f}, and was stopped there", why=rehearsal.limit_reached.why, reached=reached
            )
        )
        warnings += (
            sentence("expected after that: {told}", told=told)
            for told in trace_warnings(rehearsal.rehearsed.simulated.trace)
        )
    warnings += [
        f"{child.request_id}: {told}"
        for child in rehearsal.inner
        for told in trace_warnings(child.trace)
        if child.differences
    ]
    called = tuple(_called(rehearsal))
    warnings += payload_warnings(prepared.blueprint, called)
    warnings += warnings_of(rehearsal.rehearsed.simulated, scenario.script)
    agrees = _agrees(bool(rehearsal.differences), rehearsal.rehearsed.simulated, scenario.script)
    if agrees is None:
        warnings.append(
            "explore and rehearse used the same assumed values, so their agreement proves nothing; set these values by "
            "a script to compare both"
        )
    if rehearsal.differences:
        warnings.append(
            sentence("the workflow differs from the core in {count} places", count=len(rehearsal.differences))
        )
    return await asyncio.to_thread(
        simulation_of,
        "rehearse",
        prepared,
        trace,
        errors=payload_errors(prepared.blueprint, called, prepared.given),
        warnings=warnings,
        statistics={
            "seconds": round(took, 3),
            "virtual_days": round(trace.duration / timedelta(days=1), 3),
            "virtual_days_per_second": round(trace.duration / timedelta(days=1) / took, 1),
            "lookups": rehearsal.lookups,
        },
        extra={
            "workflow_id": scenario.request_id,
            "namespace": engine.client.namespace,
            "links": {"temporal_ui": engine.link(scenario.request_id)},
            "agrees_with_explore": agrees,
            "differences": list(rehearsal.differences[:50]),
            "actions": [json_value(action) for action in rehearsal.withheld],
            "sub_processes": [_child_result(engine, child) for child in rehearsal.inner],
        },
    )


async def run_on_engine(engine: RehearsalEngine, prepared: PreparedScenario, *, tell: Tell | None = None) -> Rehearsal:
    """Run a prepared scenario on the engine with workers of its own, and compare it with the simulated run.

    Raises RPCError where the engine cannot be reached or cannot skip time, TimeoutError where it does not start.
    """
    scenario = prepared.scenario
    recorders = Recorders(prepared.people, RESPONSE_TIMEOUT)
    task_queue = f"rehearsal-{scenario.request_id}"
    time = VirtualTime(engine.client)
    asked = prepared.action_from(datetime.now(UTC))
    async with AsyncExitStack() as workers:
        await workers.enter_async_context(
            approval_worker(
                engine.client,
                task_queue=task_queue,
                activities=recorders.activities,
                interceptors=[RehearsalInterceptor()],
                workflows=(*WORKFLOWS, BeginSubProcess),
            )
        )
        if _runs_actions(prepared.plan):
            queue = task_queue + QUEUE_SUFFIX
            await workers.enter_async_context(
                Worker(engine.client, task_queue=queue, activities=[recorders.run_action])
            )
        handle = await _start(time, prepared, task_queue, asked)
        runner = RehearsalRunner(time, recorders, tell)
        try:
            # Not by a query: one that meets a workflow task with a local activity splits that task, and the
            # workflow's clock then reads differently in a replay.
            log = recorders.of(handle.id)
            if not await log.until(lambda: log.started_at is not None, _BEGINS):
                raise TimeoutError("the engine did not start the request in time")
            start = log.started_at or datetime.now(UTC)
            # In a thread, here as above and below: seconds of work in the core must not delay the engine's tasks.
            restarted = PreparedScenario(replace(scenario, start=start, action=asked))
            simulated = await asyncio.to_thread(restarted.simulate)
            prepared.warnings += [told for told in restarted.warnings if told not in prepared.warnings]
            limit_reached = bound_of(simulated)
            first, *others = await runner.run(handle, simulated, limit_reached)
        finally:
            await runner.terminate(handle)
        return Rehearsal(
            rehearsed=first,
            inner=tuple(others),
            withheld=tuple(recorders.withheld),
            lookups=recorders.lookups,
            limit_reached=limit_reached,
        )


async def _start(time: VirtualTime, prepared: PreparedScenario, task_queue: str, asked: BoundAction | None) -> Handle:
    scenario, plan = prepared.scenario, prepared.plan
    opening: Opening = opening_for(
        plan,
        prepared.people,
        requester=scenario.requester,
        given=prepared.given,
        start=datetime.now(UTC),
        request_id=scenario.request_id,
        title=scenario.title,
        read_directory=prepared.read_directory,
        action=asked,
    )
    return await time.client.start_workflow(
        ApprovalWorkflow.run,
        Start(plan=plan, opening=opening, template_id="rehearsal", timer_lead=0.0),  # a lead would take real time
        id=scenario.request_id,
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=display.opening_attributes(plan, machine.opening_state(plan, opening, opening.directory_at)),
        static_summary=display.summary(plan),
    )


def _called(rehearsal: Rehearsal) -> Iterator[CheckedCall]:
    """Generate the action calls whose payloads break their schemas, as the recorders found them."""
    rehearsed = rehearsal.rehearsed
    for action in rehearsal.withheld:
        inner = action.request_id != rehearsed.request_id
        within = node_of(rehearsed.trace.entries, action.request_id) if inner else None
        if within is not None or not inner:
            yield CheckedCall(node=action.node, action=action.action, breaches=action.breaches, within=within)


def _runs_actions(plan: Plan) -> bool:
    """Whether a process runs actions, directly or in a sub-process."""
    return bool(plan.actions) or any(_runs_actions(child.plan) for child in plan.children.values())


def _child_result(engine: RehearsalEngine, child: RehearsedRequest) -> dict[str, Any]:
    """Return the result of a sub-process as JSON values."""
    trace = child.trace
    return {
        "request_id": child.request_id,
        "template": child.simulated.plan.name,
        "version": child.simulated.plan.version,
        "outcome": trace.state.outcome,
        "end": trace.state.status,
        "duration_ms": milliseconds(trace.duration) if trace.state.status != "pending" else None,
        "execution_path": json_value(path_of(trace)),
        "approval_chain": json_value(chain_of(trace)),
        "links": {"temporal_ui": engine.link(child.request_id)},
        "agrees_with_explore": _agrees(bool(child.differences), child.simulated, ()),
    }


def _agrees(differs: bool, simulated: SimulatedRun, script: Sequence[ScriptLine]) -> bool | None:
    """Whether the workflow equals the simulated run; None where both depend on assumed values."""
    return False if differs else None if rests_on_assumptions(simulated, script) else True

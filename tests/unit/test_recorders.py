"""What a rehearsal has instead of activities: an attempt at an action holds up virtual time while something is due."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.messages import ActionRun
from placet.definition.action_spec import ActionCall
from placet.engine.recording import recording_of
from simulation.run.recorders import Recorders, RequestLog
from simulation.scenario.prepared_scenario import prepare
from simulation.scenario.scenario import Scenario
from simulation.world.world import SimulatedRun
from tests.unit.core import START, blueprint, graph, office, spec

BILL = spec("bill", latency_class="very_slow")
CALL = ActionCall(key="r:act:1", node="act", visit=1, action="bill", input={})
NODES = {
    "f": {"type": "fork"},
    "a": {"step": "Stage 1"},
    "act": {"type": "action", "action": "bill"},
    "j": {"type": "join"},
}
DRAWN = graph("start -> f", "f -> a", "f -> act", "a -> j", "act -> j", "j -> approved", nodes=NODES)


def simulated() -> SimulatedRun:
    """Return the simulated run of a request whose stage reminds somebody while an action runs for half an hour."""
    raw = blueprint({"approvers": ["user:ann"], "reminders": {"every_hours": 0.2}}, graph_spec=DRAWN)
    scenario = Scenario(
        blueprint=raw, people=office(), requester="rita", start=START, request_id="r", actions={"bill": BILL}
    )
    prepared, errors = prepare(scenario)
    assert prepared is not None, errors
    return prepared.simulate()


def take(log: RequestLog, whole: SimulatedRun, first: int, last: int) -> asyncio.Task[None]:
    """Record these entries, by their numbers, as the workflow would."""
    trace = whole.trace
    entries = trace.entries[first - 1 : last]
    state = replace(trace.state, status="pending")
    return asyncio.create_task(log.take(recording_of(whole.plan, "template", state, entries, (), stored={})))


async def test_an_attempt_ends_once_what_is_due_is_recorded_and_not_before() -> None:
    whole = simulated()
    reminded = next(entry for entry in whole.trace.entries if entry.kind == "reminded")
    recorders = Recorders(office(), timedelta(minutes=1))
    log = recorders.of("r")
    log.expect(whole)
    await take(log, whole, 1, reminded.seq - 1)
    environment = ActivityEnvironment()
    environment.info = replace(
        environment.info, workflow_id="r", attempt=2, scheduled_time=whole.trace.started_at, started_time=reminded.at
    )
    attempt = asyncio.create_task(environment.run(recorders.run_action, ActionRun(spec=BILL, call=CALL)))
    done, _ = await asyncio.wait({attempt}, timeout=1)
    assert not done, "the engine would skip on now, and pass over the reminder"
    await take(log, whole, reminded.seq, reminded.seq)
    with pytest.raises(ApplicationError) as ended:
        await attempt
    assert ended.value.next_retry_delay == whole.trace.started_at + timedelta(minutes=30) - reminded.at


async def test_an_attempt_does_not_wait_for_what_comes_after_its_own_answer() -> None:
    whole = simulated()
    run = next(entry for entry in whole.trace.entries if entry.kind == "action_run")
    recorders = Recorders(office(), timedelta(minutes=1))
    log = recorders.of("r")
    log.expect(whole)
    await take(log, whole, 1, run.seq - 1)
    environment = ActivityEnvironment()
    late = timedelta(milliseconds=20)  # it starts later than in the simulated run, so that it ends later too
    environment.info = replace(
        environment.info, workflow_id="r", attempt=2, scheduled_time=whole.trace.started_at + late, started_time=run.at
    )
    with pytest.raises(ApplicationError) as ended:
        await environment.run(recorders.run_action, ActionRun(spec=BILL, call=CALL))
    assert ended.value.next_retry_delay == late


async def test_a_request_that_differs_from_the_core_is_waited_for_once() -> None:
    log = Recorders(office(), timedelta(0)).of("r")
    await log.reached(1, timedelta(0))
    async with asyncio.timeout(30):
        await log.reached(1, timedelta(minutes=1))

"""How fast simulations are: paths, requests, virtual days and past requests per second, and what bounds each.

`measure` is a section of `python -m tests.bench`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from engine_host.namespaces import prepare
from engine_host.serve import start_engine
from placet.definition.bpmn import import_bpmn
from placet.definition.model import parse_definition
from placet.plan.compiler import compile_plan
from simulation.modes.backtest import Candidate, Case, backtest
from simulation.modes.explore import explore
from simulation.modes.rehearse import RehearsalEngine, rehearse
from simulation.run.driver import directory_reader, drive, opening_for
from simulation.scenario.scenario import Scenario
from simulation.scenario.script import parse_script
from simulation.world.scripted_people import ScriptedPeople
from tests.bench import spiff
from tests.unit.core import START, blueprint, office
from worker.connect import EngineSettings, connect

TWO_STEPS = blueprint(
    {"sla_hours": 24, "escalation_to": "department_head"}, {"approvers": ["role:cfo"], "sla_hours": 48}
)
# Twelve nodes: a trigger, two decisions, six approvals and three ends.
TWELVE: dict[str, Any] = {
    **blueprint(
        {},
        {"approvers": ["role:cfo"]},
        {"approvers": ["user:ceo"]},
        {"approvers": ["user:dh"]},
        {"approvers": ["group:finance"]},
        {"approvers": ["user:ann"]},
        variables=[
            {"name": "amount", "type": "decimal", "required": True},
            {"name": "travel", "type": "boolean", "required": True},
        ],
    ),
    "graph_spec": {
        "nodes": [
            {"id": "start", "type": "trigger"},
            *({"id": f"s{n}", "type": "approval", "step": f"Stage {n}"} for n in range(1, 7)),
            {"id": "large", "type": "decision"},
            {"id": "abroad", "type": "decision"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
            {"id": "back", "type": "terminator", "outcome": "sent_back"},
        ],
        "edges": [
            {"from": "start", "to": "s1"},
            {"from": "s1", "to": "large", "on": "approved"},
            {"from": "s1", "to": "no", "on": "rejected"},
            {"from": "large", "to": "s2", "condition": "amount > 5000"},
            {"from": "large", "to": "s4", "condition": "amount > 1000"},
            {"from": "large", "to": "yes", "default": True},
            {"from": "s2", "to": "s3", "on": "approved"},
            {"from": "s2", "to": "no", "on": "rejected"},
            {"from": "s3", "to": "abroad", "on": "approved"},
            {"from": "s3", "to": "back", "on": "rejected"},
            {"from": "s4", "to": "abroad", "on": "approved"},
            {"from": "s4", "to": "no", "on": "rejected"},
            {"from": "abroad", "to": "s5", "condition": "travel"},
            {"from": "abroad", "to": "s6", "default": True},
            {"from": "s5", "to": "yes", "on": "approved"},
            {"from": "s5", "to": "no", "on": "rejected"},
            {"from": "s6", "to": "yes", "on": "approved"},
            {"from": "s6", "to": "back", "on": "rejected"},
        ],
    },
}


def requests_per_second(rounds: int = 7, count: int = 500) -> tuple[float, float]:
    """Run one-step requests through the core in virtual time and through SpiffWorkflow, taking turns.

    Returns the median round's requests a second of processor time, of each.
    """
    plan = compile_plan(parse_definition(import_bpmn(spiff.ONE_STEP.read_bytes()).blueprint), start=START)
    org = office()
    read = directory_reader(plan, org)
    numbers = itertools.count()

    def ours() -> None:
        name = f"r{next(numbers)}"
        opening = opening_for(plan, org, requester="rita", given={}, start=START, request_id=name, read_directory=read)
        assert drive(plan, opening, ScriptedPeople(plan=plan), read_directory=read).state.outcome == "approved"

    theirs = spiff.ready()
    rates: tuple[list[float], list[float]] = ([], [])
    for work in (ours, theirs):
        work()
    for _ in range(rounds):
        for work, found in zip((ours, theirs), rates, strict=True):
            found.append(count / _timed(partial(_repeated, work, count)))
    return statistics.median(rates[0]), statistics.median(rates[1])


def exploration() -> tuple[int, float]:
    """Explore the process of twelve nodes; its branches, and the median run's seconds of processor time."""
    scenario = _question(TWELVE, given={"amount": "7200", "travel": True})
    found = explore(scenario)
    assert not found.warnings, found.warnings
    return len(found.branch_explorations), statistics.median(_timed(lambda: explore(scenario)) for _ in range(15))


def backtesting(count: int = 10_000) -> tuple[float, int]:
    """Put past two-stage requests through a candidate; seconds of processor time, and how many are known."""
    draw = random.Random(1)
    plan = compile_plan(parse_definition(TWO_STEPS), start=START)
    org = office()
    read = directory_reader(plan, org)
    made: list[Case] = []
    for _ in range(200):
        script = parse_script([{"decision": "approve", "after_hours": draw.uniform(1, 30)}])
        opening = opening_for(plan, org, requester="rita", given={}, start=START, request_id="r", read_directory=read)
        trace = drive(plan, opening, ScriptedPeople(plan=plan, lines=script), read_directory=read)
        made.append(
            Case(
                id="r",
                requester="rita",
                given={},
                status="completed",
                outcome=trace.state.outcome,
                started_at=START,
                ended_at=trace.state.ended_at,
                entries=trace.entries,
            )
        )
    cases = [replace(made[n % len(made)], id=f"r{n}") for n in range(count)]
    candidate = Candidate.of(blueprint({"sla_hours": 30, "escalation_to": "department_head"}), org)
    begun = process_time()
    found = backtest(candidate, cases)
    return process_time() - begun, found.totals["known"]


async def rehearsing(home: Path) -> tuple[float, float, float]:
    """Rehearse five days and a year of daily reminders; seconds of each, and virtual days a second of the year."""
    async with await start_engine(home / "engine", database="memory", ui=False, progress=lambda _: None) as there:
        settings = EngineSettings(address=there.address)
        await prepare(settings, embedded=True)
        client = await connect(settings, namespace=settings.rehearsal_namespace)
        stage = RehearsalEngine(client=client)
        five = [{"on": "Stage 1", "decision": "approve", "at_hours": 119}]
        daily = blueprint({"reminders": {"every_hours": 24}})
        await rehearse(stage, _live(daily, five))  # the first one loads the workflow's modules
        days: list[float] = []
        for _ in range(5):
            begun = perf_counter()
            found = await rehearse(stage, _live(daily, five))
            days.append(perf_counter() - begun)
            assert found.extra["agrees_with_explore"], found.extra["differences"]
        begun = perf_counter()
        year = [{"on": "Stage 1", "decision": "approve", "at_hours": 365 * 24 + 1}]
        await rehearse(stage, _live(daily, year))
        took = perf_counter() - begun
        return statistics.median(days), took, 365 / took


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    rate, other = await asyncio.to_thread(requests_per_second)
    branches, seconds = await asyncio.to_thread(exploration)
    past, known = await asyncio.to_thread(backtesting)
    five, year, days = await rehearsing(home)
    rows = (
        ("what", "figure", "bound by"),
        ("---", "---", "---"),
        (
            "one-step requests explored",
            f"{rate:,.0f} a second and core",
            "the core's Python; writing and hashing five audit entries is a third of it",
        ),
        (
            f"the same process in {spiff.NAME}, taking turns",
            f"{other:,.0f} a second and core",
            "its walks through the tree of tasks",
        ),
        (
            f"process of 12 nodes, all {branches} branches",
            f"{seconds * 1000:.1f} ms, {branches / seconds:,.0f} paths a second",
            "driving each branch through the core",
        ),
        ("five days with daily reminders rehearsed", f"{five:.2f} s", "starting a worker, then a task a reminder"),
        (
            "a year with daily reminders rehearsed",
            f"{year:.1f} s, {days:,.0f} virtual days a second",
            "the server, for each skip of time",
        ),
        (f"10,000 past requests backtested ({known:,} known)", f"{past:.1f} s of one core", "as exploring"),
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _question(raw: dict[str, Any], **more: Any) -> Scenario:
    return Scenario(blueprint=raw, people=office(), requester="rita", start=START, **more)


def _live(raw: dict[str, Any], script: list[dict[str, Any]]) -> Scenario:
    scenario = _question(raw, script=parse_script(script), request_id=f"bench-{uuid.uuid4().hex[:12]}")
    return replace(scenario, start=datetime.now(UTC))


def _repeated(work: Callable[[], None], count: int) -> None:
    for _ in range(count):
        work()


def _timed(work: Callable[[], Any]) -> float:
    begun = process_time()
    work()
    return process_time() - begun

"""Many starts at once: whether each begins, how long its caller waits, and how long its first workflow task does."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client

from tests.approvals import EXPENSE
from tests.bench import options
from tests.processes import STAFF, Caller, Parts, installation
from worker.connect import EngineSettings, connect

STARTS = options.starts(10_000)
IN_FLIGHT = options.in_flight(64)[0]
READ_AT_ONCE = 8
FIRST_EVENTS = 20  # of a history: the first workflow task and what became of it
LOST = {EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED}


@dataclass
class Sample:
    """What one run saw; times in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    answered: list[float] = field(default_factory=list)  # how long callers waited
    first: list[float] = field(default_factory=list)  # how long first workflow tasks did
    eager: int = 0  # how many were handed over with the start
    lost: int = 0  # workflow tasks that timed out or failed
    seconds: float = 0.0


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    with installation(home / "together") as place:
        tokens = await asyncio.to_thread(place.load, STAFF)
        _, where = await asyncio.to_thread(place.up)
        together = await _run(where["api"], where["temporal"], tokens)
    with installation(home / "apart") as place:
        parts = await asyncio.to_thread(Parts, place)
        apart = await _run(parts.api_url, parts.there["TEMPORAL_ADDRESS"], parts.tokens)
    return _table({"`placet up`": together, "API and worker, each started alone": apart})


async def _run(api: str, engine: str, tokens: dict[str, str]) -> Sample:
    await asyncio.to_thread(_publish, Caller(api, tokens["olivia"]))
    sample = Sample()
    left = iter(range(STARTS))
    headers = {"Authorization": f"Bearer {tokens['ann']}"}
    limits = httpx.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    began = time.perf_counter()
    async with httpx.AsyncClient(base_url=api, timeout=120, limits=limits, headers=headers, trust_env=False) as http:

        async def client() -> None:
            for number in left:
                asked = time.perf_counter()
                body = {"template": EXPENSE["name"], "input": {"amount": number}}
                answer = await http.post("/api/v1/workflow/requests/", json=body)
                sample.answered.append(time.perf_counter() - asked)
                sample.statuses[answer.status_code] += 1

        await asyncio.gather(*(client() for _ in range(IN_FLIGHT)))
    sample.seconds = time.perf_counter() - began
    await _read_histories(await connect(EngineSettings(address=engine)), sample)
    return sample


def _publish(olivia: Caller) -> None:
    template = olivia("POST", "process-templates/", EXPENSE, expect=201)
    olivia("POST", f"process-templates/{template['id']}/publish/")


async def _read_histories(client: Client, sample: Sample) -> None:
    """Look at every request that the engine holds, also those whose caller got no answer."""
    room = asyncio.Semaphore(READ_AT_ONCE)

    async def one(workflow_id: str) -> None:
        async with room:
            _take(await _first_events(client, workflow_id), sample)

    async with asyncio.TaskGroup() as group:
        async for found in client.list_workflows("WorkflowType='ApprovalWorkflow'"):
            group.create_task(one(found.id))


async def _first_events(client: Client, workflow_id: str) -> list[HistoryEvent]:
    question = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id),
        maximum_page_size=FIRST_EVENTS,
    )
    return list((await client.workflow_service.get_workflow_execution_history(question)).history.events)


def _take(events: list[HistoryEvent], sample: Sample) -> None:
    def at(kind: Any) -> float:
        moment = next(event.event_time for event in events if event.event_type == kind)
        return float(moment.seconds) + float(moment.nanos) / 1e9

    sample.eager += events[0].workflow_execution_started_event_attributes.eager_execution_accepted
    sample.lost += sum(event.event_type in LOST for event in events)
    sample.first.append(
        at(EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED) - at(EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)
    )


def _table(samples: dict[str, Sample]) -> str:
    columns = (
        f"{STARTS:,} starts, {IN_FLIGHT} in flight",
        "answers",
        "starts/s",
        "answered p50 / p99 / max s",
        "first task waits p50 / p99 / max s",
        "handed over with the start",
        "tasks lost",
    )
    lines = [f"| {' | '.join(columns)} |", "|---|---|---:|---:|---:|---:|---:|"]
    for name, sample in samples.items():
        statuses = ", ".join(f"{number:,} of {status}" for status, number in sorted(sample.statuses.items()))
        lines.append(
            f"| {name} | {statuses} | {STARTS / sample.seconds:.1f} | {_spread(sample.answered)} "
            f"| {_spread(sample.first)} | {sample.eager:,} | {sample.lost} |"
        )
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return " / ".join(f"{ordered[min(int(len(ordered) * share), len(ordered) - 1)]:.2f}" for share in (0.5, 0.99, 1))

"""How late escalations are, beside a bare timer with an activity on the same server in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import statistics
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from placet.engine.events import Extend
from storage.database import Database
from storage.queries.requests.escalations import late_by
from tests.approvals import EXPENSE, PEOPLE, Desk, by
from tests.bench.bare_timer import TASK_QUEUE, BareTimer
from tests.processes import installation
from tests.waiting import until
from worker.connect import EngineSettings, connect
from workflows.approval import ApprovalWorkflow

TASKS = {200: 3, 2000: 1}  # how many, and in how many rounds, in which bare and Placet take turns
WINDOW = 10.0  # seconds in which all of them fall due
IN_FLIGHT = 8  # starts at a time
MARGIN = 15.0  # seconds between the last start, as it is expected, and the first deadline
WARM = 40  # tasks that warm up, and tell how fast others can be started
FASTEST = 25.0  # starts a second to count on at most: the first workflow tasks are still to be done
SLACK = 2.0  # starts may become so many times slower than they were while it warmed up
TOO_SLOW = "this machine starts them too slowly; nothing can be said of lateness"
PATIENCE = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """The lateness of each task in seconds, and the span of their deadlines."""

    seconds: tuple[float, ...]
    window: float

    def at(self, share: float) -> float:
        """Return the lateness that this share of all does not exceed, in milliseconds."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[round(share * 100) - 1] * 1000

    @property
    def max(self) -> float:
        """The worst, in milliseconds."""
        return max(self.seconds) * 1000


Start = Callable[[datetime], Awaitable[Any]]


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    return _table(await compare(home, TASKS))


async def compare(
    home: Path, sizes: Mapping[int, int], *, at_least: tuple[float, float] = (1.0, 2.0)
) -> dict[int, tuple[Late, Late]]:
    """Return Placet's lateness and bare's for each number of tasks, with as many rounds as `sizes` says.

    `at_least` are the starts a second to count on until it is known: of Placet, and of bare.
    """
    with installation(home) as place:
        rows = tuple({"name": p["id"], "email": f"{p['id']}@example.com"} | p for p in PEOPLE)
        await asyncio.to_thread(place.load, rows)
        _, where = place.up()
        place.spawn(program=[sys.executable, "-m", "tests.bench.bare_timer"], TEMPORAL_ADDRESS=where["temporal"])
        client = await connect(EngineSettings(address=where["temporal"]))
        database = Database(f"sqlite:///{home / 'placet.db'}")
        desk = Desk(client=client, database=database, task_queue="placet")
        try:
            bare_pace = (await _bare(client, WARM, at_least[1]))[1]
            pace = (await _ours(desk, home, WARM, at_least[0]))[1]
            results = {}
            for tasks, rounds in sizes.items():
                pairs = [
                    ((await _ours(desk, home, tasks, pace))[0], (await _bare(client, tasks, bare_pace))[0])
                    for _ in range(rounds)
                ]
                results[tasks] = (_together([ours for ours, _ in pairs]), _together([bare for _, bare in pairs]))
        finally:
            await database.close()
    return results


async def _bare(client: Client, tasks: int, pace: float) -> tuple[Late, float]:
    handles: list[WorkflowHandle[BareTimer, tuple[str, float]]] = []

    async def start(due: datetime) -> None:
        name = f"bare-{uuid.uuid4()}"
        handle = await client.start_workflow(BareTimer.run, due.isoformat(), id=name, task_queue=TASK_QUEUE)
        handles.append(handle)
        await handle.query(BareTimer.waits)  # answered once its timer is set

    pace = await _start(start, tasks, pace)
    # Asked one after the other: two thousand that wait for results would be a load of their own.
    results = [await handle.result() for handle in handles]
    return _late([(datetime.fromisoformat(due), late) for due, late in results]), pace


async def _ours(desk: Desk, home: Path, tasks: int, pace: float) -> tuple[Late, float]:
    ids: set[str] = set()

    async def start(due: datetime) -> None:
        # An SLA runs from the moment at which the engine takes the request, which nobody knows beforehand: the
        # deadline is moved to its moment once the stage is open.
        step = EXPENSE["process_steps"][0] | {"reminders": None}
        handle = await desk.start(EXPENSE | {"process_steps": [step], "settings": {"warn_before_hours": 0}})
        ids.add(handle.id)
        await handle.execute_update(ApprovalWorkflow.extend, Extend(by=by("olivia", admin=True), due_at=due))

    async def all_of_them() -> list[tuple[datetime, float]]:
        await asyncio.sleep(1)  # so that looking costs next to nothing
        found = await asyncio.to_thread(_escalations, home, ids)
        return found if len(found) == tasks else []

    pace = await _start(start, tasks, pace)
    found = await until(all_of_them, seconds=PATIENCE, what="every escalation")
    return _late(found), pace


async def _start(start: Start, tasks: int, pace: float) -> float:
    """Start so many, each with its moment in the window, before the first comes; return at which pace to count on.

    `pace` is in starts a second.
    """
    begun = datetime.now(UTC)
    first = begun + timedelta(seconds=MARGIN + SLACK * tasks / pace)
    moments = iter([first + timedelta(seconds=WINDOW * n / tasks) for n in range(tasks)])

    async def lane() -> None:
        for due in moments:
            assert datetime.now(UTC) < first, TOO_SLOW
            await start(due)

    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))
    now = datetime.now(UTC)
    assert now < first, TOO_SLOW
    return min(FASTEST, 0.8 * tasks / (now - begun).total_seconds())


def _escalations(home: Path, ids: set[str]) -> list[tuple[datetime, float]]:
    """Return when each request's escalation was due, and how many seconds later it was recorded."""
    with contextlib.closing(sqlite3.connect(home / "placet.db")) as rows:
        query = "SELECT request_id, detail, recorded_at FROM audit_entry WHERE kind = 'escalated'"
        return [
            (datetime.fromisoformat(json.loads(detail)["due"]), late_by(json.loads(detail), _utc(at)))
            for request_id, detail, at in rows.execute(query)
            if request_id in ids
        ]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _late(found: Sequence[tuple[datetime, float]]) -> Late:
    moments = [due for due, _ in found]
    window = (max(moments) - min(moments)).total_seconds()
    return Late(seconds=tuple(late for _, late in found), window=window)


def _together(rounds: Sequence[Late]) -> Late:
    seconds = tuple(late for one in rounds for late in one.seconds)
    return Late(seconds=seconds, window=max(one.window for one in rounds))


def _table(results: dict[int, tuple[Late, Late]]) -> str:
    lines = [
        "| tasks | due within s | Placet p50 / p99 / max ms | bare p50 / p99 / max ms | ratio p50 | ratio p99 |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for tasks, (ours, bare) in results.items():
        lines.append(
            f"| {tasks:,} | {ours.window:.1f}, {bare.window:.1f} | {_three(ours)} | {_three(bare)} "
            f"| **{ours.at(0.5) / bare.at(0.5):.2f}** | **{ours.at(0.99) / bare.at(0.99):.2f}** |"
        )
    return "\n".join(lines)


def _three(late: Late) -> str:
    values: Sequence[float] = (late.at(0.5), late.at(0.99), late.max)
    return " / ".join(f"{value:,.0f}" for value in values)

"""The scanner that people write instead: every 15 minutes, look for open tasks that are overdue, and mark them.

It runs on rows of Placet's own table. Its cost is measured; its lateness follows from the phase at which a deadline
falls between two scans, and from how long the scan takes until it comes to the task.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, select
from sqlmodel import col

from storage.database import Database
from storage.migrate import migrate
from storage.tables.approvals import ApprovalTask
from tests.stored import reading, writing

EVERY = 900.0  # seconds between two scans
SLA = 24 * 3600.0  # seconds; with deadlines spread over it, every 96th open task falls due between two scans
OPEN = (10_000, 100_000)
ROUNDS = 5
DRAWN = 100_000  # deadlines drawn for the distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What scans of so many open rows cost, in seconds, at the median: looking, and marking each task found."""

    found: int
    looking: float
    marking: float


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    lines = [
        "| open rows | overdue at a scan | looking ms | marking ms | lateness p50 / p99 / max s |",
        "|---:|---:|---:|---:|---:|",
    ]
    for rows in OPEN:
        scan = await _scan(home / f"scanner-{rows}.db", rows)
        late = _lateness(scan)
        p99 = statistics.quantiles(late, n=100, method="inclusive")[98]
        lines.append(
            f"| {rows:,} | {scan.found:,} | {scan.looking * 1000:.0f} | {scan.marking * 1000:.0f} "
            f"| {statistics.median(late):.0f} / {p99:.0f} / {max(late):.0f} |"
        )
    return "\n".join(lines)


async def _scan(file: Path, rows: int) -> Scan:
    url = f"sqlite:///{file}"
    await migrate(url)
    database = Database(url)
    now = datetime.now(UTC)
    try:
        await _fill(database, rows, now)
        looking, marking, found = [], [], []
        for number in range(1, ROUNDS + 1):
            at = now + timedelta(seconds=EVERY * number)
            begun = time.perf_counter()
            with reading(database) as session:
                overdue = col(ApprovalTask.status) == "open", col(ApprovalTask.due_at) <= at
                query = select(ApprovalTask).where(*overdue, col(ApprovalTask.sla_state) != "breached")
                tasks = list(session.scalars(query))
            looking.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            with writing(database) as session:
                for task in tasks:
                    there = session.get_one(ApprovalTask, task.id)
                    there.sla_state, there.escalation_level = "breached", there.escalation_level + 1
            marking.append(time.perf_counter() - begun)
            found.append(len(tasks))
    finally:
        await database.close()
    return Scan(
        found=round(statistics.median(found)),
        looking=statistics.median(looking),
        marking=statistics.median(marking),
    )


async def _fill(database: Database, rows: int, now: datetime) -> None:
    drawn = random.Random(rows)
    tasks = [
        {
            "id": f"r{number}.1",
            "request_id": f"r{number}",
            "position": 1,
            "stage": "Manager Approval",
            "round": 1,
            "assignee": f"p{number % 500}",
            "candidates": [],
            "delegates": [],
            "assigned_via": "manager_of(requester)",
            "status": "open",
            "opened_at": now,
            "due_at": now + timedelta(seconds=drawn.uniform(0, SLA)),
            "sla_state": "ok",
            "escalation_level": 0,
        }
        for number in range(rows)
    ]
    with writing(database) as session:
        session.execute(insert(ApprovalTask), tasks)


def _lateness(scan: Scan) -> list[float]:
    """Draw deadlines between two scans, and say how many seconds later each is marked."""
    drawn = random.Random(1)
    return [EVERY * (1 - drawn.random()) + scan.looking + scan.marking * drawn.random() for _ in range(DRAWN)]

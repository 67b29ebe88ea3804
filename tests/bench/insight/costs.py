"""The report of costs: how long it takes for as many requests as one answer may have, and how much memory."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import Connection, insert

from insight.costs.stored import MOST_REQUESTS
from insight.mining.history import Case, Task
from service.costs.asking import order_of
from service.costs.report import cost_report
from storage.database import Database
from storage.migrate import migrate
from storage.tables.approvals import AuditEntry, DefinitionVersion
from tests.bench import options
from tests.bench.insight.speed import store
from tests.bench.insight.tables import megabytes, table
from tests.planted import START, Planted, blueprint, planted, shifts

REQUESTS = 20_000, MOST_REQUESTS
_PART = 2_000
_NOW = datetime(2026, 12, 31, tzinfo=UTC)
_PRICES = {"approver_hour": "60", "delay_hour": "0.5"}


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    rows = []
    for requests in options.stored(*REQUESTS):
        url = f"sqlite:///{home / f'costs_{requests}.db'}"
        entries = await _fill(url, requests)
        took = await asyncio.to_thread(_alone, url)
        rows.append(
            [
                f"{requests:,}",
                f"{entries:,}",
                f"{took['rows']}",
                f"**{took['seconds']:.1f} s**",
                f"{took['processor']:.1f} s",
                f"{took['peak']:.0f} MB",
            ]
        )
    head = ["requests", "audit entries", "rows", "report, by stage and month", "of that processor", "at most"]
    return table(head, rows)


async def _fill(url: str, requests: int) -> int:
    await migrate(url)
    database, made, count = Database(url), planted(2, {"rework"}, _PART), 0
    try:
        await database.write(_define)
        for number in range(requests // _PART):
            count += await database.write(_store, shifts(made, number, timedelta(days=number % 180)))
    finally:
        await database.close()
    return count


def _define(connection: Connection) -> None:
    row = {
        "id": "planted",
        "name": "Planted",
        "version": "1.0.0",
        "template_type": "approval",
        "status": "published",
        "digest": "0",
        "blueprint": blueprint(),
        "created_by": "olivia",
        "created_at": START,
    }
    connection.execute(insert(DefinitionVersion), [row])


def _store(connection: Connection, made: Planted) -> int:
    """Store requests with their tasks and audit entries, and return how many entries these were."""
    store(connection, made)
    tasks = {ident: list(some) for ident, some in groupby(made.tasks, attrgetter("request_id"))}
    rows = [row for case in made.cases for row in _entries(case, tasks[case.request_id])]
    connection.execute(insert(AuditEntry), rows)
    return len(rows)


def _entries(case: Case, tasks: list[Task]) -> Iterator[dict[str, Any]]:
    """Yield the entries of a request from which costs are computed, in their order."""
    said: list[tuple[datetime, str, str | None, str | None]] = [(case.started_at, "started", None, None)]
    placed = [(f"{case.request_id}.{place}", task) for place, task in enumerate(tasks, 1)]
    for (stage, _), visit in groupby(placed, lambda one: (one[1].stage, one[1].round)):
        some = list(visit)
        decided = [(ident, task.decided_at) for ident, task in some if task.decided_at is not None]
        end = max(at for _, at in decided)
        said += [(task.opened_at, "task_opened", stage, ident) for ident, task in some]
        said += sorted((at, "decided", stage, ident) for ident, at in decided)
        said += [(end, "task_closed", stage, ident) for ident, task in some if task.decided_at is None]
        returned = any(task.decision == "request_changes" for _, task in some)
        said.append((end, "changes_requested" if returned else "stage_settled", stage, None))
    assert case.ended_at is not None
    said.append((case.ended_at, "completed", None, None))
    for seq, (at, kind, stage, task_id) in enumerate(said, 1):
        yield {
            "request_id": case.request_id,
            "seq": seq,
            "at": at,
            "kind": kind,
            "actor": "system",
            "stage": stage,
            "task_id": task_id,
            "detail": "{}",
            "hash": "0" * 64,
            "recorded_at": at,
        }


async def _report(url: str) -> dict[str, Any]:
    database = Database(url)
    order = order_of(
        _NOW, since="2026-01", until="2027-01", zone="Europe/Berlin", group_by="stage,month", template=None,
        prices=_PRICES,
    )  # fmt: skip
    try:
        begun, cpu = perf_counter(), process_time()
        report = await cost_report(database, None, order, clock=lambda: _NOW, seconds=None)
        seconds, processor = perf_counter() - begun, process_time() - cpu
    finally:
        await database.close()
    return {"rows": len(report.rows), "seconds": seconds, "processor": processor, "peak": megabytes()}


def _alone(url: str) -> dict[str, Any]:
    """Do it in a process of its own, whose largest memory is that of nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.insight.costs", url], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_report(sys.argv[1]))))

"""How long a million decisions take to be mined, from memory and from a database, and the memory that this takes.

Each is measured in a process of its own, so that its memory is that of nothing else.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import Connection, insert, text

from insight.mining.history import Case, History, Task
from insight.mining.mine import mine
from insight.mining.stored import read_history
from storage.database import Database
from storage.migrate import migrate
from storage.tables.approvals import ApprovalRequest, ApprovalTask
from tests.bench import options
from tests.bench.insight.tables import megabytes, table
from tests.planted import START, Planted, blueprint, planted, shifts
from tests.postgresql import Share

DECISIONS = 100_000, 1_000_000
WHERE = ("memory", "sqlite", "postgresql")
GOAL = 10.0  # seconds for a million, read and mined
LEAST = 10
_TOGETHER = 10_000  # requests of one statement
_PART = 2_000  # requests that are made by drawing; the others are these again, later and by other people


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    rows: list[list[str]] = []
    share = Share(home, durable=True)
    try:
        for where in options.what(WHERE):
            for decisions in options.stored(*DECISIONS):
                url = await _filled(where, decisions, home, share)
                took = await asyncio.to_thread(_alone, decisions, url)
                rows.append(_row(where, took))
    finally:
        share.close()
    head = [
        "decisions from", "decisions", "tasks", "requests", "reading, s", "of that processor, s", "mining, s",
        "together, s", "memory with the history", "at most",
    ]  # fmt: skip
    return table(head, rows)


def _row(where: str, took: dict[str, Any]) -> list[str]:
    return [
        {"memory": "memory", "sqlite": "SQLite", "postgresql": "PostgreSQL"}[where],
        f"{took['decisions']:,}",
        f"{took['tasks']:,}",
        f"{took['requests']:,}",
        f"{took['read']:.1f}" if where != "memory" else "",
        f"{took['processor']:.1f}" if where != "memory" else "",
        f"{took['mined']:.1f}",
        f"**{took['read'] + took['mined']:.1f}**" if where != "memory" else f"**{took['mined']:.1f}**",
        f"{took['held']:.0f} MB",
        f"{took['peak']:.0f} MB",
    ]


def part() -> Planted:
    """Return what the large history is made of."""
    return planted(1, {"approved rule", "same end"}, _PART)


def shifted(decisions: int) -> Iterator[Planted]:
    """Yield parts of a history until they have so many decisions."""
    made, count, number = part(), 0, 0
    while count < decisions:
        more = shifts(made, number)
        yield more
        count += sum(task.decision is not None for task in more.tasks)
        number += 1


async def _filled(where: str, decisions: int, home: Path, share: Share) -> str:
    """Store the history and return the URL of its database; an empty one for memory."""
    if where == "memory":
        return ""
    if where == "sqlite":
        url = f"sqlite:///{home / f'mining_{decisions}.db'}"
    else:
        server = await asyncio.to_thread(share.server)
        server.run(f"CREATE DATABASE mining_{decisions}")
        url = server.url(f"mining_{decisions}")
    await migrate(url)
    database = Database(url)
    try:
        for more in shifted(decisions):
            await database.write(store, more)
        if database.dialect == "postgresql":
            # As its own upkeep does.
            await database.write(lambda connection: connection.execute(text("ANALYZE")))
    finally:
        await database.close()
    return url


def store(connection: Connection, made: Planted) -> None:
    """Store requests and their tasks as the recorder would."""
    tasks: dict[str, list[Task]] = {}
    for task in made.tasks:
        tasks.setdefault(task.request_id, []).append(task)
    cases = iter(made.cases)
    while some := list(islice(cases, _TOGETHER)):
        connection.execute(insert(ApprovalRequest), [_request(case) for case in some])
        connection.execute(
            insert(ApprovalTask),
            [_task(task, place) for case in some for place, task in enumerate(tasks.get(case.request_id, ()), 1)],
        )


def _request(case: Case) -> dict[str, Any]:
    return {
        "id": case.request_id,
        "template_id": "planted",
        "template": case.template,
        "version": case.version,
        "title": f"Request {case.request_id} of somebody for something",
        "input": dict(case.values),
        "requester": "rita",
        "owner": "olivia",
        "status": "completed",
        "outcome": case.outcome,
        "round": 1,
        "returned": False,
        "revision": 1,
        "seq": 9,
        "head": "0" * 64,
        "started_at": case.started_at,
        "ended_at": case.ended_at,
    }


def _task(task: Task, place: int) -> dict[str, Any]:
    return {
        "id": f"{task.request_id}.{place}",
        "request_id": task.request_id,
        "position": place,
        "stage": task.stage,
        "round": task.round,
        "assignee": task.assignee,
        "candidates": [],
        "delegates": [],
        "assigned_via": task.assigned_via,
        "status": "superseded" if task.decision is None else "decided",
        "opened_at": task.opened_at,
        "due_at": task.due_at,
        "sla_state": "ok",
        "escalation_level": task.escalations,
        "decision": task.decision,
        "decided_by": task.assignee if task.decision is not None else None,
        "decided_at": task.decided_at,
        "comment": None,
        "revision": 1,
        "content_digest": "0" * 64,
    }


def mined(decisions: int, url: str) -> dict[str, Any]:
    """Read a history and mine it; seconds, and the megabytes that this process held."""
    begun, cpu = perf_counter(), process_time()
    history = asyncio.run(_read(url)) if url else _made(decisions)
    read, processor, held = perf_counter() - begun, process_time() - cpu, megabytes()
    begun = perf_counter()
    found = mine(blueprint(part().truths), history, LEAST)
    undecided = history.tasks.decisions.find(None)
    return {
        "decisions": sum(one != undecided for one in history.tasks.decision),
        "tasks": len(history.tasks),
        "requests": len(history.cases),
        "read": read,
        "processor": processor,
        "held": held,
        "mined": perf_counter() - begun,
        "peak": megabytes(),
        "found": len(found),
    }


def _made(decisions: int) -> History:
    history = History()
    for more in shifted(decisions):
        for case in more.cases:
            history.add_case(case)
        for task in more.tasks:
            history.add_task(task)
    return history


async def _read(url: str) -> History:
    database = Database(url)
    try:
        since = START - timedelta(days=1)
        # The bound counts tasks, of which there are more than decisions.
        return await read_history(
            database, "Planted", since=since, now=START + timedelta(days=36_500), most=2 * max(DECISIONS)
        )
    finally:
        await database.close()


def _alone(decisions: int, url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.insight.speed", str(decisions), url],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(mined(int(sys.argv[1]), sys.argv[2])))

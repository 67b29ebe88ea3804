"""How long the transparency log takes at a million leaves: to add to it, to sign it, to prove of it, and to verify it.

Leaves are added as a worker adds them, 500 in a transaction. Timed is each step with its reads and writes, one after
the other, in one process.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from placet.audit.receipts import ReceiptKey
from placet.transparency.leaves import Leaf
from placet.transparency.tree import consistency_plan, inclusion_plan
from service.receipts import signing_key
from service.transparency.growth import BATCH
from service.transparency.proofs import hashes_of, inclusion_of
from service.transparency.verifying import verify_log
from storage.database import Database
from storage.migrate import migrate
from storage.recording.transparency_log import add_checkpoint, append
from tests.approvals import SECRET
from tests.bench import options
from tests.postgresql import Share

DATABASES = ("sqlite", "postgresql")
LEAVES = options.stored(1_000_000)
TIMES = 50
ORIGIN = "log.example/bench"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)

Timed = dict[str, list[float]]


async def measure(home: Path) -> str:
    """Measure, and return the figures as Markdown."""
    lines = ["| database | leaves | step | median | p99 |", "|---|---:|---|---:|---:|"]
    share = Share(home, durable=True)
    try:
        for kind in options.what(DATABASES):
            for leaves in LEAVES:
                name = f"log_{leaves}"
                if kind == "postgresql":
                    server = await asyncio.to_thread(share.server)
                    server.run(f"CREATE DATABASE {name}")
                    url = server.url(name)
                else:
                    url = f"sqlite:///{home / name}.db"
                await migrate(url)
                database = Database(url)
                try:
                    found = await _steps(database, leaves)
                finally:
                    await database.close()
                lines += [
                    f"| {kind} | {leaves:,} | {step} | {_at(took, 0.5)} | {_at(took, 0.99)} |"
                    for step, took in found.items()
                ]
    finally:
        share.close()
    return "\n".join(lines)


def _leaf(number: int) -> Leaf:
    return Leaf(chain=f"request-{number:032x}", seq=4, head=f"{number:064x}")


async def _steps(database: Database, leaves: int) -> Timed:
    key = await signing_key(database, SECRET, NOW)
    for start in range(0, leaves, BATCH):
        await database.write(append, [_leaf(n) for n in range(start, min(start + BATCH, leaves))], NOW)
    await database.write(add_checkpoint, key, ORIGIN, NOW)
    drawn = random.Random(leaves)
    found: Timed = {}
    size = leaves
    for turn in range(TIMES):
        more = [_leaf(n) for n in range(size, size + BATCH)]
        at = NOW + timedelta(minutes=turn + 1)
        await _timed(found, f"{BATCH} leaves added", lambda: database.write(append, more, at))  # noqa: B023 - at once
        size += BATCH
        await _timed(found, "checkpoint signed", lambda: database.write(_signed, key, at))  # noqa: B023
        index = drawn.randrange(size)
        inclusion, consistency = inclusion_plan(index, size), consistency_plan(index + 1, size)
        await _timed(found, "proof of inclusion", lambda: database.read(hashes_of, inclusion))  # noqa: B023
        await _timed(found, "proof of consistency", lambda: database.read(hashes_of, consistency))  # noqa: B023
        leaf = _leaf(index)
        body = {"request_id": leaf.chain, "seq": leaf.seq, "entry_hash": leaf.head}
        await _timed(found, "inclusion of a receipt", lambda: database.read(inclusion_of, body))  # noqa: B023
    await _timed(found, f"{size:,} leaves verified", lambda: database.read(verify_log, NOW))
    return found


def _signed(connection: Connection, key: ReceiptKey, at: datetime) -> None:
    add_checkpoint(connection, key, ORIGIN, at)


async def _timed(found: Timed, step: str, call: Callable[[], Awaitable[Any]]) -> None:
    began = time.perf_counter()
    await call()
    found.setdefault(step, []).append(time.perf_counter() - began)


def _at(times: list[float], share: float) -> str:
    return f"{sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1000:,.1f} ms"

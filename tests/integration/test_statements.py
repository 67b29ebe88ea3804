"""How many transactions and statements an approval takes over HTTP, on the real engine, so that none comes unnoticed.

Counted is what the API and the recorder do; the notifications that an approval leaves behind are sent by others later.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from temporalio.client import Client

from storage.announcements.listener import listening
from storage.database import Database
from tests.api_desk import api_desk, context_of
from tests.approvals import EXPENSE, worker
from tests.waiting import until

ROUNDS = 4  # on a busy machine a call may look again for what it waits for, so the least of some rounds counts

# The transactions that read and that write, and the statements in them, of one call at most.
Cost = tuple[int, int, int]
START: Cost = (3, 1, 15)  # one of them stores the title to be searched
DECIDE: Cost = (3, 2, 16)  # one of them asks who watches the request that ends
# What a key adds to a call: it is reserved before, and its answer is stored after.
KEY: Cost = (0, 2, 2)
NOTIFY = 1  # PostgreSQL announces by a statement of its own, in each transaction that writes


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Yield what this process asks of the database: `read` and `write` for transactions, else the statement."""
    seen: list[str] = []

    def begun(kind: str) -> Any:
        return lambda _connection: seen.append(kind)

    def asked(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    heard = [
        (engine, name, listener)
        for engine, kind in ({database._reader: "read", database._looker: "read"} | {database._writer: "write"}).items()
        for name, listener in (("begin", begun(kind)), ("before_cursor_execute", asked))
    ]
    for engine, name, listener in heard:
        event.listen(engine, name, listener)
    try:
        yield seen
    finally:
        for engine, name, listener in heard:
            event.remove(engine, name, listener)


def cost(seen: list[str]) -> Cost:
    """Return the cost of what was asked, and forget it."""
    reads, writes = seen.count("read"), seen.count("write")
    total = (reads, writes, len(seen) - reads - writes)
    seen.clear()
    return total


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
async def test_an_approval_takes_no_more_transactions_and_statements(
    database: Database, client: Client, *, keyed: bool
) -> None:
    queue = f"statements-{uuid.uuid4().hex[:8]}"
    starts, decisions = list[Cost](), list[Cost]()

    def key() -> str | None:
        return uuid.uuid4().hex if keyed else None

    async with (
        worker(client, database, queue),
        listening(database) as subscriptions,
        api_desk(database, client, task_queue=queue, subscriptions=subscriptions) as desk,
    ):
        await until(lambda: _connected(subscriptions))
        name = await desk.publish(EXPENSE)
        await desk.token("ann"), await desk.token("bob")
        body = {"template": name, "input": {"amount": "100"}}
        with counted(database) as seen:
            for _ in range(ROUNDS):
                seen.clear()
                started = await desk.post("/workflow/requests/", body, key=key())
                assert started.status_code == 201, started.text
                starts.append(cost(seen))
                task = started.json()["tasks"][0]["id"]
                path = f"/workflow/tasks/{task}/decide/"
                decided = await desk.post(path, {"decision": "approve"}, as_="bob", key=key())
                assert decided.json()["outcome"] == "approved", decided.text
                await context_of(desk).confirmations.flush()
                decisions.append(cost(seen))
    for found, most in ((min(starts), START), (min(decisions), DECIDE)):
        reads, writes, statements = most
        if database.dialect == "postgresql":
            statements += NOTIFY * writes
        added = KEY if keyed else (0, 0, 0)
        allowed = (reads + added[0], writes + added[1], statements + added[2])
        assert all(one <= most for one, most in zip(found, allowed, strict=True)), (found, allowed)


async def _connected(subscriptions: Any) -> bool:
    return bool(subscriptions.connected)

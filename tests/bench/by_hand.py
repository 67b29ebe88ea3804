"""The least that somebody would write by hand: two routes, one workflow, and an activity that writes a row and a line.

It answers a start once the engine has it and a decision once it is stored, as durably as Placet stores. It has no
people, rights, forms, mails, reminders or escalation, no repeats by idempotency key, no chain of hashes, and no list
of what waits for whom. Routes, worker and activity run in one process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI
from sqlalchemy import create_engine, event, make_url, text
from temporalio import activity, workflow
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker

from cli.http_server import listen
from worker.connect import EngineSettings, connect

TABLES = (
    "CREATE TABLE IF NOT EXISTS request (id TEXT PRIMARY KEY, amount TEXT, status TEXT, changed_at TEXT)",
    "CREATE TABLE IF NOT EXISTS audit (request_id TEXT, at TEXT, what TEXT)",
)
STARTED = text("INSERT INTO request VALUES (:id, :amount, :status, :at) ON CONFLICT (id) DO NOTHING")
DECIDED = text("UPDATE request SET status = :status, changed_at = :at WHERE id = :id")
AUDIT = text("INSERT INTO audit VALUES (:id, :at, :status)")
SOON = timedelta(seconds=30)


class Store:
    """The table, and the audit lines beside it."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(make_url(url))
        if self._engine.dialect.name == "sqlite":

            @event.listens_for(self._engine, "connect")
            def settle(connection: Any, _record: object) -> None:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")

        with self._engine.begin() as connection:
            for table in TABLES:
                connection.execute(text(table))

    @property
    def threads(self) -> int:
        """How many may write at once: SQLite has one writer."""
        return 1 if self._engine.dialect.name == "sqlite" else 4

    @activity.defn
    def write(self, ident: str, amount: str, status: str) -> None:
        """Write the row, and an audit line."""
        values = {"id": ident, "amount": amount, "status": status, "at": datetime.now(UTC).isoformat()}
        with self._engine.begin() as connection:
            connection.execute(STARTED if status == "pending" else DECIDED, values)
            connection.execute(AUDIT, values)


@workflow.defn
class ByHand:
    """One approval: written down, decided or expired, written down again."""

    @workflow.init
    def __init__(self, amount: str) -> None:
        self._amount = amount
        self._stored = False
        self._status = "pending"

    @workflow.run
    async def run(self, amount: str) -> str:
        """Write the request down, and wait for the decision."""
        await self._write("pending")
        self._stored = True
        try:
            await workflow.wait_condition(lambda: self._status != "pending", timeout=timedelta(hours=24))
        except TimeoutError:
            self._status = "expired"
            await self._write("expired")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status

    @workflow.update
    async def decide(self, decision: str) -> str:
        """Take the decision, and write it down."""
        await workflow.wait_condition(lambda: self._stored)
        await self._write(decision)
        self._status = decision
        return decision

    async def _write(self, status: str) -> None:
        arguments = [workflow.info().workflow_id, self._amount, status]
        await workflow.execute_activity_method(Store.write, args=arguments, start_to_close_timeout=SOON)


async def main(url: str, task_queue: str) -> None:
    """Serve the two routes and work on them; prints the address."""
    client = await connect(EngineSettings.read())
    store = Store(url)
    app = FastAPI()

    @app.post("/requests", status_code=201)
    async def start(body: dict[str, str]) -> dict[str, str]:
        handle = await client.start_workflow(
            ByHand.run, body["amount"], id=f"by-hand-{uuid.uuid4()}", task_queue=task_queue
        )
        return {"id": handle.id}

    @app.post("/requests/{ident}/decide")
    async def decide(ident: str, body: dict[str, str]) -> dict[str, str]:
        handle = client.get_workflow_handle_for(ByHand.run, ident)
        return {"outcome": await handle.execute_update(ByHand.decide, body["decision"])}

    listener = listen("127.0.0.1", 0)
    sys.stdout.write(json.dumps({"api": f"http://127.0.0.1:{listener.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[ByHand],
        activities=[store.write],
        activity_executor=ThreadPoolExecutor(max_workers=store.threads),
        max_concurrent_activities=store.threads,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(5),
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=2000,
    )
    async with worker:
        await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Workers note that they are there by the database's clock; who has not for a while is not."""

from __future__ import annotations

from temporalio.client import Client

from storage.database import Database
from storage.queries import presence
from tests.stored import writing
from tests.waiting import until
from worker.jobs import presence_job

QUEUE = "approvals"


async def test_a_worker_is_there_while_it_runs(database: Database, client: Client) -> None:
    async def seen() -> set[str]:
        return await database.read(presence.seen, QUEUE, within=10.0)

    async with presence_job(database, client, QUEUE):
        assert await until(seen) == {client.identity}
        assert await database.read(presence.seen, "another queue", within=10.0) == set()
    assert await seen() == set()


async def test_whoever_has_not_noted_it_for_a_while_is_not_there(database: Database) -> None:
    await database.write(presence.note, "killed", QUEUE)

    async def fades() -> bool:
        return await database.read(presence.seen, QUEUE, within=0.2) == set()

    assert await database.read(presence.seen, QUEUE, within=60.0) == {"killed"}
    await until(fades)


async def test_workers_of_yesterday_are_forgotten(database: Database) -> None:
    with writing(database) as session:
        session.add(presence.WorkerPresence(identity="old", task_queue=QUEUE, seen_at=1_700_000_000.0))
    await database.write(presence.note, "new", QUEUE)
    assert await database.read(presence.seen, QUEUE, within=1e10) == {"new"}

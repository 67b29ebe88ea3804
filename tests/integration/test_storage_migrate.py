"""The migrations make what the tables say, on both databases, and can be run by anybody at any time."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from storage.database import Database
from storage.migrate import configuration, migrate
from storage.tables import ApprovalRequest


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, SQLModel.metadata))


async def test_migrations_and_tables_agree(database: Database) -> None:
    assert ApprovalRequest.__tablename__ in SQLModel.metadata.tables
    async with database.connection() as connection:
        assert await connection.run_sync(_differences) == []


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await migrate(database_url)
    database = Database(database_url)
    async with database.connection() as connection:
        script = ScriptDirectory.from_config(await connection.run_sync(configuration))
        newest = [(script.get_current_head(),)]
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).all() == newest
    await database.close()


async def test_processes_that_migrate_at_once_all_succeed(empty_database_url: str) -> None:
    program = "import asyncio, sys; from storage.migrate import migrate; asyncio.run(migrate(sys.argv[1]))"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, empty_database_url, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()
    database = Database(empty_database_url)
    async with database.connection() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await database.close()
    assert set(tables) >= set(SQLModel.metadata.tables)

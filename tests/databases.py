"""Both real databases for tests: `database` and `database_url` run a test twice, on SQLite and on PostgreSQL.

Every test gets a database to itself, empty and with the newest schema: on SQLite a copy of one that was migrated once;
on PostgreSQL, where a copy takes a second on a busy machine, one that is emptied after each test and used again. Tests
of a module that only read what takes long to write have `databases_of_module`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Connection, delete, text
from sqlmodel import SQLModel

from storage.database import Database
from storage.migrate import migrate
from tests.postgresql import Server, Share

DIALECTS = ("sqlite", "postgresql")
END_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# Deleting is faster than truncating where there is next to nothing; where there was much, it leaves tables and indexes
# of a size that the plans of the next test would follow.
EMPTY = """
DO $$ DECLARE name text; BEGIN
    PERFORM set_config('session_replication_role', 'replica', true);  -- triggers keep tables that are only added to
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        IF pg_total_relation_size(format('%I', name)::regclass) > 2000000 THEN
            EXECUTE format('TRUNCATE %I CASCADE', name);
        ELSE
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
END $$
"""


def empty(connection: Connection) -> None:
    """Delete every row of a database, within the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(EMPTY))
        return
    for table in reversed(SQLModel.metadata.sorted_tables):
        connection.execute(delete(table))


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the run's PostgreSQL server, started by whoever needs it first."""
    own = tmp_path_factory.getbasetemp()
    share = Share(own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own)
    yield share.server()
    share.close()


@pytest_asyncio.fixture(scope="session")
async def _postgresql_template(postgresql: Server) -> str:
    name = f"template_{uuid.uuid4().hex}"
    postgresql.run(f"CREATE DATABASE {name}")
    await migrate(postgresql.url(name))
    return name


@pytest_asyncio.fixture(scope="session")
async def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    await migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a migrated SQLite database of this test's own."""
    path = tmp_path / "placet.db"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def _postgresql_spares() -> list[str]:
    """Hold the databases that no test uses at the moment."""
    return []


@pytest.fixture
def postgresql_url(postgresql: Server, _postgresql_template: str, _postgresql_spares: list[str]) -> Iterator[str]:
    """Return the URL of a migrated, empty PostgreSQL database that is this test's own for as long as it runs."""
    if _postgresql_spares:
        name = _postgresql_spares.pop()
    else:
        name = f"test_{uuid.uuid4().hex}"
        postgresql.run(f"CREATE DATABASE {name} TEMPLATE {_postgresql_template}")
    yield postgresql.url(name)
    postgresql.run(END_CONNECTIONS, EMPTY, database=name)
    _postgresql_spares.append(name)


@pytest.fixture(scope="module")
def databases_of_module(
    tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path, postgresql: Server, _postgresql_template: str
) -> Iterator[Callable[[str], str]]:
    """Return what makes a migrated database of a kind and returns its URL; it stays for the tests of the module.

    For what takes long to fill and is only read.
    """
    made: list[str] = []

    def make(dialect: str) -> str:
        if dialect == "sqlite":
            path = tmp_path_factory.mktemp("module") / "placet.db"
            shutil.copyfile(_sqlite_template, path)
            return f"sqlite:///{path}"
        made.append(f"module_{uuid.uuid4().hex}")
        postgresql.run(f"CREATE DATABASE {made[-1]} TEMPLATE {_postgresql_template}")
        return postgresql.url(made[-1])

    yield make
    postgresql.run(*(f"DROP DATABASE {name} WITH (FORCE)" for name in made))


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a migrated database of this test's own, once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=DIALECTS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a database without any table, once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Server = request.getfixturevalue("postgresql")
    name = f"empty_{uuid.uuid4().hex}"
    server.run(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Return a migrated database of this test's own, once for each kind, open."""
    opened = Database(database_url)
    yield opened
    await opened.close()

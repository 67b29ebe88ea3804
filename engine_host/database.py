"""Prepare the engine's own database: create and update its schema on PostgreSQL, and delete stale cluster members.

A server that is killed leaves its addresses in the table of cluster members. The next server, on other ports, spends up
to twenty seconds trying to reach them. The embedded engine is one process on loopback, so before it starts, all members
of this host in the table are stale.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from engine_host.cache import Progress
from engine_host.config import CLI_FILE, HOST, SERVER_FILE, Database, Postgres
from engine_host.process import run
from placet.errors import Unavailable

SCHEMA_SECONDS = 300.0
_DELETE_MEMBERS = "DELETE FROM cluster_membership WHERE rpc_address = "


def prepare_schema(
    tool: Path, database: Postgres, *, directory: Path, environ: Mapping[str, str], progress: Progress
) -> None:
    """Create both databases and their tables if missing, and update them; idempotent. Raises Unavailable."""
    for name, schema in ((database.name, "temporal"), (database.visibility, "visibility")):
        call = {**environ, **tool_environment(database, name)}
        steps = [["update-schema", "--schema-name", f"postgresql/v12/{schema}"]]
        create_missing(database, name)
        if not has_schema(database, name):
            progress(f"setting up the engine's tables in the PostgreSQL database {name}")
            steps.insert(0, ["setup-schema", "--version", "0.0"])
        for step in steps:
            code, output = run([tool, *step], environ=call, directory=directory, timeout=SCHEMA_SECONDS)
            if code != 0:
                tail = "\n".join(output.strip().splitlines()[-5:])
                raise Unavailable(f"temporal-sql-tool {step[0]} failed on the database {name}:\n{tail}")


def tool_environment(database: Postgres, name: str) -> dict[str, str]:
    """Return what tells the tool of a database: where it is, and what is verified of its server."""
    tls: dict[str, str] = {}
    if database.tls:
        tls["SQL_TLS"] = "true"
        if not database.verifies_host:
            tls["SQL_TLS_DISABLE_HOST_VERIFICATION"] = "true"
        if database.root is not None:
            tls["SQL_TLS_CA_FILE"] = database.root
    return {
        "SQL_PLUGIN": "postgres12_pgx",
        "SQL_HOST": database.host,
        "SQL_PORT": str(database.port),
        "SQL_USER": database.user,
        "SQL_PASSWORD": database.password,
        "SQL_DATABASE": name,
        **tls,
    }


def create_missing(database: Postgres, name: str) -> None:
    """Create the database `name` on this server where there is none. Raises Unavailable."""
    with _errors(database), psycopg.connect(autocommit=True, **database.access("postgres")) as server:
        if not _there(server, name):
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def has_schema(database: Postgres, name: str) -> bool:
    """Tell whether there is a database `name` with the engine's version table. Raises Unavailable."""
    with _errors(database):
        with psycopg.connect(**database.access("postgres")) as server:
            if not _there(server, name):
                return False
        with psycopg.connect(**database.access(name)) as inside:
            row = inside.execute("SELECT to_regclass('schema_version')").fetchone()
            return row is not None and row[0] is not None


def take_over_schema(database: Postgres, name: str) -> None:
    """Have the engine's version table name the database that it is in, also where it is a copy of another one's.

    The table is kept by the name of the database: under another name, no version is found. Raises Unavailable.
    """
    with _errors(database), psycopg.connect(**database.access(name)) as inside:
        inside.execute("UPDATE schema_version SET db_name = current_database()")


def users_of(database: Postgres) -> int:
    """Return how many connections others have to the engine's databases. Raises Unavailable."""
    names = [database.name, database.visibility]
    with _errors(database), psycopg.connect(**database.access("postgres")) as server:
        row = server.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY(%s) AND backend_type = 'client backend'", [names]
        ).fetchone()
        return 0 if row is None else int(row[0])


def _there(server: psycopg.Connection[Any], name: str) -> bool:
    return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


@contextlib.contextmanager
def _errors(database: Postgres) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise Unavailable(
            f"the engine's PostgreSQL at {database.host}:{database.port} cannot be used: {error}"
        ) from error


def delete_stale_members(store: Database) -> None:
    """Delete the cluster members of this host; the caller holds the lock of the home. Raises Unavailable."""
    if isinstance(store, Path):
        for name in (SERVER_FILE, CLI_FILE):
            if (store / name).is_file():
                _delete_in_file(store / name)
    elif isinstance(store, Postgres):
        with _errors(store), psycopg.connect(**store.access(store.name)) as connection:
            connection.execute(_DELETE_MEMBERS + "%s", [HOST])


def _delete_in_file(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'cluster_membership'").fetchone()
            if there:  # not in a file whose first start was interrupted
                connection.execute(_DELETE_MEMBERS + "?", [HOST])
    except sqlite3.Error as error:
        raise Unavailable(f"the engine's data in {path} cannot be used: {error}") from error

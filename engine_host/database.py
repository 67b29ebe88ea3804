"""Prepare the engine's own database: create and update its schema on PostgreSQL, and delete stale cluster members.

A server that is killed leaves its addresses in the table of cluster members. The next server, on other ports, spends up
to twenty seconds trying to reach them. The embedded engine is one process on loopback, so before it starts, all members
of this host in the table are stale.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

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
        if not _has_schema(database, name):
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


def _has_schema(database: Postgres, name: str) -> bool:
    """Tell whether the database has the engine's version table; creates the database when there is none."""
    try:
        with psycopg.connect(autocommit=True, **database.access("postgres")) as server:
            if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with psycopg.connect(**database.access(name)) as inside:
            row = inside.execute("SELECT to_regclass('schema_version')").fetchone()
            return row is not None and row[0] is not None
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
        try:
            with psycopg.connect(**store.access(store.name)) as connection:
                connection.execute(_DELETE_MEMBERS + "%s", [HOST])
        except psycopg.Error as error:
            raise Unavailable(
                f"the engine's PostgreSQL at {store.host}:{store.port} cannot be used: {error}"
            ) from error


def _delete_in_file(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'cluster_membership'").fetchone()
            if there:  # not in a file whose first start was interrupted
                connection.execute(_DELETE_MEMBERS + "?", [HOST])
    except sqlite3.Error as error:
        raise Unavailable(f"the engine's data in {path} cannot be used: {error}") from error

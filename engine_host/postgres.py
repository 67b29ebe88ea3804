"""Bring the engine's schema to a PostgreSQL database, or up to date there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from engine_host.cache import Progress
from engine_host.config import Postgres
from engine_host.process import run
from placet.errors import Unavailable

SCHEMA_SECONDS = 300.0


def prepare_schema(
    tool: Path, database: Postgres, *, directory: Path, environ: Mapping[str, str], progress: Progress
) -> None:
    """Create both databases and their tables where missing, and update them; idempotent. Raises Unavailable."""
    for name, schema in ((database.name, "temporal"), (database.visibility, "visibility")):
        call = {
            **environ,
            "SQL_PLUGIN": "postgres12_pgx",
            "SQL_HOST": database.host,
            "SQL_PORT": str(database.port),
            "SQL_USER": database.user,
            "SQL_PASSWORD": database.password,
            "SQL_DATABASE": name,
            **({"SQL_TLS": "true", "SQL_TLS_DISABLE_HOST_VERIFICATION": "true"} if database.tls else {}),
        }
        steps = [["update-schema", "--schema-name", f"postgresql/v12/{schema}"]]
        if not _has_schema(database, name):
            progress(f"setting up the engine's tables in the PostgreSQL database {name}")
            steps.insert(0, ["setup-schema", "--version", "0.0"])
        for step in steps:
            code, output = run([tool, *step], environ=call, directory=directory, timeout=SCHEMA_SECONDS)
            if code != 0:
                tail = "\n".join(output.strip().splitlines()[-5:])
                raise Unavailable(f"temporal-sql-tool {step[0]} failed on the database {name}:\n{tail}")


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

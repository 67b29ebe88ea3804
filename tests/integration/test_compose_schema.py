"""The compose file's shell scripts, run by the programs that its images hold."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from engine_host.locate import Binaries, locate_startable
from tests.postgresql import Server

SCRIPT = Path(__file__).parents[2] / "deploy" / "postgres" / "temporal-schema.sh"


def test_the_schema_is_made_once_and_then_found(postgresql: Server, tmp_path: Path) -> None:
    binaries = locate_startable(kind="server")
    assert isinstance(binaries, Binaries)
    where = urlsplit(postgresql.url("postgres"))
    for name in ("temporal", "temporal_visibility"):
        postgresql.run(f"CREATE DATABASE {name}")
    (tmp_path / "temporal-sql-tool").symlink_to(binaries.sql_tool)
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SQL_PLUGIN": "postgres12_pgx",
        "SQL_HOST": where.hostname or "",
        "SQL_PORT": str(where.port),
        "SQL_USER": where.username or "",
        "SQL_PASSWORD": where.password or "",
    }
    for _ in range(2):
        done = subprocess.run(["sh", SCRIPT], env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

"""Copy databases while they are in use, and put copies back: SQLite by its backup API, PostgreSQL by its own tools."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url

from engine_host.config import Postgres
from placet.errors import Conflict, EngineMissing, Unavailable

_BUSY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A database on a PostgreSQL server, told to its tools by their environment, which other users cannot read."""

    name: str
    environ: dict[str, str] = field(repr=False)

    @classmethod
    def of_url(cls, url: str) -> Server:
        """Return the database that a URL names."""
        parts = make_url(url)
        given = {
            "PGHOST": parts.host,
            "PGPORT": None if parts.port is None else str(parts.port),
            "PGUSER": parts.username,
            "PGPASSWORD": parts.password,
            "PGSSLMODE": _text(parts.query.get("sslmode")),
            "PGSSLROOTCERT": _text(parts.query.get("sslrootcert")),
        }
        return cls(name=parts.database or "", environ={name: value for name, value in given.items() if value})

    @classmethod
    def of_engine(cls, engine: Postgres, name: str) -> Server:
        """Return a database of an embedded engine."""
        environ = {"PGHOST": engine.host, "PGPORT": str(engine.port), "PGUSER": engine.user}
        secret = {"PGPASSWORD": engine.password} if engine.password else {}
        root = {} if engine.root is None else {"PGSSLROOTCERT": engine.root}
        return cls(name=name, environ={**environ, **secret, **root, "PGSSLMODE": engine.sslmode})

    def dump(self, into: Path) -> None:
        """Write a consistent copy into a file; raises Unavailable and EngineMissing."""
        self._run("pg_dump", ["--format=custom", "--no-owner", f"--file={into}", f"--dbname={self.name}"])

    def restore(self, dump: Path) -> None:
        """Put a copy in place of what is there, in one transaction; raises Unavailable and EngineMissing."""
        how = ["--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error"]
        self._run("pg_restore", [*how, f"--dbname={self.name}", str(dump)])

    def _run(self, tool: str, arguments: Sequence[str]) -> None:
        program = shutil.which(tool)
        if program is None:
            raise EngineMissing(
                f"{tool} was not found: install PostgreSQL's client programs, or run `{tool}` where they are "
                "(docs/operations.md#back-up)."
            )
        inherited = {
            name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PGPASSFILE"}
        }
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program, found on the path
            [program, *arguments],
            env=inherited | self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise Unavailable(f"{tool} failed on the database {self.name}:\n{tail}")


def _text(value: str | tuple[str, ...] | None) -> str | None:
    return value if isinstance(value, str) else None


def copy_file(source: Path, target: Path) -> None:
    """Copy an SQLite database as it is at one moment, also while others write to it; raises Unavailable."""
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as reading,
            contextlib.closing(sqlite3.connect(target)) as writing,
        ):
            # All pages in one step, which is one read transaction: writers go on in the write-ahead log.
            reading.backup(writing, pages=-1)
            writing.execute("PRAGMA journal_mode=DELETE")
            (said,) = writing.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(f"{source} cannot be copied: {error}") from error
    if said != "ok":
        raise Unavailable(f"{source} is damaged: {said}. Restore an earlier back-up.")


def require_unused(file: Path) -> None:
    """Raise Conflict where another process of this user has an SQLite database open."""
    there = file.resolve()
    users = sorted(int(each.name) for each in Path("/proc").glob("[0-9]*") if _has_open(each, there))
    if users := [pid for pid in users if pid != os.getpid()]:
        raise Conflict(
            f"Process {users[0]} still uses {file}. Stop `placet up`, and every `placet api` and `placet worker`."
        )


def _has_open(process: Path, file: Path) -> bool:
    with contextlib.suppress(OSError):  # it has ended, or is somebody else's, who cannot open the file
        return any(_leads_to(link, file) for link in (process / "fd").iterdir())
    return False


def _leads_to(link: Path, file: Path) -> bool:
    with contextlib.suppress(OSError):
        return link.readlink() == file
    return False

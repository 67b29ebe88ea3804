"""Copies of databases while they are written to, what a restore refuses, and PostgreSQL's own tools."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from cli.backup import databases, manifest
from cli.backup.restoring import restore
from cli.backup.saving import save
from cli.commands.people import load
from placet.errors import Conflict, InputInvalid, Unavailable
from service.erasure.ledger import LedgerEntry, add_to_ledger
from storage.database import Database
from storage.tables.approvals import StoredPerson
from tests.approvals import PEOPLE
from worker.settings import Settings


async def installed(home: Path, **settings: str) -> Settings:
    """Make an installation with people and one attached file."""
    there = Settings(home=home, **settings)
    put_files(there)
    await load(there, home / "people.json")
    return there


def put_files(there: Settings) -> None:
    there.home.mkdir(mode=0o700, exist_ok=True)
    there.secret()
    (there.home / "people.json").write_text(json.dumps([{"name": row["id"].title()} | row for row in PEOPLE]))
    file = Path(there.attachments) / "r1" / "ab"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"an invoice")
    file.with_name("cd#1").write_bytes(b"half of a file that is being stored")


async def people_of(settings: Settings) -> set[str]:
    database = Database(settings.database)
    try:
        return set(await database.read(lambda c: c.scalars(select(col(StoredPerson.id))).all()))
    finally:
        await database.close()


def test_a_copy_is_one_moment_of_a_database_that_is_written_to_meanwhile(tmp_path: Path) -> None:
    source, target = tmp_path / "a.db", tmp_path / "b.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
        made.execute("INSERT INTO pair VALUES (0, 0)")
        made.execute("CREATE TABLE filler (x BLOB)")
        made.executemany("INSERT INTO filler VALUES (?)", [(b"x" * 4000,)] * 2000)
    ended = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as writing:
            while not ended.is_set():
                writing.execute("BEGIN")
                writing.execute("UPDATE pair SET a = a + 1")
                writing.execute("UPDATE pair SET b = b + 1")
                writing.execute("COMMIT")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        databases.copy_file(source, target)
    finally:
        ended.set()
        thread.join()
    with closing(sqlite3.connect(target)) as copy:
        a, b = copy.execute("SELECT a, b FROM pair").fetchone()
        assert a == b
        assert copy.execute("SELECT count(*) FROM filler").fetchone() == (2000,)


def test_a_damaged_database_is_not_backed_up_as_if_it_were_whole(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all, whatever its name says" * 100)
    with pytest.raises(Unavailable, match=r"a\.db"):
        databases.copy_file(tmp_path / "a.db", tmp_path / "b.db")


async def test_a_backup_holds_databases_and_files_and_no_secret_and_is_its_owners(tmp_path: Path) -> None:
    settings = await installed(tmp_path / "home")
    made = await save(settings, tmp_path / "backup")
    found = list((tmp_path / "backup").rglob("*"))
    names = {path.relative_to(tmp_path / "backup").as_posix() for path in found if path.is_file()}
    assert names == {"manifest.json", "placet.db", "files/r1/ab"}
    for path in found:
        assert path.stat().st_mode & 0o077 == 0
        assert path.is_dir() or settings.secret().encode() not in path.read_bytes()
    assert made.manifest.secret == manifest.fingerprint(settings.secret())
    assert set(made.manifest.times) == {"engine", "placet", "files"}
    with pytest.raises(Conflict, match="holds something already"):
        await save(settings, tmp_path / "backup")


async def test_a_restore_brings_people_and_files_back_and_erases_again_whom_the_ledger_names(tmp_path: Path) -> None:
    settings = await installed(tmp_path / "home")
    await save(settings, tmp_path / "backup")
    new = Settings(home=tmp_path / "new", secret_key=settings.secret())
    new.home.mkdir()
    add_to_ledger(new.home, [LedgerEntry(person="ann", erased_at=manifest_time(tmp_path / "backup"))])
    done = await restore(new, tmp_path / "backup")
    assert done.erased_again == ("ann",)
    assert await people_of(new) == await people_of(settings)
    assert (Path(new.attachments) / "r1" / "ab").read_bytes() == b"an invoice"
    assert done.replaced is None


def manifest_time(folder: Path) -> datetime:
    return datetime.fromisoformat(json.loads((folder / "manifest.json").read_text())["made_at"])


_USE = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM sqlite_master'); print(); input()"
)


@contextmanager
def using(file: Path) -> Iterator[None]:
    """Let another process have a database open."""
    command = [sys.executable, "-c", _USE, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate(b"\n")


async def test_a_restore_over_an_installation_says_so_and_moves_what_was_there_aside(tmp_path: Path) -> None:
    settings = await installed(tmp_path / "home")
    await save(settings, tmp_path / "backup")
    before = settings.home / "placet.db"
    with pytest.raises(Conflict, match="--replace"):
        await restore(settings, tmp_path / "backup")
    with using(before), pytest.raises(Conflict, match="still uses"):
        await restore(settings, tmp_path / "backup", replace=True)
    done = await restore(settings, tmp_path / "backup", replace=True)
    assert done.replaced is not None
    assert (done.replaced / "placet.db").is_file()
    assert before.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "files" / "r1" / "ab").write_bytes(b"an Invoice"), "digest is another one"),
        (lambda folder: (folder / "placet.db").unlink(), "is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "holds no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: edit(folder, lambda m: m | {"format": 9}), "has format 9"),
        (lambda folder: edit(folder, lambda m: m | {"schema": "9999"}), "newer than this one"),
        (lambda folder: edit(folder, lambda m: m | {"secret": "0" * 16}), r"secret\.key"),
        (
            lambda folder: edit(folder, lambda m: m | {"files": [m["files"][0] | {"path": "../secret"}]}),
            "outside of the back-up",
        ),
    ],
    ids=["changed", "missing", "unfinished", "cut off", "another format", "newer", "another secret", "outside"],
)
async def test_a_backup_that_cannot_be_trusted_is_refused_before_anything_changes(
    tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    settings = await installed(tmp_path / "home")
    await save(settings, tmp_path / "backup")
    harm(tmp_path / "backup")
    new = Settings(home=tmp_path / "new", secret_key=settings.secret())
    with pytest.raises(InputInvalid, match=said):
        await restore(new, tmp_path / "backup")
    assert not (new.home / "placet.db").exists()


def edit(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


async def test_a_postgresql_database_is_dumped_and_restored_by_its_own_tools(
    tmp_path: Path, postgresql_url: str
) -> None:
    settings = await installed(tmp_path / "home", database_url=postgresql_url)
    made = await save(settings, tmp_path / "backup")
    assert "placet.dump" in {kept.path for kept in made.manifest.files}
    database = Database(postgresql_url)
    await database.write(lambda c: c.execute(text("DELETE FROM person WHERE id = 'ann'")))
    with pytest.raises(Conflict, match="other connections"):
        await restore(settings, tmp_path / "backup", replace=True)
    await database.close()
    done = await restore(settings, tmp_path / "backup", replace=True)
    assert done.parts == ("placet", "files")
    assert "ann" in await people_of(settings)

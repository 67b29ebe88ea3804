"""Everything that is stored about a person as one archive: a zip file with a list of rows for each table, and files.

Rows go from one snapshot of the database into the archive, and files from the store, piece by piece: memory does not
grow with what there is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from sqlalchemy import Connection

from placet.audit.admin_acts import Act, ActedBy
from placet.audit.chain import moment
from placet.errors import NotFound
from service.administration.acts import write_with_act
from service.attachments.store import FileStore
from storage.database import Database
from storage.queries.people import people
from storage.queries.people.personal_data import PARTS, Personal, rows_about
from storage.queries.requests.attachments import KIND, attachment_in
from storage.tables.approvals import AuditEntry

FORMAT: Final = 1
NOT_IN_IT: Final = (
    "the engine's history of requests, until its retention ends",
    "mails, chats and webhooks that were sent",
    "logs of the processes, traces, and backups",
    "what other people wrote in free text without the person's id",
    "event logs that were imported, and files of evidence packs",
)
"""What is about a person and in no archive, as each archive says."""
_RIGHTS = 0o600 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an archive has: how many rows of each part, and how many files; `missing` are not in the store."""

    rows: dict[str, int]
    files: int
    missing: int


async def export_person(
    database: Database,
    store: FileStore,
    person: str,
    to: IO[bytes],
    *,
    by: ActedBy,
    now: datetime,
    with_files: bool = True,
) -> Exported:
    """Write the archive of a person to an empty file, with the files that they have attached to requests.

    That somebody takes it is on record before it is written. Raises NotFound where there is no such person, and
    Unavailable.
    """
    act = Act(kind="person_exported", target=f"person:{person}", detail={"files": with_files})
    await write_with_act(database, by, now, act, people.get, person)
    with ZipFile(to, "w", ZIP_DEFLATED) as archive, TemporaryFile("w+") as attached:
        rows = await database.read(_write_rows, archive, attached, person)
        files, missing = await _write_files(store, archive, attached) if with_files else (0, 0)
        made = Exported(rows=rows, files=files, missing=missing)
        manifest = {
            "format": FORMAT,
            "person": person,
            "made_at": moment(now),
            "made_by": by.actor,
            "rows": made.rows,
            "files": made.files,
            "missing_files": made.missing,
            "not_in_it": list(NOT_IN_IT),
        }
        with _member(archive, "manifest.json", now) as out:
            out.write(json.dumps(manifest, indent=2).encode() + b"\n")
    return made


def _write_rows(connection: Connection, archive: ZipFile, attached: IO[str], person: str) -> dict[str, int]:
    """Write the rows of every part that has any; note in `attached` the files that the person has attached."""
    counts: dict[str, int] = {}
    for part in PARTS:
        rows = rows_about(connection, part, person)
        first = next(rows, None)
        if first is None:
            continue
        counts[part.name] = 0
        with _member(archive, f"{part.name}.ndjson") as out:
            for row in _chained(first, rows):
                _note_file(part, row, person, attached)
                out.write(json.dumps(row, default=_plain, ensure_ascii=False).encode() + b"\n")
                counts[part.name] += 1
    return counts


def _chained(first: dict[str, Any], rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield first
    yield from rows


def _note_file(part: Personal, row: dict[str, Any], person: str, attached: IO[str]) -> None:
    if part.model is not AuditEntry or row["kind"] != KIND or row["actor"] != f"user:{person}":
        return
    try:
        detail = json.loads(row["detail"])
    except ValueError:  # edited by hand; `verify` says so
        return
    found = attachment_in(detail, row["actor"], row["at"]) if isinstance(detail, dict) else None
    if found is not None:
        attached.write(json.dumps([row["request_id"], found.sha256]) + "\n")


async def _write_files(store: FileStore, archive: ZipFile, attached: IO[str]) -> tuple[int, int]:
    """Copy the files that were noted; return how many there were, and how many the store does not have."""
    written = missing = 0
    attached.seek(0)
    for line in attached:
        request_id, sha256 = json.loads(line)
        try:
            pieces = await store.get(request_id, sha256)
        except NotFound:
            missing += 1
            continue
        with _member(archive, f"files/{request_id}/{sha256}", stored=True) as out:
            async for piece in pieces:
                out.write(piece)
        written += 1
    return written, missing


@contextmanager
def _member(archive: ZipFile, name: str, at: datetime | None = None, *, stored: bool = False) -> Iterator[IO[bytes]]:
    """Write a member of any size; what was attached is mostly compressed already, and is stored as it is."""
    info = ZipInfo(name) if at is None else ZipInfo(name, at.timetuple()[:6])
    info.external_attr, info.compress_type = _RIGHTS, ZIP_STORED if stored else ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as out:
        yield out


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)

"""Erase a person: begun in one transaction with its act, and carried on in batches until nothing is left.

Whoever is killed in between leaves a record of what remains, and the hourly job of the workers goes on with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Connection
from temporalio.client import Client

from placet.audit.admin_acts import SYSTEM, Act, ActedBy
from placet.errors import Conflict, InputInvalid, LastAdmin, NotFound, NotPermitted, Unavailable
from placet.sentences import sentence
from service.attachments.store import FileStore
from service.erasure.histories import delete_history, settle
from service.erasure.ledger import LedgerEntry, add_to_ledger, read_ledger
from service.erasure.mails import delete_mails_about, digest_of
from service.evidence.jobs import FOLDER as PACKS
from storage.database import Database
from storage.queries.evidence import packs
from storage.queries.people import departures, erased, people
from storage.recording import admin_acts
from storage.retention import compaction, contents, erasures, person_rows
from storage.retention.erasures import Waiting
from storage.tables.erasures import REHEARSAL, PersonErasure

ERASING_SECONDS: Final = 15.0
"""How long a call over HTTP goes on with an erasure; the workers do the rest."""
MOST_SHOWN: Final = 50
"""Requests that are named of those that wait, or that keep a person from being erased."""
_HISTORIES: Final = 50  # that are deleted before it is noted
_QUICKLY_COMPACTED: Final = 200_000_000
"""Bytes of SQLite's file that is written anew within a call over HTTP; it takes seconds."""
_ENGINE_FILES: Final = "engine/*.sqlite"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureState:
    """How far an erasure has come; `waiting` are the first of `waiting_count` items, of which something is left."""

    person: str
    erased_at: datetime
    erased_by: str
    completed_at: datetime | None
    waiting: tuple[Waiting, ...]
    waiting_count: int


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """What erasing needs; without a `client` the engine's histories wait, and without a `home` it has no files here."""

    database: Database
    files: FileStore
    client: Client | None
    rehearsals: str
    home: Path | None
    clock: Callable[[], datetime]

    async def erase(
        self, person: str, by: ActedBy, *, typed: str, id_stays: bool = False, seconds: float | None = None
    ) -> ErasureState:
        """Erase a person, as far as that takes no longer than `seconds`; the same call again goes on with it.

        `typed` is the id once more, and `id_stays` says that an id which is a mail address may stay. Raises NotFound,
        InputInvalid where the ids differ, LastAdmin, NotPermitted for oneself, and Conflict where requests of the
        person still run.
        """
        if typed.strip().removeprefix("user:") != person:
            raise InputInvalid.at("/person", sentence("type the id {person!r} to confirm", person=person))
        if by.actor == f"user:{person}":
            raise NotPermitted("Nobody erases themself; another admin can.")
        await self.database.write(_begin, person, by, self.clock(), id_stays)
        await self._tell_ledger()
        try:
            await self.carry_on(person, seconds=seconds, again=True)
        except Unavailable as error:  # it has begun, and the workers go on with it
            _log.warning("erasure_will_go_on", person=person, reason=error.message)
        return await self.state(person)

    async def state(self, person: str) -> ErasureState:
        """Return how far the erasure of a person has come; raises NotFound where they were not erased."""
        return await self.database.read(_state, person)

    async def look(self) -> None:
        """Do again what the ledger has and the database does not, and go on with what is left of all."""
        if self.home is not None:
            await reapply(self.database, read_ledger(self.home), self.clock())
            await self._tell_ledger()
        for person in await self.database.read(erasures.incomplete):
            try:
                await self.carry_on(person)
            except Unavailable as error:
                _log.warning("erasure_will_go_on", person=person, reason=error.message)

    async def carry_on(self, person: str, *, seconds: float | None = None, again: bool = False) -> None:
        """Go on with an erasure, for so many seconds; what cannot be done now is left. Raises Unavailable."""
        until = None if seconds is None else time.monotonic() + seconds
        write, now = self.database.write, self.clock
        if again:
            await write(erasures.try_again, person)
        if not await self._list(person):
            return
        while await write(person_rows.erase_batch, person, now()):
            await write(erasures.changed, person, now())
            if _over(until):
                return
        while await write(erasures.erase_requests, person, now()):
            if _over(until):
                return
        await self._mails(person)
        await self._files(person)
        if not await self._histories(person, until):
            return
        await self._compact(person, most=None if until is None else _QUICKLY_COMPACTED)
        await write(erasures.complete, person, now())

    async def _list(self, person: str) -> bool:
        erasure = await self.database.read(erased.find, person)
        if erasure is None or erasure.completed_at is not None:
            return False
        if erasure.listed_at is None:
            items = await self.database.read(erasures.items_of, person)
            for first in range(0, len(items), erasures.LISTED):
                some = items[first : first + erasures.LISTED]
                await self.database.write(erasures.add_items, person, some, self.clock())
            await self.database.write(erasures.all_listed, person, self.clock())
        return True

    async def _mails(self, person: str) -> None:
        if self.home is None:
            return
        erasure = await self.database.read(erased.find, person)
        names = await self.database.read(erasures.requests_of, person)
        await delete_mails_about(self.home, erasure.mail_digest if erasure is not None else None, names)

    async def _files(self, person: str) -> None:
        """Delete files of what was erased, and evidence packs that may hold it."""
        for pack in await self.database.read(person_rows.packs_to_delete, person):
            await self.files.delete(PACKS, pack)
            await self.database.write(packs.expire, pack)
        while found := await self.database.read(contents.files_to_delete):
            for request_id, sha256 in found:
                await self.files.delete(request_id, sha256)
                await self.database.write(contents.file_deleted, request_id, sha256)

    async def _histories(self, person: str, until: float | None) -> bool:
        """Delete histories in the engine whose rows are erased; return False where the time is over."""
        if self.client is None:
            return True
        from simulation.modes.rehearse import RehearsalEngine  # with the workflows, which only this needs

        rehearsals = RehearsalEngine.beside(self.client, self.rehearsals).client
        after, deleted = "", False
        while some := await self.database.read(erasures.in_engine, person, after=after, most=_HISTORIES):
            for name, kind in some:
                of, beginning = (rehearsals, True) if kind == REHEARSAL else (self.client, False)
                if await delete_history(of, name, beginning=beginning):
                    await self.database.write(erasures.item_done, person, name, self.clock())
                    deleted = True
                after = name
                if _over(until):
                    return False
        if deleted:
            await settle()
        return True

    async def _compact(self, person: str, most: int | None) -> None:
        """Have freed pages written over; where SQLite's file has more than `most` bytes, the workers do it."""
        erasure = await self.database.read(erased.find, person)
        if erasure is None or (erasure.compacted_at is not None and erasure.compacted_at >= erasure.changed_at):
            return
        if most is not None and compaction.size_of(self.database.url) > most:
            return
        began = self.clock()
        await compaction.compact(self.database.url)
        if self.home is not None:
            for file in sorted(self.home.glob(_ENGINE_FILES)):
                await compaction.compact_file(file)
        await self.database.write(erasures.compacted, began)

    async def _tell_ledger(self) -> None:
        if self.home is None:
            return
        known = {one.person for one in read_ledger(self.home)}
        stored = await self.database.read(erasures.listed)
        fresh = [LedgerEntry(person=row.person, erased_at=row.erased_at) for row in stored if row.person not in known]
        add_to_ledger(self.home, fresh)


async def reapply(database: Database, entries: Sequence[LedgerEntry], now: datetime) -> list[str]:
    """Begin again the erasures of a ledger that a database does not know; return whose they are.

    For after a backup was restored. Requests of theirs that run in it keep nobody: they are erased when they end. The
    job of the workers, or `Eraser.carry_on`, does the rest.
    """
    begun: list[str] = []
    for entry in await missing(database, entries):
        await database.write(_begin, entry.person, SYSTEM, now, True, again=True)
        begun.append(entry.person)
    return begun


async def missing(database: Database, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Return the erasures of a ledger that a database does not know, because it was restored from an older backup."""
    known = await database.read(erased.among, [entry.person for entry in entries])
    return [entry for entry in entries if entry.person not in known]


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() > until


def _begin(
    connection: Connection, person: str, by: ActedBy, now: datetime, id_stays: bool, *, again: bool = False
) -> None:
    """Record the erasure, and leave nothing of the person's row but the id; a repeat has no effect.

    With `again` it was decided before, so nothing keeps it.
    """
    if erased.find(connection, person) is not None:
        return
    row = people.find(connection, person)
    if row is None and not again:
        raise NotFound(sentence("There is no person {person!r}", person=person))
    if not again:
        _require_erasable(connection, person, id_stays=id_stays)
    address = row.email if row is not None else None
    erasures.put(
        connection,
        PersonErasure(
            person=person,
            erased_at=now,
            erased_by=by.actor,
            mail_digest=None if address is None else digest_of(address),
            changed_at=now,
        ),
    )
    if row is not None:
        person_rows.become_nobody(connection, person, now)
        if row.active:
            departures.note(connection, person, now)
    admin_acts.record(connection, by, Act(kind="person_erased", target=f"person:{person}"), now)


def _require_erasable(connection: Connection, person: str, *, id_stays: bool) -> None:
    row = people.get(connection, person)
    if row.active and "admin" in row.access and not people.others_with(connection, "admin", person):
        raise LastAdmin("Nobody else is an admin; give somebody else this access first.")
    if "@" in person and not id_stays:
        raise Conflict(
            sentence(
                "The id {person!r} is a mail address, and the id is what stays: audit chains are made of it. Send "
                "`id_stays` to erase everything but that.",
                person=person,
            )
        )
    running, number = erasures.running_requests(connection, person, most=MOST_SHOWN)
    if number:
        raise Conflict(
            sentence(
                "{number} requests of {person!r} still run or can be claimed: {requests}. Have them decided, withdraw "
                "or cancel them, then erase the person.",
                number=number,
                person=person,
                requests=", ".join(running),
            )
        )


def _state(connection: Connection, person: str) -> ErasureState:
    erasure = erased.find(connection, person)
    if erasure is None:
        raise NotFound(sentence("The person {person!r} was not erased", person=person))
    waiting, number = erasures.waiting(connection, person, most=MOST_SHOWN)
    return ErasureState(
        person=person,
        erased_at=erasure.erased_at,
        erased_by=erasure.erased_by,
        completed_at=erasure.completed_at,
        waiting=tuple(waiting),
        waiting_count=number,
    )

"""Administrative acts: written into the transaction of the act itself, as the next line of the one chain; and read."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from sqlalchemy import Connection, func, insert, select, text, true, update
from sqlmodel import col

from placet.audit.admin_acts import Act, ActedBy, genesis, link
from placet.audit.chain import Entry, canonical_json, first_bad
from placet.audit.sealed import committed, without_erased
from storage.queries import cursor as cursors
from storage.recording.verify import entry_of, raw_rows
from storage.tables.admin_acts import AdminAct

# Any number, as long as all who write to the chain take the same lock.
_LOCK = 0x61637473
_AT_ONCE = 1_000  # rows that are verified together
_COMMITTED = ("actor_type", "outcome", "target", "way")  # beside the detail, in the entry's
_FIELDS = ("seq", "at", "kind", "actor", "detail", "salts", "hash", *_COMMITTED)
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which acts are asked for: of an actor (`user:<id>`, `operator`), of a kind, from `since` to before `until`."""

    actor: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class VerifiedActs(TypedDict):
    """The result for the chain of acts: whether it holds, its length, its last hash, and the first line that does not.

    Rows that somebody has removed at its end are missed by nobody but those who know an earlier length or hash.
    """

    ok: bool
    acts: int
    head: str | None
    first_bad_seq: int | None


def record(connection: Connection, by: ActedBy, act: Act, now: datetime) -> int:
    """Write an act into the caller's transaction, and return its number.

    Do so last: all who write acts wait for each other from here until they have committed.
    """
    if connection.dialect.name == "postgresql":  # SQLite has one writer
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    last = connection.execute(select(col(AdminAct.seq), col(AdminAct.hash)).order_by(col(AdminAct.seq).desc()).limit(1))
    row = last.first()
    seq, previous = (0, genesis()) if row is None else (row.seq, row.hash)
    # The chain is written once, so its salts are of chance.
    salts = {name: secrets.token_hex(_SALT_BYTES) for name in act.sealed}
    entry = link(previous, act, by, seq=seq + 1, at=now, salts=salts)
    connection.execute(
        insert(AdminAct).values(
            seq=entry.seq,
            at=now,
            kind=act.kind,
            actor=by.actor,
            hash=entry.hash,
            salts=canonical_json(entry.salts).decode() if entry.salts else None,
            **entry.detail,
        )
    )
    return entry.seq


def page(connection: Connection, *, limit: int, cursor: str | None, chosen: Chosen) -> cursors.Page[AdminAct]:
    """List acts, newest first, with null for what was erased; raises InputInvalid for a cursor that is none."""
    query = select(AdminAct).order_by(col(AdminAct.seq).desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(col(AdminAct.seq) < cursors.read_number(cursor))
    if chosen.actor is not None:
        query = query.where(col(AdminAct.actor) == chosen.actor)
    if chosen.kind is not None:
        query = query.where(col(AdminAct.kind) == chosen.kind)
    if chosen.since is not None:
        query = query.where(col(AdminAct.at) >= chosen.since)
    if chosen.until is not None:
        query = query.where(col(AdminAct.at) < chosen.until)
    rows = [
        AdminAct(**{**row, "detail": without_erased(row["detail"])[0]}) for row in connection.execute(query).mappings()
    ]
    return cursors.page(rows, limit, lambda row: (str(row.seq),))


def erase_sealed(connection: Connection, target: str, *, most: int) -> int:
    """Erase what is sealed of some acts on an object; the chain goes on to hold. Returns how many acts there were."""
    sealed = (col(AdminAct.target) == target, col(AdminAct.salts).is_not(None))
    query = select(col(AdminAct.seq), col(AdminAct.detail), col(AdminAct.salts)).where(*sealed).limit(most)
    rows = connection.execute(query).all()
    for row in rows:
        hashed = committed({"detail": row.detail}, json.loads(row.salts), canonical_json)
        change = update(AdminAct).where(col(AdminAct.seq) == row.seq)
        connection.execute(change.values(detail=hashed["detail"], salts=None))
    return len(rows)


def verify(connection: Connection) -> VerifiedActs:
    """Recompute the chain of acts from its rows, whatever they hold."""
    bad = first_bad(genesis(), _entries(connection))
    acts = connection.execute(select(func.count()).select_from(AdminAct)).scalar_one()
    last = connection.execute(select(func.max(col(AdminAct.seq)))).scalar_one()
    rows = raw_rows(connection, AdminAct, ("hash",), col(AdminAct.seq) == last, order="seq")
    return VerifiedActs(ok=bad is None, acts=acts, head=rows[0]["hash"] if rows else None, first_bad_seq=bad)


def _entries(connection: Connection) -> Iterator[Entry | None]:
    after: int | None = None
    while True:
        where = true() if after is None else col(AdminAct.seq) > after
        rows = raw_rows(connection, AdminAct, _FIELDS, where, order="seq", limit=_AT_ONCE)
        yield from map(_entry, rows)
        if len(rows) < _AT_ONCE:
            return
        after = int(rows[-1]["seq"] or 0)


def _entry(row: dict[str, str | None]) -> Entry | None:
    """Parse a row as the entry that it was hashed as, or return None where it cannot be read."""
    entry = entry_of({**row, "stage": None, "task_id": None})
    if entry is None:
        return None
    return replace(entry, detail={"detail": entry.detail, **{name: row[name] for name in _COMMITTED}})

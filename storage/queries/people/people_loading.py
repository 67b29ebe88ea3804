"""Load many people in batches, so that other writers get their turn, and write only people who have changed.

Each batch is one transaction. An interrupted load has stored its first batches completely and nothing of the others.
The same load continues from there, since stored people no longer differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from placet.audit.admin_acts import Act, ActedBy
from placet.errors import LastAdmin
from storage.database import Database
from storage.queries.people import departures, erased, people
from storage.recording import admin_acts
from storage.tables.approvals import StoredPerson

BATCH = 500  # people in a transaction, which takes about a tenth of a second
# Waiting writers on SQLite retry within a tenth of a second, so they get their turn in this pause, in seconds.
PAUSE = 0.1
_FACTS = (
    "name",
    "email",
    "manager",
    "roles",
    "groups",
    "access",
    "away",
    "active",
    "department",
    "actor_type",
    "principal",
)

_ADMIN = "admin"
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonToLoad:
    """A person to store. With `keep_preferences` the stored preferences stay."""

    person: StoredPerson
    keep_preferences: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """The result of a load: how many people it was given, how many it wrote, who has left, and how many are admins."""

    given: int
    changed: int
    left: tuple[str, ...] = ()
    admins: int = 0


async def load(
    database: Database,
    wanted: Sequence[PersonToLoad],
    now: datetime,
    *,
    by: ActedBy,
    complete: bool = False,
    keep_admin: bool = True,
) -> LoadResult:
    """Store these people, each id once; with `complete`, everyone else becomes inactive.

    The open tasks of people who have left are reassigned. Each batch puts on record whom it has changed. With
    `keep_admin`, raises LastAdmin where there is an admin before and none afterwards. Raises Unavailable.
    """
    # Admins first: at no time between two batches is there none, so neither after a load that is interrupted.
    wanted = sorted(wanted, key=lambda one: not _is_admin(one.person))
    if keep_admin:
        await database.read(_require_an_admin, wanted, complete)
    changed, pause = 0, PAUSE if database.dialect == "sqlite" else 0.0
    for batch in _batches(wanted):
        differing = await database.read(_differing, batch)
        if differing:
            changed += await database.write(_store, differing, now, by)
            await _pause(pause)
    left: list[str] = []
    if complete:
        for others in _batches(await database.read(_missing, {one.person.id for one in wanted})):
            left += await database.write(_leave, others, now, by)
            await _pause(pause)
    admins = len(await database.read(people.holders, _ADMIN))
    return LoadResult(given=len(wanted), changed=changed, left=tuple(left), admins=admins)


def _is_admin(person: StoredPerson) -> bool:
    return person.active and _ADMIN in person.access


def _require_an_admin(connection: Connection, wanted: Sequence[PersonToLoad], complete: bool) -> None:
    """Raise LastAdmin where there is an admin now, and none once these people are stored."""
    there = set(people.holders(connection, _ADMIN))
    stay = set() if complete else there - {one.person.id for one in wanted}
    if there and not stay and not any(_is_admin(one.person) for one in wanted):
        raise LastAdmin(
            "Nobody would be an admin after this load, so nobody was loaded. Give somebody in the list the access "
            "admin, or repeat it with --without-admin."
        )


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]


def _differing(connection: Connection, batch: Sequence[PersonToLoad]) -> list[PersonToLoad]:
    """Return the people who are new or changed."""
    there = _stored(connection, batch)
    return [one for one in batch if (before := there.get(one.person.id)) is None or before != _facts(one, before)]


def _store(connection: Connection, batch: Sequence[PersonToLoad], now: datetime, by: ActedBy) -> int:
    # Read again, since another process may have written in between.
    for person in sorted(erased.among(connection, [one.person.id for one in batch])):
        erased.require_not_erased(connection, person)
    there = _stored(connection, batch)
    rows, access = {}, {}
    for one in batch:
        before, after = there.get(one.person.id), _facts(one, there.get(one.person.id))
        if before == after:
            continue
        rows[one.person.id] = {"id": one.person.id, **after, "updated_at": now}
        held = None if before is None else before["access"]
        if held != after["access"]:
            access[one.person.id] = {"before": held, "after": after["access"]}
        if before is not None and before["active"] and (not after["active"] or before["away"] != after["away"]):
            departures.note(connection, one.person.id, now)
        elif before is not None and after["active"] and not before["active"]:
            departures.forget(connection, one.person.id)
    if rows:
        make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        fresh = make(StoredPerson)
        replaced = {name: fresh.excluded[name] for name in (*_FACTS, "preferences", "updated_at")}
        connection.execute(fresh.on_conflict_do_update(index_elements=["id"], set_=replaced), list(rows.values()))
        detail = {"changed": sorted(rows), "access": access}
        admin_acts.record(connection, by, Act(kind="people_loaded", target="people", detail=detail), now)
    return len(rows)


def _missing(connection: Connection, listed: set[str]) -> list[str]:
    """Return the active people who are not in the list."""
    there = connection.scalars(
        select(col(StoredPerson.id)).where(col(StoredPerson.active)).order_by(col(StoredPerson.id))
    )
    return [person for person in there if person not in listed]


def _leave(connection: Connection, batch: Sequence[str], now: datetime, by: ActedBy) -> list[str]:
    there = col(StoredPerson.id).in_(batch), col(StoredPerson.active)
    gone = list(connection.scalars(select(col(StoredPerson.id)).where(*there).order_by(col(StoredPerson.id))))
    connection.execute(update(StoredPerson).where(*there).values(active=False, updated_at=now))
    for person in gone:
        departures.note(connection, person, now)
    if gone:
        admin_acts.record(connection, by, Act(kind="people_loaded", target="people", detail={"left": gone}), now)
    return gone


def _stored(connection: Connection, batch: Sequence[PersonToLoad]) -> dict[str, dict[str, Any]]:
    """Return the stored columns of these people, by id."""
    columns = [getattr(StoredPerson, name) for name in ("id", *_FACTS, "preferences")]
    rows = connection.execute(select(*columns).where(col(StoredPerson.id).in_([one.person.id for one in batch])))
    return {row.id: {name: getattr(row, name) for name in (*_FACTS, "preferences")} for row in rows}


def _facts(wanted: PersonToLoad, before: dict[str, Any] | None) -> dict[str, Any]:
    """Return the columns to store for a person."""
    facts = {name: getattr(wanted.person, name) for name in (*_FACTS, "preferences")}
    if wanted.keep_preferences and before is not None:
        facts["preferences"] = before["preferences"]
    return facts

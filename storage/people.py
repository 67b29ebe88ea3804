"""People as they are stored, and as a process sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from placet import directory
from placet.errors import NotFound
from placet.who import Who, person_id
from storage import cursor as cursors
from storage.tables import ApprovalTask, Person


async def get(session: AsyncSession, person: str) -> Person:
    """Return one person; raises NotFound."""
    found = await session.get(Person, person)
    if found is None:
        raise NotFound(f"There is no person {person!r}")
    return found


async def page(
    session: AsyncSession, *, limit: int, cursor: str | None = None, active: bool | None = None
) -> cursors.Page[Person]:
    """List people by id, `limit` at a time."""
    query = select(Person).order_by(col(Person.id)).limit(limit + 1)
    if cursor is not None:
        (after,) = cursors.read_names(cursor, 1)
        query = query.where(col(Person.id) > after)
    if active is not None:
        query = query.where(col(Person.active) == active)
    return cursors.page((await session.scalars(query)).all(), limit, lambda person: (person.id,))


async def put(session: AsyncSession, person: Person) -> Person:
    """Store a person, new or in place of the one with that id."""
    return await session.merge(person)


async def deactivate(session: AsyncSession, person: str, now: datetime) -> Person:
    """Mark a person as having left; their past stays. Raises NotFound."""
    found = await get(session, person)
    found.active, found.updated_at = False, now
    return found


async def directory_for(
    session: AsyncSession, names: Iterable[Who], *, also: Iterable[str], given: Mapping[str, object] | None
) -> directory.Directory:
    """Read everyone whom these names can reach, as they are now: the people, the managers above, and substitutes.

    `also` names people by id; `given` is the request's input. Takes one query for people and managers together, one
    more for each chain of substitutes, and one for how many tasks everyone has open.
    """
    names, also = tuple(names), tuple(also)
    people = await _reach(session, _seeds(names, also, given or {}))

    def holding(kind: str, name: str) -> list[directory.Person]:
        found = [p for p in people.values() if name in (p.roles if kind == "role" else p.groups)]
        return sorted(found, key=lambda p: p.id)

    chosen = directory.needed(
        names,
        find=people.get,
        holders=lambda role: holding("role", role),
        members=lambda group: holding("group", group),
        also=also,
        given=given,
    )
    loads = await _loads(session, chosen.people)
    return directory.Directory(people={i: _with_load(p, loads.get(i, 0)) for i, p in chosen.people.items()})


async def everyone(session: AsyncSession) -> directory.Directory:
    """Return the whole organisation as a process would see it."""
    return directory.Directory(people={row.id: as_seen(row) for row in await session.scalars(select(Person))})


def as_seen(row: Person) -> directory.Person:
    """Return the person as a process sees them: ids, roles, groups and absences, without name or address."""
    return directory.Person(
        id=row.id,
        manager=person_id(row.manager) if row.manager else None,
        roles=tuple(row.roles),
        groups=tuple(row.groups),
        away=tuple(_absence(span) for span in row.away),
        active=row.active,
    )


def _seeds(names: tuple[Who, ...], also: tuple[str, ...], given: Mapping[str, object]) -> ColumnElement[bool]:
    """Build the condition for those who are named themselves."""
    ids = {person_id(one) for one in also}
    held: list[ColumnElement[bool]] = []
    for root in {name.root for name in names}:
        if root.kind == "user":
            ids.add(root.name)
        elif root.kind == "input" and isinstance(value := given.get(root.name), str):
            ids.add(person_id(value))
        elif root.kind in {"role", "group"}:
            # The lists are JSON text. Finding a name in quotes may find too many, which `needed` sorts out, and the
            # characters of names have one way only to be written in JSON, so never too few.
            column = Person.roles if root.kind == "role" else Person.groups
            held.append(cast(col(column), String).contains(f'"{root.name}"', autoescape=True))
    return or_(col(Person.id).in_(sorted(ids)), *held)


async def _reach(session: AsyncSession, seeds: ColumnElement[bool]) -> dict[str, directory.Person]:
    people: dict[str, directory.Person] = {}
    asked: set[str] = set()
    while True:
        # UNION ends at a person seen before, and so at a loop of managers.
        up = select(col(Person.id).label("id")).where(seeds).cte("up", recursive=True)
        above = select(func.replace(col(Person.manager), "user:", "")).join(up, up.c.id == col(Person.id))
        up = up.union(above.where(col(Person.manager).is_not(None)))
        rows = await session.scalars(select(Person).where(col(Person.id).in_(select(up.c.id))))
        people.update((row.id, as_seen(row)) for row in rows)
        substitutes = {a.substitute for person in people.values() for a in person.away if a.substitute}
        missing = substitutes - people.keys() - asked
        if not missing:
            return people
        asked |= missing
        seeds = col(Person.id).in_(sorted(missing))


async def _loads(session: AsyncSession, people: Iterable[str]) -> dict[str, int]:
    query = (
        select(col(ApprovalTask.assignee), func.count())
        .where(col(ApprovalTask.status) == "open", col(ApprovalTask.assignee).in_(sorted(people)))
        .group_by(col(ApprovalTask.assignee))
    )
    return {person: count for person, count in (await session.execute(query)).all() if person is not None}


def _with_load(person: directory.Person, load: int) -> directory.Person:
    return replace(person, load=load) if load else person


def _absence(span: dict[str, Any]) -> directory.Absence:
    substitute = span.get("substitute")
    return directory.Absence(
        start=datetime.fromisoformat(span["from"]),
        until=datetime.fromisoformat(span["until"]),
        substitute=person_id(substitute) if substitute else None,
    )

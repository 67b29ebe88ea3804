"""Stored people, and the directory that processes read."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Select, String, bindparam, cast, func, or_, select
from sqlalchemy.orm import Session
from sqlmodel import col

from placet import directory
from placet.definition.assignees import AssigneeName, people_in, person_id
from placet.errors import NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.prepared import Prepared, among
from storage.queries.ordering import OPEN
from storage.queries.people import departures, erased
from storage.tables.approvals import ApprovalTask, StoredPerson


class PersonColumns(Protocol):
    """The columns of a person that processes read: a Person, or a row with these columns."""

    @property
    def id(self) -> str: ...
    @property
    def manager(self) -> str | None: ...
    @property
    def roles(self) -> list[str]: ...
    @property
    def groups(self) -> list[str]: ...
    @property
    def away(self) -> list[dict[str, Any]]: ...
    @property
    def active(self) -> bool: ...
    @property
    def department(self) -> str | None: ...
    @property
    def access(self) -> list[str]: ...
    @property
    def actor_type(self) -> str: ...


@of_rows
def find(session: Session, person: str) -> StoredPerson | None:
    """Return one person, or None where there is none of that id."""
    return session.get(StoredPerson, person)


def get(connection: Connection, person: str) -> StoredPerson:
    """Return one person; raises NotFound."""
    found = find(connection, person)
    if found is None:
        raise NotFound(sentence("There is no person {person!r}", person=person))
    return found


@of_rows
def prefer(session: Session, person: str, chosen: Mapping[str, Any], now: datetime) -> None:
    """Store what a person chose for themself: these preferences, beside others that they have; raises NotFound."""
    row = session.get(StoredPerson, person)
    if row is None:
        raise NotFound(sentence("There is no person {person!r}", person=person))
    row.preferences = {**row.preferences, **chosen}
    row.updated_at = now


@of_rows
def put(session: Session, person: StoredPerson, *, keep_preferences: bool = False) -> StoredPerson:
    """Store a person, new or in place of the one with that id.

    The open tasks of a person who has left are reassigned; where absences changed, so are those of their substitutes.
    With `keep_preferences` the stored preferences stay. Raises Conflict where a person of that id was erased.
    """
    erased.require_not_erased(session.connection(), person.id)
    before = find(session.connection(), person.id)
    if before is not None and keep_preferences:
        person.preferences = before.preferences
    if before is not None and person.external_id is None:
        person.external_id = before.external_id
    was_there = before is not None and before.active
    earlier = list(before.away) if before is not None else []
    stored = session.merge(person)
    _note_departure(session.connection(), stored, was_there=was_there, away=stored.away != earlier)
    return stored


def _note_departure(connection: Connection, person: StoredPerson, *, was_there: bool, away: bool) -> None:
    if was_there and (away or not person.active):
        departures.note(connection, person.id, person.updated_at)
    elif person.active and not was_there:
        departures.forget(connection, person.id)


def activity(connection: Connection, people: Iterable[str]) -> dict[str, bool]:
    """Return for each of these ids that is stored whether the person is active."""
    ids = sorted(set(people))
    return {row.id: row.active for row in _ACTIVITY.rows(connection, people=ids)} if ids else {}


def names(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Return the names of these people, by id; those who are not stored are left out."""
    wanted = sorted(set(ids))
    return {row.id: row.name for row in _NAMES.rows(connection, ids=wanted)} if wanted else {}


def colleagues(connection: Connection, *, most: int = 200) -> list[tuple[str, str]]:
    """Return the ids and names of active people, by name, for a form that proposes them; the first ones of many."""
    query = select(col(StoredPerson.id), col(StoredPerson.name)).where(col(StoredPerson.active))
    return [(row.id, row.name) for row in connection.execute(query.order_by(col(StoredPerson.name)).limit(most))]


def is_active(connection: Connection, person: str) -> bool:
    """Tell whether this is the id of an active person."""
    return activity(connection, [person]).get(person, False)


def others_with(connection: Connection, access: str, person: str) -> list[str]:
    """Return the active people with an access besides one; they stay as they are until the transaction ends."""
    query = _with_access(access).with_for_update()
    return [row.id for row in connection.execute(query) if access in row.access and row.id != person]


def holders(connection: Connection, access: str) -> list[str]:
    """Return the active people with an access."""
    return [row.id for row in connection.execute(_with_access(access)) if access in row.access]


def _with_access(access: str) -> Select[str, list[str]]:
    return (
        select(col(StoredPerson.id), col(StoredPerson.access))
        .where(col(StoredPerson.active))
        .where(cast(col(StoredPerson.access), String).contains(f'"{access}"', autoescape=True))
        .order_by(col(StoredPerson.id))
    )


def actor_type(connection: Connection, person: str) -> str:
    """Return what somebody is: `person`, `service` or `agent`; `person` for somebody unknown."""
    return _ACTOR_TYPE.scalar(connection, person=person) or "person"


def read_directory(
    connection: Connection,
    names: Iterable[AssigneeName],
    *,
    also: Iterable[str],
    given: Mapping[str, object] | None,
    loads: bool = True,
) -> directory.Directory:
    """Read everyone whom these names can refer to: the people, the managers above them, and substitutes.

    `also` names people by id; `given` is the request's input. Takes one query for people and managers together, one
    more for each chain of substitutes, and with `loads` one for how many tasks everyone has open, which takes the
    longer the more these are; everybody's load is 0 without it.
    """
    names, also = tuple(names), tuple(also)
    people = _reach(connection, *_seeds(names, also, given or {}))

    def holding(kind: str, name: str) -> list[directory.Person]:
        found = [p for p in people.values() if name in (p.roles if kind == "role" else p.groups)]
        return sorted(found, key=lambda p: p.id)

    chosen = directory.people_reached(
        names,
        find=people.get,
        holders=lambda role: holding("role", role),
        members=lambda group: holding("group", group),
        also=also,
        given=given,
    )
    rows = LOADS.rows(connection, people=sorted(chosen.people)) if loads else ()
    load = {row.assignee: row.open for row in rows}
    return directory.Directory(people={i: _with_load(p, load.get(i, 0)) for i, p in chosen.people.items()})


def everyone(connection: Connection) -> directory.Directory:
    """Return the whole organisation as a process would see it."""
    # Many people have equal lists, so each list is parsed once.
    names = lru_cache(maxsize=None)(lambda text: tuple(json.loads(text)))
    absences = lru_cache(maxsize=None)(lambda text: tuple(_absence(span) for span in json.loads(text)))
    return directory.Directory(
        people={
            row.id: directory.Person(
                id=row.id,
                manager=person_id(row.manager) if row.manager else None,
                roles=names(row.roles),
                groups=names(row.groups),
                away=absences(row.away),
                active=row.active,
                department=row.department,
                approver=approves(names(row.access), row.actor_type),
            )
            for row in connection.execute(_EVERYONE)
        }
    )


def as_directory_person(row: PersonColumns) -> directory.Person:
    """Return a person for the directory: ids, roles, groups and absences, without name and address."""
    return directory.Person(
        id=row.id,
        manager=person_id(row.manager) if row.manager else None,
        roles=tuple(row.roles),
        groups=tuple(row.groups),
        away=tuple(_absence(span) for span in row.away),
        active=row.active,
        department=row.department,
        approver=approves(row.access, row.actor_type),
    )


def approves(access: Collection[str], actor_type: str) -> bool:
    """Tell whether people with this access may be asked for decisions; an agent never is."""
    return actor_type != "agent" and ("approver" in access or "admin" in access)


def _seeds(
    names: tuple[AssigneeName, ...], also: tuple[str, ...], given: Mapping[str, object]
) -> tuple[set[str], frozenset[tuple[str, str]]]:
    """Return the named people by id, and the named roles and groups."""
    ids = {person_id(one) for one in also}
    held: set[tuple[str, str]] = set()
    for root in {name.root for name in names}:
        if root.kind == "user":
            ids.add(root.name)
        elif root.given:
            ids.update(people_in(given.get(root.name)))
        elif root.kind in {"role", "group"}:
            held.add((root.kind, root.name))
    return ids, frozenset(held)


def _reach(connection: Connection, seeds: set[str], held: frozenset[tuple[str, str]]) -> dict[str, directory.Person]:
    people: dict[str, directory.Person] = {}
    asked: set[str] = set()
    while True:
        rows = _upwards(held).rows(connection, seeds=sorted(seeds))
        people.update((row.id, as_directory_person(row)) for row in rows)
        substitutes = {a.substitute for person in people.values() for a in person.away if a.substitute}
        seeds, held = substitutes - people.keys() - asked, frozenset()
        if not seeds:
            return people
        asked |= seeds


@lru_cache(maxsize=256)
def _upwards(held: frozenset[tuple[str, str]]) -> Prepared:
    """Return the query for people by id (parameter `seeds`), holders of roles and groups, and everyone above them.

    A process asks for the same roles each time.
    """
    return Prepared(partial(_build_upwards, held))


def _build_upwards(held: frozenset[tuple[str, str]], dialect: str) -> Select[Any]:
    first: list[ColumnElement[bool]] = [among(dialect, col(StoredPerson.id), "seeds")]
    for kind, name in sorted(held):
        # The lists are JSON text. Finding a name in quotes may find too many, which `needed` sorts out, and the
        # characters of names have one way only to be written in JSON, so never too few.
        column = StoredPerson.roles if kind == "role" else StoredPerson.groups
        first.append(cast(col(column), String).contains(f'"{name}"', autoescape=True))
    # UNION ends at a person seen before, and so at a loop of managers.
    up = select(col(StoredPerson.id).label("id")).where(or_(*first)).cte("up", recursive=True)
    above = select(func.replace(col(StoredPerson.manager), "user:", "")).join(up, up.c.id == col(StoredPerson.id))
    up = up.union(above.where(col(StoredPerson.manager).is_not(None)))
    facts = (
        StoredPerson.manager,
        StoredPerson.roles,
        StoredPerson.groups,
        StoredPerson.away,
        StoredPerson.active,
        StoredPerson.access,
        StoredPerson.department,
        StoredPerson.actor_type,
    )
    return select(col(StoredPerson.id), *(col(fact) for fact in facts)).where(col(StoredPerson.id).in_(select(up.c.id)))


_EVERYONE = select(
    col(StoredPerson.id),
    col(StoredPerson.manager),
    *(cast(getattr(StoredPerson, name), String).label(name) for name in ("roles", "groups", "away", "access")),
    col(StoredPerson.active),
    col(StoredPerson.department),
    col(StoredPerson.actor_type),
).order_by(col(StoredPerson.id))

# A value beside the statement would have SQLite plan each call anew, for which partial indexes it may use.
LOADS = Prepared(
    lambda dialect: (
        select(col(ApprovalTask.assignee), func.count().label("open"))
        .where(col(ApprovalTask.status) == OPEN, among(dialect, col(ApprovalTask.assignee), "people"))
        .group_by(col(ApprovalTask.assignee))
    )
)
_ACTOR_TYPE = Prepared(select(col(StoredPerson.actor_type)).where(col(StoredPerson.id) == bindparam("person")))
_ACTIVITY = Prepared(
    lambda dialect: select(col(StoredPerson.id), col(StoredPerson.active)).where(
        among(dialect, col(StoredPerson.id), "people")
    )
)


def _with_load(person: directory.Person, load: int) -> directory.Person:
    return replace(person, load=load) if load else person


def _absence(span: dict[str, Any]) -> directory.Absence:
    substitute = span.get("substitute")
    return directory.Absence(
        start=datetime.fromisoformat(span["from"]),
        until=datetime.fromisoformat(span["until"]),
        substitute=person_id(substitute) if substitute else None,
    )


_NAMES = Prepared(
    lambda dialect: select(col(StoredPerson.id), col(StoredPerson.name)).where(
        among(dialect, col(StoredPerson.id), "ids")
    )
)

"""People and groups as SCIM lists and finds them; a group's members are the people who hold its name."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import Conflict, InputInvalid, NotFound, Problem
from placet.sentences import sentence
from storage.database import of_rows
from storage.tables.approvals import StoredPerson
from storage.tables.identity import DirectoryGroup

_USER_FIELDS: dict[str, ColumnElement[Any]] = {
    "username": func.lower(col(StoredPerson.id)),
    "id": func.lower(col(StoredPerson.id)),
    "externalid": func.lower(col(StoredPerson.external_id)),
    "emails.value": func.lower(col(StoredPerson.email)),
    "emails": func.lower(col(StoredPerson.email)),
}
_GROUP_FIELDS: dict[str, ColumnElement[Any]] = {
    "displayname": func.lower(col(DirectoryGroup.name)),
    "id": func.lower(col(DirectoryGroup.id)),
    "externalid": func.lower(col(DirectoryGroup.external_id)),
}

Filter = tuple[str, str]
"""An attribute in small letters, and the value that it has to have."""


@of_rows
def users(session: Session, *, start: int, count: int, where: Filter | None) -> tuple[list[StoredPerson], int]:
    """List people by id from a position (from 1 on), and say how many there are; raises InputInvalid for a filter."""
    chosen = select(StoredPerson).order_by(col(StoredPerson.id))
    return _page(session, _where(chosen, where, _USER_FIELDS), start, count)


@of_rows
def groups(session: Session, *, start: int, count: int, where: Filter | None) -> tuple[list[DirectoryGroup], int]:
    """List groups by name, as `users` lists people."""
    chosen = select(DirectoryGroup).order_by(col(DirectoryGroup.name))
    return _page(session, _where(chosen, where, _GROUP_FIELDS), start, count)


def _where(query: Select[Any], where: Filter | None, fields: Mapping[str, ColumnElement[Any]]) -> Select[Any]:
    if where is None:
        return query
    name, value = where
    if name not in fields:
        message = sentence(
            "a filter by {name!r} is not supported; there are: {names}", name=name, names=", ".join(sorted(fields))
        )
        raise InputInvalid(problems=(Problem(pointer="/filter", message=message),))
    return query.where(fields[name] == value.lower())


def _page(session: Session, query: Select[Any], start: int, count: int) -> tuple[list[Any], int]:
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    return list(session.scalars(query.offset(start - 1).limit(count))), total


@of_rows
def set_external_id(session: Session, person: str, external_id: str | None) -> None:
    """Store what whoever provisions people calls a person."""
    row = session.get(StoredPerson, person)
    if row is not None:
        row.external_id = external_id


@of_rows
def group(session: Session, group_id: str) -> DirectoryGroup:
    """Return a group; raises NotFound."""
    row = session.get(DirectoryGroup, group_id)
    if row is None:
        raise NotFound(sentence("There is no group {group_id!r}.", group_id=group_id))
    return row


@of_rows
def members(session: Session, name: str) -> list[tuple[str, str]]:
    """List the id and the name of everybody who holds a group's name."""
    return [(row.id, row.name) for row in _holders(session, name)]


@of_rows
def put_group(
    session: Session,
    group_id: str | None,
    *,
    name: str,
    external_id: str | None,
    wanted: Collection[str],
    now: datetime,
) -> DirectoryGroup:
    """Store a group with exactly these members, new where it has no id yet.

    Raises NotFound, Conflict where another has its name, and InputInvalid where a member is unknown.
    """
    other = session.scalar(select(DirectoryGroup).where(func.lower(col(DirectoryGroup.name)) == name.lower()))
    if other is not None and other.id != group_id:
        raise Conflict(sentence("There is a group {name!r} already.", name=name))
    if group_id is None:
        row = DirectoryGroup(id=uuid.uuid4().hex, name=name, external_id=external_id, created_at=now, updated_at=now)
        session.add(row)
    else:
        row = group(session.connection(), group_id)
        row = session.merge(row)
        if row.name != name:
            _set_members(session, row.name, set(), now)
        row.name, row.external_id, row.updated_at = name, external_id, now
    _set_members(session, name, set(wanted), now)
    return row


@of_rows
def delete_group(session: Session, group_id: str, now: datetime) -> None:
    """Delete a group, and take its name from everybody; raises NotFound."""
    row = session.merge(group(session.connection(), group_id))
    _set_members(session, row.name, set(), now)
    session.delete(row)


def _set_members(session: Session, name: str, wanted: set[str], now: datetime) -> None:
    there = {row.id: row for row in _holders(session, name)}
    for person in there.keys() - wanted:
        row = there[person]
        row.groups, row.updated_at = [held for held in row.groups if held != name], now
    for person in sorted(wanted - there.keys()):
        found = session.get(StoredPerson, person)
        if found is None:
            message = sentence("there is no person {person!r}; provision them first", person=person)
            raise InputInvalid(problems=(Problem(pointer="/members", message=message),))
        found.groups, found.updated_at = [*found.groups, name], now


def _holders(session: Session, name: str) -> list[StoredPerson]:
    # Finding the name in quotes may find too many, never too few (storage.queries.people.people).
    named = cast(col(StoredPerson.groups), String).contains(f'"{name}"', autoescape=True)
    rows = session.scalars(select(StoredPerson).where(named).order_by(col(StoredPerson.id)))
    return [row for row in rows if name in row.groups]

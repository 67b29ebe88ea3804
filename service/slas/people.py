"""Whom the news of an SLA goes to: the owner of the process, admins, and those above the owner."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from storage.queries.people import people
from storage.queries.requests import deciders
from storage.recording.recipients import every_admin

_QUEUES: Final = ("role:", "group:")


def told_of(connection: Connection, owner: str | None, now: datetime, *, admins: bool = True) -> tuple[str, ...]:
    """Return who is told: the owner of a process, or who holds the role that owns it, and with `admins` all admins."""
    found = list(_owners(connection, owner, now))
    if admins or not found:  # of a process that belongs to nobody, admins are told
        found += every_admin(connection)
    return tuple(dict.fromkeys(found))


def chain_above(connection: Connection, owner: str | None, levels: int) -> tuple[str, ...]:
    """Return the managers above an owner, the nearest first, at most so many levels up."""
    found: list[str] = []
    person = owner
    while person is not None and len(found) < levels:
        row = people.find(connection, person)
        person = None if row is None else row.manager
        if person is None or person in found or person == owner:
            break
        found.append(person)
    return tuple(found)


def _owners(connection: Connection, owner: str | None, now: datetime) -> tuple[str, ...]:
    if owner is None:
        return ()
    if owner.startswith(_QUEUES):
        return tuple(deciders.members(connection, [owner], now)[owner])
    return (owner,) if people.find(connection, owner) is not None else ()

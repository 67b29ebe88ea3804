"""Who may see what, in one place.

A request is for its requester, its owner, everyone who has or had a task in it, auditors and admins; a draft is for
whoever wrote or owns it, designers, auditors and admins. Others get NotFound. What somebody may do is in `api.access`
(by their access) and in the core (by their part in a request).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection

from placet.errors import NotFound, Unseen
from service.principal import SEE_ALL, Principal
from storage.queries.definitions import definitions
from storage.queries.people import people
from storage.queries.requests import deciders, requests
from storage.queries.requests.requests import RequestWithTasks, TaskRow
from storage.queries.requests.visibility import Visibility
from storage.tables.approvals import DefinitionVersion

Shown = TypeVar("Shown", bound=TaskRow)


def viewer_of(principal: Principal) -> str | None:
    """Return the person whose permissions filter queries; None means no filter."""
    return None if principal.sees_all else principal.person


def viewer_by_id(connection: Connection, person: str) -> str | None:
    """Return the person whose permissions filter queries for somebody who is not the caller; None means no filter."""
    found = people.find(connection, person)
    return None if found is not None and found.active and SEE_ALL & {*found.access} else person


def visibility_of(connection: Connection, person: str, now: datetime) -> Visibility:
    """Return what a person may see now, also through roles, groups and substitution."""
    return deciders.visibility_of(connection, person, now)


def visibility_of_caller(connection: Connection, principal: Principal, now: datetime) -> Visibility | None:
    """Return what the caller may see now; None means everything."""
    return None if principal.sees_all else visibility_of(connection, principal.person, now)


def see_request(connection: Connection, principal: Principal, request_id: str, now: datetime) -> RequestWithTasks:
    """Return a request; raises NotFound where the caller may see none."""
    viewer = viewer_of(principal)
    try:
        return requests.read(connection, request_id, viewer)
    except NotFound as error:
        if viewer is None or requests.requester_of(connection, request_id) is None:
            raise
        with suppress(NotFound):
            return requests.read(connection, request_id, deciders.visibility_of(connection, principal.person, now))
        raise Unseen(error.message) from None


def see_task(connection: Connection, principal: Principal, task_id: str, now: datetime) -> TaskRow:
    """Return a task; raises NotFound where the caller may see none."""
    viewer = viewer_of(principal)
    try:
        return requests.read_task(connection, task_id, viewer)
    except NotFound as error:
        if viewer is None or not requests.has_task(connection, task_id):
            raise
        with suppress(NotFound):
            return requests.read_task(connection, task_id, deciders.visibility_of(connection, principal.person, now))
        raise Unseen(error.message) from None


def seen_request(connection: Connection, principal: Principal, request_id: str, now: datetime) -> RequestWithTasks:
    """Do what `see_request` does, in a session; with who may claim its tasks now."""

    def look(connection: Connection) -> RequestWithTasks:
        return present(connection, see_request(connection, principal, request_id, now), now)

    return look(connection)


def seen_task(connection: Connection, principal: Principal, task_id: str, now: datetime) -> TaskRow:
    """Do what `see_task` does, in a session; with who may claim it now."""

    def look(connection: Connection) -> TaskRow:
        return deciders.with_candidates(connection, [see_task(connection, principal, task_id, now)], now)[0]

    return look(connection)


def with_candidates(connection: Connection, tasks: Sequence[Shown], now: datetime) -> list[Shown]:
    """Return the tasks with who may claim them now."""
    return deciders.with_candidates(connection, tasks, now)


def all_present(connection: Connection, found: Sequence[RequestWithTasks], now: datetime) -> list[RequestWithTasks]:
    """Return the requests with who may claim their tasks now."""
    rows = iter(with_candidates(connection, [task for stored in found for task in stored.tasks], now))
    return [replace(stored, tasks=tuple(islice(rows, len(stored.tasks)))) for stored in found]


def present(connection: Connection, stored: RequestWithTasks, now: datetime) -> RequestWithTasks:
    """Return the request with who may claim its tasks now."""
    return replace(stored, tasks=tuple(deciders.with_candidates(connection, stored.tasks, now)))


def sees_definition(principal: Principal, row: DefinitionVersion) -> bool:
    """Whether the caller may see a version. Drafts are for their author or owner, designers, auditors and admins."""
    return row.status != "draft" or principal.designs or principal.owns(row.owner) or row.created_by == principal.person


def drafts_of(principal: Principal) -> frozenset[str] | None:
    """Return the people whose drafts the caller may see, as the store names them; None means everybody's."""
    return None if principal.designs else principal.names


def seen_definition(connection: Connection, principal: Principal, template_id: str) -> DefinitionVersion:
    """Return a version of a process definition; raises NotFound where the caller may see none."""
    row = definitions.get(connection, template_id)
    if not sees_definition(principal, row):
        raise definitions.unknown(template_id)
    return row


def sees_private(principal: Principal, person: str) -> bool:
    """Whether the caller may see a person's address and preferences."""
    return principal.admin or principal.person == person


def sees_failures(principal: Principal, owner: str | None = None) -> bool:
    """Whether the caller may see why an action or a delivery failed; `owner` is the process's."""
    return principal.sees_all or principal.owns(owner)


def sees_webhooks(principal: Principal) -> bool:
    """Whether the caller may see what goes to webhooks."""
    return principal.sees_all

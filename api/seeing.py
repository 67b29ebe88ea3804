"""Who sees which request: its requester, its owner, everyone who has or had a task in it, auditors and admins.

What is not theirs to see is not there for them: they get NotFound, as for what does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Principal
from placet.errors import NotFound, NotPermitted
from storage.queries.definitions import definitions
from storage.queries.requests import requests, substitutes
from storage.queries.requests.requests import Stored, TaskRow
from storage.queries.requests.visibility import Visibility
from storage.tables.approvals import DefinitionVersion

Shown = TypeVar("Shown", bound=TaskRow)


class Unseen(NotFound):
    """Something is there and not theirs to see: told as if it were not, and put on record."""


def viewer_of(principal: Principal) -> str | None:
    """Return whose view of the store it is; None sees all. Most of what people look at is theirs to see for good."""
    return None if principal.sees_all else principal.person


async def sight_of(session: AsyncSession, person: str) -> Visibility:
    """Return what somebody sees now: also by their roles and groups, and by whom they stand in for."""
    return await session.run_sync(lambda sync: substitutes.sight_of(sync.connection(), person, datetime.now(UTC)))


async def with_candidates(session: AsyncSession, tasks: Sequence[Shown]) -> list[Shown]:
    """Return the tasks with who may claim them now."""
    return await session.run_sync(lambda sync: substitutes.with_candidates(sync.connection(), tasks, datetime.now(UTC)))


async def all_present(session: AsyncSession, found: Sequence[Stored]) -> list[Stored]:
    """Return the requests with who may claim their tasks now."""
    rows = iter(await with_candidates(session, [task for stored in found for task in stored.tasks]))
    return [replace(stored, tasks=tuple(islice(rows, len(stored.tasks)))) for stored in found]


def present(connection: Connection, stored: Stored) -> Stored:
    """Return the request with who may claim its tasks now."""
    return replace(stored, tasks=tuple(substitutes.with_candidates(connection, stored.tasks, datetime.now(UTC))))


def stands_in(connection: Connection, principal: Principal, task: TaskRow) -> bool:
    """Whether whoever has a task is away and this person stands in for them now; the core asks again."""
    if task.assignee is None or principal.person in {task.assignee, *task.delegates}:
        return False
    how, _, away = task.assigned_via.partition(":")
    holder = away if how == "substitution" else task.assignee
    return principal.person in substitutes.standing_in(connection, [holder], datetime.now(UTC)).get(holder, ())


def see_request(connection: Connection, principal: Principal, request_id: str) -> Stored:
    """Return a request; raises NotFound where there is none that is theirs to see."""
    viewer = viewer_of(principal)
    try:
        return requests.read(connection, request_id, viewer)
    except NotFound as error:
        if viewer is None or requests.requester_of(connection, request_id) is None:
            raise
        with suppress(NotFound):
            return requests.read(connection, request_id, _sight(connection, principal))
        raise Unseen(error.message) from None


def see_task(connection: Connection, principal: Principal, task_id: str) -> TaskRow:
    """Return a task; raises NotFound where there is none that is theirs to see."""
    viewer = viewer_of(principal)
    try:
        return requests.read_task(connection, task_id, viewer)
    except NotFound as error:
        if viewer is None or not requests.has_task(connection, task_id):
            raise
        with suppress(NotFound):
            return requests.read_task(connection, task_id, _sight(connection, principal))
        raise Unseen(error.message) from None


def need_decider(connection: Connection, principal: Principal, task_id: str) -> None:
    """Raise NotPermitted for whoever is no approver, unless the task is of a process of theirs.

    It is asked before the task is looked for, so that it says the same of tasks that there are and that there are not.
    """
    if not principal.approves and not principal.owns(requests.owner_of(connection, task_id)):
        raise NotPermitted(f"Deciding needs the access approver, which user:{principal.person} does not have.")


def _sight(connection: Connection, principal: Principal) -> Visibility:
    return substitutes.sight_of(connection, principal.person, datetime.now(UTC))


def sees_template(principal: Principal, row: DefinitionVersion) -> bool:
    """Whether a version is theirs to see: drafts are for whoever wrote or owns them, designers, auditors and admins."""
    return row.status != "draft" or principal.designs or principal.owns(row.owner) or row.created_by == principal.person


async def seen_template(session: AsyncSession, principal: Principal, template_id: str) -> DefinitionVersion:
    """Return a version of a blueprint; raises NotFound where there is none that is theirs to see."""
    row = await definitions.get(session, template_id)
    if not sees_template(principal, row):
        raise definitions.unknown(template_id)
    return row


async def seen_request(session: AsyncSession, principal: Principal, request_id: str) -> Stored:
    """Do what `see_request` does, in a session; with who may claim its tasks now."""

    def look(connection: Connection) -> Stored:
        return present(connection, see_request(connection, principal, request_id))

    return await session.run_sync(lambda sync: look(sync.connection()))


async def seen_task(session: AsyncSession, principal: Principal, task_id: str) -> TaskRow:
    """Do what `see_task` does, in a session; with who may claim it now."""

    def look(connection: Connection) -> TaskRow:
        return substitutes.with_candidates(connection, [see_task(connection, principal, task_id)], datetime.now(UTC))[0]

    return await session.run_sync(lambda sync: look(sync.connection()))

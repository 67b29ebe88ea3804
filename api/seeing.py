"""Who sees which request: its requester, its owner, everyone who has or had a task in it, auditors and admins.

What is not theirs to see is not there for them: they get NotFound, as for what does not exist.
"""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Principal
from placet.errors import NotFound, NotPermitted
from storage import requests, templates
from storage.requests import Stored, TaskRow
from storage.tables import ProcessTemplate


class Unseen(NotFound):
    """Something is there and not theirs to see: told as if it were not, and put on record."""


def viewer_of(principal: Principal) -> str | None:
    """Return whose view of the store it is; None sees all."""
    return None if principal.sees_all else principal.person


def see_request(connection: Connection, principal: Principal, request_id: str) -> Stored:
    """Return a request; raises NotFound where there is none that is theirs to see."""
    try:
        return requests.read(connection, request_id, viewer_of(principal))
    except NotFound as error:
        if requests.requester_of(connection, request_id) is None:
            raise
        raise Unseen(error.message) from None


def see_task(connection: Connection, principal: Principal, task_id: str) -> TaskRow:
    """Return a task; raises NotFound where there is none that is theirs to see."""
    try:
        return requests.read_task(connection, task_id, viewer_of(principal))
    except NotFound as error:
        if not requests.has_task(connection, task_id):
            raise
        raise Unseen(error.message) from None


def need_decider(connection: Connection, principal: Principal, task_id: str) -> None:
    """Raise NotPermitted for whoever is no approver, unless the task is of a process of theirs.

    It is asked before the task is looked for, so that it says the same of tasks that there are and that there are not.
    """
    if not principal.approves and not principal.owns(requests.owner_of(connection, task_id)):
        raise NotPermitted(f"Deciding needs the access approver, which user:{principal.person} does not have.")


def sees_template(principal: Principal, row: ProcessTemplate) -> bool:
    """Whether a version is theirs to see: drafts are for whoever wrote or owns them, designers, auditors and admins."""
    return row.status != "draft" or principal.designs or principal.owns(row.owner) or row.created_by == principal.person


async def seen_template(session: AsyncSession, principal: Principal, template_id: str) -> ProcessTemplate:
    """Return a version of a blueprint; raises NotFound where there is none that is theirs to see."""
    row = await templates.get(session, template_id)
    if not sees_template(principal, row):
        raise templates.unknown(template_id)
    return row


async def seen_request(session: AsyncSession, principal: Principal, request_id: str) -> Stored:
    """Do what `see_request` does, in a session."""
    return await session.run_sync(lambda sync: see_request(sync.connection(), principal, request_id))


async def seen_task(session: AsyncSession, principal: Principal, task_id: str) -> TaskRow:
    """Do what `see_task` does, in a session."""
    return await session.run_sync(lambda sync: see_task(sync.connection(), principal, task_id))

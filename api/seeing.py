"""Who sees which request: its requester, its owner, everyone who has or had a task in it, auditors and admins."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Principal
from placet.errors import NotFound, NotPermitted
from storage import requests
from storage.requests import Stored, TaskRow


def viewer_of(principal: Principal) -> str | None:
    """Return whose view of the store it is; None sees all."""
    return None if principal.sees_all else principal.person


def see_request(connection: Connection, principal: Principal, request_id: str) -> Stored:
    """Return a request; raises NotFound where there is none and NotPermitted where it is not theirs to see."""
    try:
        return requests.read(connection, request_id, viewer_of(principal))
    except NotFound:
        if principal.sees_all:
            raise
    requests.read(connection, request_id)
    raise NotPermitted("This request is not yours to see.")


def see_task(connection: Connection, principal: Principal, task_id: str) -> TaskRow:
    """Return a task; raises NotFound where there is none and NotPermitted where it is not theirs to see."""
    try:
        return requests.read_task(connection, task_id, viewer_of(principal))
    except NotFound:
        if principal.sees_all:
            raise
    requests.read_task(connection, task_id)
    raise NotPermitted("This task is not yours.")


async def seen_request(session: AsyncSession, principal: Principal, request_id: str) -> Stored:
    """Do what `see_request` does, in a session."""
    return await session.run_sync(lambda sync: see_request(sync.connection(), principal, request_id))


async def seen_task(session: AsyncSession, principal: Principal, task_id: str) -> TaskRow:
    """Do what `see_task` does, in a session."""
    return await session.run_sync(lambda sync: see_task(sync.connection(), principal, task_id))

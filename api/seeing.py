"""Who sees which request: its requester, its owner, everyone who has or had a task in it, auditors and admins."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from api.identity import Principal
from placet.errors import NotFound, NotPermitted
from storage import requests
from storage.requests import Stored
from storage.tables import ApprovalTask


def viewer_of(principal: Principal) -> str | None:
    """Return whose view of the store it is; None sees all."""
    return None if principal.sees_all else principal.person


async def seen_request(session: AsyncSession, principal: Principal, request_id: str) -> Stored:
    """Return a request; raises NotFound where there is none and NotPermitted where it is not theirs to see."""
    try:
        return await requests.get(session, request_id, viewer=viewer_of(principal))
    except NotFound:
        if principal.sees_all:
            raise
    await requests.get(session, request_id)
    raise NotPermitted("This request is not yours to see.")


async def seen_task(session: AsyncSession, principal: Principal, task_id: str) -> ApprovalTask:
    """Return a task; raises NotFound where there is none and NotPermitted where it is not theirs to see."""
    try:
        return await requests.task(session, task_id, viewer=viewer_of(principal))
    except NotFound:
        if principal.sees_all:
            raise
    await requests.task(session, task_id)
    raise NotPermitted("This task is not yours.")

"""Watching: people follow requests that they may see, and are told of their end."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from service.context import Context
from service.principal import Principal
from service.visibility import see_request
from storage.queries.requests import watches


async def watch(context: Context, principal: Principal, request_id: str) -> datetime:
    """Watch a request, and return since when; raises NotFound where the caller may not see it."""
    now = context.now()

    def put(connection: Connection) -> datetime:
        see_request(connection, principal, request_id, now)
        return watches.watch(connection, principal.person, request_id, now)

    return await context.database.write(put)


async def unwatch(context: Context, principal: Principal, request_id: str) -> None:
    """Watch a request no longer; raises NotFound where the caller neither sees nor watches it."""
    now = context.now()

    def forget(connection: Connection) -> None:
        if watches.since(connection, principal.person, request_id) is None:
            see_request(connection, principal, request_id, now)
        watches.unwatch(connection, principal.person, request_id)

    await context.database.write(forget)

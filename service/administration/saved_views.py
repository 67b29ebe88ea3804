"""Saved views: views of the inbox that people name, open again, and may begin with."""

from __future__ import annotations

from sqlalchemy import Connection

from service.context import Context
from service.principal import Principal
from storage.queries.people import saved_views


async def save(context: Context, principal: Principal, name: str, query: str, *, standard: bool) -> str:
    """Save a view of the caller under a name, as the one to begin with if so wanted, and return its id.

    Raises InputInvalid for a name that cannot be, and where the caller has as many views as they may.
    """

    def write(connection: Connection) -> str:
        view_id = saved_views.save(connection, principal.person, name, query, context.now())
        if standard:
            saved_views.make_standard(connection, principal.person, view_id)
        return view_id

    return await context.database.write(write)


async def rename(context: Context, principal: Principal, view_id: str, name: str) -> None:
    """Name a view of the caller anew; raises NotFound and InputInvalid."""
    await context.database.write(saved_views.rename, principal.person, view_id, name)


async def begin_with(context: Context, principal: Principal, view_id: str | None) -> None:
    """Choose the view that the caller's inbox opens with; None: the inbox as it is without views. Raises NotFound."""
    await context.database.write(saved_views.make_standard, principal.person, view_id)


async def remove(context: Context, principal: Principal, view_id: str) -> None:
    """Delete a view of the caller; raises NotFound."""
    await context.database.write(saved_views.remove, principal.person, view_id)

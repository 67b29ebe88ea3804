"""The action catalog: what processes can do besides asking people, with statistics."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy import Connection

from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.schemas.actions import ActionBody, ActionPut, ActionView
from api.schemas.common import Listed
from service.administration.catalog import add_action, change_action
from storage.queries import actions

router = APIRouter(prefix="/workflow/action-catalog", tags=["action catalog"], route_class=PersonalRoute)


@router.get("/")
async def list_actions(
    context: Here, limit: Limit = 50, cursor: Cursor = None, enabled: bool | None = None
) -> Listed[ActionView]:
    """List actions by name, with their statistics."""

    def read(connection: Connection) -> Listed[ActionView]:
        page = actions.page(connection, limit=limit, cursor=cursor, enabled=enabled)
        fared = actions.statistics(connection, [row.name for row in page.items])
        items = [ActionView.of(row, fared.get(row.name)) for row in page.items]
        return Listed(items=items, next_cursor=page.next_cursor)

    return await context.database.read(read)


@router.post("/", status_code=201)
async def create_action(context: Here, caller: Caller, body: ActionBody) -> ActionView:
    """Add an action. For designers and admins; if its config refers to a secret, for admins only."""
    return ActionView.of(await add_action(context, caller, body.name, body.facts()), None)


@router.get("/{action}/")
async def read_action(context: Here, action: str) -> ActionView:
    """Show one action by its name or id."""

    def read(connection: Connection) -> ActionView:
        row = actions.get(connection, action)
        return ActionView.of(row, actions.statistics(connection, [row.name]).get(row.name))

    return await context.database.read(read)


@router.put("/{action}/")
async def put_action(context: Here, caller: Caller, action: str, body: ActionPut) -> ActionView:
    """Change an action for new requests; running requests keep the old one. For the same people as adding an action."""
    return ActionView.of(*await change_action(context, caller, action, body.facts(), named=body.name))

"""The action catalog: what processes can do besides asking people, and how that fared."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Cursor, Here, Limit, Reading
from api.http.calls import PersonalRoute
from api.schemas.actions import ActionBody, ActionPut, ActionView
from api.schemas.common import Listed
from service.administration.catalog import add_action, change_action
from storage.queries import actions

router = APIRouter(prefix="/workflow/action-catalog", tags=["action catalog"], route_class=PersonalRoute)


@router.get("/")
async def list_actions(
    session: Reading, limit: Limit = 50, cursor: Cursor = None, enabled: bool | None = None
) -> Listed[ActionView]:
    """List actions by name, with how they fared."""
    page = await actions.page(session, limit=limit, cursor=cursor, enabled=enabled)
    fared = await actions.statistics(session, [row.name for row in page.items])
    return Listed(items=[ActionView.of(row, fared.get(row.name)) for row in page.items], next_cursor=page.next_cursor)


@router.post("/", status_code=201)
async def create_action(context: Here, caller: Caller, body: ActionBody) -> ActionView:
    """Add an action. Designers and admins can; only admins where its config refers to a secret."""
    return ActionView.of(await add_action(context, caller, body.name, body.facts()), None)


@router.get("/{action}/")
async def read_action(session: Reading, action: str) -> ActionView:
    """Show one action, by its name or id."""
    row = await actions.get(session, action)
    return ActionView.of(row, (await actions.statistics(session, [row.name])).get(row.name))


@router.put("/{action}/")
async def put_action(context: Here, caller: Caller, action: str, body: ActionPut) -> ActionView:
    """Change an action for requests that begin from now on; those that run keep it as it was. As for adding one."""
    return ActionView.of(*await change_action(context, caller, action, body.facts(), named=body.name))

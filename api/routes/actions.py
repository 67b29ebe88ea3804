"""The action catalog: what processes can do besides asking people, and how that fared."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

from api.calls import PersonalRoute
from api.deps import Caller, Cursor, Here, Limit, Reading
from api.schemas.actions import ActionBody, ActionPut, ActionView
from api.schemas.common import Listed
from placet.definition.json_schema.validation import unusable
from placet.errors import InputInvalid, Problem
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
    # Schemas that nobody knows yet are looked at where they can harm nobody.
    schemas = {"/input_schema": body.input_schema, "/output_schema": body.output_schema}
    body.check(caller, await context.pool.run(unusable, schemas, by=caller.person))
    async with context.database.begin() as session:
        return ActionView.of(await actions.add(session, body.row(caller.person, datetime.now(UTC))), None)


@router.get("/{action}/")
async def read_action(session: Reading, action: str) -> ActionView:
    """Show one action, by its name or id."""
    row = await actions.get(session, action)
    return ActionView.of(row, (await actions.statistics(session, [row.name])).get(row.name))


@router.put("/{action}/")
async def put_action(context: Here, caller: Caller, action: str, body: ActionPut) -> ActionView:
    """Change an action for requests that begin from now on; those that run keep it as it was. As for adding one."""
    # Schemas that nobody knows yet are looked at where they can harm nobody.
    schemas = {"/input_schema": body.input_schema, "/output_schema": body.output_schema}
    body.check(caller, await context.pool.run(unusable, schemas, by=caller.person))
    async with context.database.begin() as session:
        row = await actions.get(session, action)
        if body.name not in {None, row.name}:
            message = f"the path says {row.name!r}; leave the name out or write the same"
            raise InputInvalid(f"/name: {message}", problems=(Problem(pointer="/name", message=message),))
        body.into(row, caller.person, datetime.now(UTC))
        fared = await actions.statistics(session, [row.name])
    return ActionView.of(row, fared.get(row.name))

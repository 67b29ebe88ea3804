"""People: the directory that approvers are found in."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import engine
from api.calls import PersonalRoute
from api.context import Context
from api.deps import Caller, Cursor, Here, Limit, Reading
from api.schemas.common import Listed, PersonRef
from api.schemas.people import PersonBody, PersonPut, PersonView
from placet.errors import Conflict, InputInvalid, NotFound, Problem
from storage import people, requests
from storage.tables import Person

router = APIRouter(prefix="/workflow/people", tags=["people"], route_class=PersonalRoute)


@router.get("/")
async def list_people(
    session: Reading, limit: Limit = 50, cursor: Cursor = None, active: bool | None = None
) -> Listed[PersonView]:
    """List people by id."""
    page = await people.page(session, limit=limit, cursor=cursor, active=active)
    return Listed(items=[PersonView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{person_id}/")
async def read_person(session: Reading, person_id: PersonRef) -> PersonView:
    """Show one person."""
    return PersonView.of(await people.get(session, person_id))


@router.post("/", status_code=201)
async def create_person(context: Here, caller: Caller, body: PersonBody) -> PersonView:
    """Store a new person; admins can."""
    caller.need("admin")
    row = body.row(body.id, datetime.now(UTC))
    async with context.database.begin() as session:
        try:
            await people.get(session, body.id)
        except NotFound:
            return PersonView.of(await people.put(session, row))
    raise Conflict(f"There is a person {body.id!r} already; PUT changes them.")


@router.put("/{person_id}/")
async def put_person(
    context: Here, caller: Caller, person_id: PersonRef, body: PersonPut, response: Response
) -> PersonView:
    """Store a person, new or changed; admins can. The open tasks of one who becomes inactive move on."""
    caller.need("admin")
    if body.id not in {None, person_id}:
        message = f"the path says {person_id!r}; leave the id out or write the same"
        raise InputInvalid(f"/id: {message}", problems=(Problem(pointer="/id", message=message),))
    row = body.row(person_id, datetime.now(UTC))
    async with context.database.begin() as session:
        before = await _before(session, person_id)
        left = before is not None and before.active and not row.active
        stored = await people.put(session, row)
    if before is None:
        response.status_code = 201
    if left:
        await _move_on(context, person_id)
    return PersonView.of(stored)


async def _before(session: AsyncSession, person_id: str) -> Person | None:
    try:
        return await people.get(session, person_id)
    except NotFound:
        return None


async def _move_on(context: Context, person_id: str) -> None:
    """Tell every request in which somebody who has left could decide an open task."""
    cursor: str | None = None
    told: set[str] = set()
    while True:
        async with context.database.session() as session:
            page = await requests.task_page(session, limit=500, cursor=cursor, waits_for=person_id, status="open")
        for request_id in sorted({task.request_id for task in page.items} - told):
            await engine.directory_changed(context, request_id)
            told.add(request_id)
        cursor = page.next_cursor
        if cursor is None:
            return

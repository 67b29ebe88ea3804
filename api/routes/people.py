"""People: the directory that approvers are found in."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from api.calls import PersonalRoute
from api.deps import Caller, Cursor, Here, Limit, Reading
from api.schemas.common import Listed, PersonRef
from api.schemas.people import PersonBody, PersonPut, PersonView
from placet.errors import Conflict, InputInvalid, Problem
from storage import people

router = APIRouter(prefix="/workflow/people", tags=["people"], route_class=PersonalRoute)


@router.get("/")
async def list_people(
    session: Reading, caller: Caller, limit: Limit = 50, cursor: Cursor = None, active: bool | None = None
) -> Listed[PersonView]:
    """List people by id."""
    page = await people.page(session, limit=limit, cursor=cursor, active=active)
    return Listed(items=[PersonView.of(row, caller) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{person_id}/")
async def read_person(session: Reading, caller: Caller, person_id: PersonRef) -> PersonView:
    """Show one person."""
    return PersonView.of(await people.get(session, person_id), caller)


@router.post("/", status_code=201)
async def create_person(context: Here, caller: Caller, body: PersonBody) -> PersonView:
    """Store a new person; admins can."""
    caller.need("admin")
    row = body.row(body.id, datetime.now(UTC))
    async with context.database.begin() as session:
        if await people.find(session, body.id) is None:
            return PersonView.of(await people.put(session, row, keep_preferences=body.preferences is None), caller)
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
        if await people.find(session, person_id) is None:
            response.status_code = 201
        stored = await people.put(session, row, keep_preferences=body.preferences is None)
    return PersonView.of(stored, caller)

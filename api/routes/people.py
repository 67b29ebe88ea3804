"""People: the directory of the organisation, from which approvers are chosen."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.people import PersonBody, PersonPut, PersonView
from service.administration.people import create_person as create
from service.administration.people import put_person as put
from service.documents import PersonOrMe
from storage.queries.people import people

router = APIRouter(prefix="/workflow/people", tags=["people"], route_class=PersonalRoute)


@router.get("/")
async def list_people(
    context: Here, caller: Caller, limit: Limit = 50, cursor: Cursor = None, active: bool | None = None
) -> Listed[PersonView]:
    """List people by id. Only admins see addresses."""
    page = await context.database.read(people.page, limit=limit, cursor=cursor, active=active)
    return Listed(items=[PersonView.of(row, caller) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{person_id}/")
async def read_person(context: Here, caller: Caller, person_id: PersonOrMe) -> PersonView:
    """Show one person; `me` is the caller."""
    return PersonView.of(
        await context.database.read(people.get, caller.person if person_id == "me" else person_id), caller
    )


@router.post("/", status_code=201)
async def create_person(context: Here, caller: Caller, body: PersonBody) -> PersonView:
    """Add a person. For admins."""
    return PersonView.of(await create(context, body), caller)


@router.put("/{person_id}/")
async def put_person(
    context: Here, caller: Caller, person_id: PersonOrMe, body: PersonPut, response: Response
) -> PersonView:
    """Add or change a person. For admins; everybody may change their own `away`.

    The open tasks of a person who becomes inactive are reassigned. A substitute may decide while a person is away.
    """
    person = caller.person if person_id == "me" else person_id
    stored, new = await put(context, caller, person, body, named=body.id)
    if new:
        response.status_code = 201
    return PersonView.of(stored, caller)

"""People: the directory of the organisation, from which approvers are chosen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.http.downloads import zip_file
from api.schemas.auth import SessionsEnded, SessionView
from api.schemas.common import Listed
from api.schemas.erasure import ErasureBody, ErasureView
from api.schemas.people import PersonBody, PersonPut, PersonView
from service.administration.people import create_person as create
from service.administration.people import put_person as put
from service.administration.person_archives import archive_of
from service.documents import PersonOrMe
from service.erasure.erasing import ERASING_SECONDS
from service.identity.login import log_person_out, sessions_of
from storage.queries.cursor import part
from storage.queries.people import people, people_listing
from storage.queries.people.people_listing import PeopleFilter

router = APIRouter(prefix="/workflow/people", tags=["people"], route_class=PersonalRoute)


@router.get("/")
async def list_people(
    context: Here,
    caller: Caller,
    *,
    limit: Limit = 50,
    cursor: Cursor = None,
    active: bool | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Listed[PersonView]:
    """List people by id; each word of `q` stands in the name, the id or the department. Only admins see addresses."""
    chosen = PeopleFilter(text=q, active=active, private=caller.admin)
    page = await context.database.read(people_listing.page, chosen, limit=limit, cursor=cursor)
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
    return PersonView.of(await create(context, caller, body), caller)


@router.put("/{person_id}/", responses={201: {"model": PersonView, "description": "The person was added."}})
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


@router.get(
    "/{person_id}/export/", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}}
)
async def export_person(context: Here, caller: Caller, person_id: PersonOrMe) -> StreamingResponse:
    """Download everything that is stored about a person as one archive. For admins; who took it stays on record."""
    found = await archive_of(context, caller, caller.person if person_id == "me" else person_id)
    return zip_file(found)


@router.get("/{person_id}/erasure/")
async def read_erasure(context: Here, person_id: PersonOrMe, caller: Caller) -> ErasureView:
    """Show how far the erasure of a person has come. For admins."""
    return ErasureView.of(await context.eraser.state(caller.person if person_id == "me" else person_id))


@router.post("/{person_id}/erasure/")
async def erase_person(context: Here, caller: Caller, person_id: PersonOrMe, body: ErasureBody) -> ErasureView:
    """Erase a person, for good, and show how far that has come; what waits is done by the workers, hourly. For admins.

    Only the id stays, by which audit chains say who did what and when. The body has the id once more. Who still has
    requests that run is not erased. The same call again goes on with what waits.
    """
    person = caller.person if person_id == "me" else person_id
    state = await context.eraser.erase(
        person, caller.acted_by, typed=body.person, id_stays=body.id_stays, seconds=ERASING_SECONDS
    )
    return ErasureView.of(state)


@router.get("/{person_id}/sessions/")
async def list_sessions(
    context: Here, person_id: PersonOrMe, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> Listed[SessionView]:
    """List the browser sessions of a person that go on, the one used last first. For admins."""
    found = await sessions_of(context, caller.person if person_id == "me" else person_id)
    page = part(found, limit, cursor)
    return Listed(items=[SessionView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.delete("/{person_id}/sessions/")
async def end_sessions(context: Here, caller: Caller, person_id: PersonOrMe) -> SessionsEnded:
    """End all browser sessions of a person; their API tokens stay. For admins."""
    person = caller.person if person_id == "me" else person_id
    return SessionsEnded(ended=await log_person_out(context, caller, person))

"""The page on which an admin edits a person: name, address, manager, access, roles and groups."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import InputInvalid
from service.administration.people import change_person
from service.administration.person_document import PersonFacts
from storage.queries.people import people
from web.forms.absence import proposed
from web.forms.reading import Entries
from web.operations.person_form import as_text, facts_of, person_fields, read_person_form, read_shown
from web.routes.common import Here, WebContext, entries_of, judged, operations_frame, record, see_other, shown
from web.security import PageRoute
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/operations/people", route_class=PageRoute)

PersonId = Annotated[str, Path(max_length=200)]


@router.get("/{person_id}/edit")
async def edit(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> HTMLResponse:
    """Show the form of a person."""
    return await _page(request, here, visitor, person_id)


@router.post("/{person_id}/edit")
async def change(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> Response:
    """Store what was changed; what somebody else has changed meanwhile is kept, or told where it is the same."""
    entries = await entries_of(request, visitor)

    def read(connection: Connection) -> tuple[PersonFacts, PersonFacts]:
        was = read_shown(entries.text("was"), facts_of(people.get(connection, person_id)))
        return was, read_person_form(connection, entries, was, visitor.wording)

    try:
        was, given = await here.context.database.read(read)
        await change_person(here.context, visitor.principal, person_id, was, given)
    except InputInvalid as error:
        await record(here, visitor, "change_person", error)
        return await _page(request, here, visitor, person_id, entries=entries, error=error)
    return see_other(f"/operations/people/{person_id}", "saved")


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    person_id: str,
    *,
    entries: Entries | None = None,
    error: InputInvalid | None = None,
) -> HTMLResponse:
    def read(connection: Connection) -> dict[str, Any]:
        row = people.get(connection, person_id)
        facts = facts_of(row)
        return {
            "row": row,
            "was": as_text(facts),
            **judged(person_fields(facts, entries, visitor.wording, proposed(connection, person_id)), error),
            **operations_frame(connection, visitor, "people"),
        }

    values = await here.context.database.read(read)
    return shown(request, "operations/edit_person.html", status=200 if error is None else 422, **values)

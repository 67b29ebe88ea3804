"""Pages of people, for admins: searched, one with what is theirs, groups, and who is away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from sqlalchemy import Connection

from api.http.downloads import zip_file
from placet.errors import Conflict, InputInvalid, NotPermitted, PlacetError
from service.administration.people import add_absence, remove_absence
from service.administration.person_archives import archive_of
from service.erasure.erasing import ERASING_SECONDS
from service.identity.login import log_person_out
from storage.queries.people import erased, people
from web.forms.absence import absence_fields, at_its_field, read_absence
from web.forms.reading import Entries
from web.operations.people import PeopleChoice, read_absences, read_groups, read_people, read_person
from web.routes.bulk import hand_over_rows, open_rows
from web.routes.common import Here, WebContext, entries_of, judged, record, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/operations", route_class=PageRoute)

PersonId = Annotated[str, Path(max_length=200)]


@router.get("/people")
async def list_people(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=1000)] = None
) -> HTMLResponse:
    """Show people by name, a page at a time, as the address chooses them."""
    chosen = PeopleChoice.of(request.query_params)

    def read(connection: Connection) -> dict[str, Any]:
        return {"list": read_people(connection, chosen, visitor.wording, cursor)} | _frame(connection, visitor)

    values = await here.context.database.read(read)
    return shown(request, "operations/people.html", part="people", chosen=chosen, **values)


@router.get("/people/{person_id}")
async def show_person(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> HTMLResponse:
    """Show one person with what is theirs."""
    return await _page(request, here, visitor, person_id)


@router.post("/people/{person_id}/away")
async def change_absence(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> Response:
    """Add an absence with a substitute, who may get what is open now, or remove one."""
    entries = await entries_of(request, visitor)
    context, by, back = here.context, visitor.principal, f"/operations/people/{person_id}"
    if entries.text("remove"):
        start, _, until = entries.text("remove").partition("/")
        await remove_absence(context, by, person_id, start, until)
        return see_other(back, "saved")
    try:
        absence = await context.database.read(read_absence, entries, visitor.wording)
        await add_absence(context, by, person_id, absence)
    except InputInvalid as error:
        return await _page(request, here, visitor, person_id, error=error, entries=entries)
    if entries.text("move"):
        rows = await context.database.read(open_rows, here, visitor, person_id)
        if rows:
            to, reason = f"user:{absence.substitute}", visitor.wording.say("Out of office")
            key = entries.text("key")
            return await hand_over_rows(request, here, visitor, rows, "reassign", to, reason, key, back)
    return see_other(back, "saved")


@router.get("/people/{person_id}/export")
async def export_person(here: Here, visitor: SignedIn, person_id: PersonId) -> StreamingResponse:
    """Hand out everything that is stored about a person as one archive."""
    found = await archive_of(here.context, visitor.principal, person_id)
    return zip_file(found)


@router.get("/people/{person_id}/erase")
async def ask_before_erasing(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> HTMLResponse:
    """Say what erasing a person means, and ask for the id once more; of one who was erased, show what waits."""
    return await _erasing(request, here, visitor, person_id)


@router.post("/people/{person_id}/erase")
async def erase(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> Response:
    """Erase a person for good."""
    entries = await entries_of(request, visitor)
    eraser, typed, stays = here.context.eraser, entries.text("person"), bool(entries.text("id_stays"))
    try:
        await eraser.erase(person_id, visitor.principal.acted_by, typed=typed, id_stays=stays, seconds=ERASING_SECONDS)
    except (InputInvalid, Conflict, NotPermitted) as error:
        await record(here, visitor, "erase_person", error)
        return await _erasing(request, here, visitor, person_id, error=error)
    return see_other(f"/operations/people/{person_id}/erase", "erased")


@router.get("/people/{person_id}/sessions")
async def ask_before_ending(request: Request, here: Here, visitor: SignedIn, person_id: PersonId) -> HTMLResponse:
    """Ask before somebody is logged out everywhere."""

    def read(connection: Connection) -> dict[str, Any]:
        return {"person": people.get(connection, person_id)} | _frame(connection, visitor)

    values = await here.context.database.read(read)
    return shown(request, "operations/end_sessions.html", part="people", **values)


@router.post("/people/{person_id}/sessions")
async def end_sessions(here: Here, visitor: SignedIn, person_id: PersonId) -> Response:
    """Log somebody out everywhere."""
    ended = await log_person_out(here.context, visitor.principal, person_id)
    return see_other(f"/operations/people/{person_id}", "logged_out" if ended else "logged_out_none")


@router.get("/groups")
async def list_groups(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=100)] = None
) -> HTMLResponse:
    """Show every group and every role with its members."""

    def read(connection: Connection) -> dict[str, Any]:
        return {"page": read_groups(connection, cursor)} | _frame(connection, visitor)

    return shown(request, "operations/groups.html", part="groups", **await here.context.database.read(read))


@router.get("/absences")
async def list_absences(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=100)] = None
) -> HTMLResponse:
    """Show who is away now and soon, and where nobody stands in."""

    def read(connection: Connection) -> dict[str, Any]:
        return {"page": read_absences(connection, visitor.wording, cursor)} | _frame(connection, visitor)

    return shown(request, "operations/absences.html", part="absences", **await here.context.database.read(read))


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    person_id: str,
    *,
    error: InputInvalid | None = None,
    entries: Entries | None = None,
) -> HTMLResponse:
    idle = here.context.identity.session_idle

    def read(connection: Connection) -> dict[str, Any]:
        return {"page": read_person(connection, person_id, visitor.wording, idle)} | _frame(connection, visitor)

    values = await here.context.database.read(read)
    return shown(
        request,
        "operations/person.html",
        part="people",
        status=200 if error is None else 422,
        **judged(absence_fields(entries, visitor.wording, values["page"].people), at_its_field(error)),
        move=entries is not None and bool(entries.text("move")),
        **values,
    )


async def _erasing(
    request: Request, here: WebContext, visitor: Visitor, person_id: str, *, error: PlacetError | None = None
) -> HTMLResponse:
    def read(connection: Connection) -> dict[str, Any]:
        person, was_erased = people.get(connection, person_id), erased.find(connection, person_id) is not None
        return {"person": person, "was_erased": was_erased} | _frame(connection, visitor)

    values = await here.context.database.read(read)
    state = await here.context.eraser.state(person_id) if values["was_erased"] else None
    return shown(
        request,
        "operations/erase_person.html",
        part="people",
        status=200 if error is None else 422,
        state=state,
        mail_address="@" in person_id,
        faults=() if error is None else [{"ident": None, "label": None, "message": error.message}],
        **values,
    )


def _frame(connection: Connection, visitor: Visitor) -> dict[str, Any]:
    return {"badge": read_inbox_count(connection, visitor.principal, visitor.wording), "section": "operations"}

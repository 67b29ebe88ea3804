"""What a request waits for, on a page of its own, which also says why somebody else is asked or not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from placet.definition.assignees import person_id
from placet.errors import InputInvalid, NotFound
from service.waiting.waiting import waiting_for
from service.waiting.why import Why, why
from storage.queries.people import people
from web.routes.common import UNKNOWN_PERSON, Here, WebContext, badge_of, person_of, shown
from web.security import PageRoute
from web.views.people import names_of
from web.visitor import SignedIn, Visitor
from web.waiting.panel import PATIENCE, AnswerLine, Panel, answer_lines, named_in, panel_of

router = APIRouter(route_class=PageRoute)

Answered = tuple[str, tuple[AnswerLine, ...]]
"""A person's name, and why they are asked or not."""


@router.get("/requests/{request_id}/waiting")
async def waiting(
    request: Request,
    here: Here,
    visitor: SignedIn,
    request_id: Annotated[str, Path(max_length=200)],
    person: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """Show what a request waits for; with `person`, also why they are asked or not."""
    title, panel, proposed = await read_panel(here, visitor, request_id)
    answered, fault = await _answered(here, visitor, request_id, person.strip())
    return shown(
        request,
        "waiting.html",
        section="requests",
        badge=await badge_of(here, visitor),
        request_id=request_id,
        title=title,
        panel=panel,
        people=proposed,
        person=person,
        answered=answered,
        fault=fault,
    )


async def read_panel(
    here: WebContext, visitor: Visitor, request_id: str
) -> tuple[str, Panel | None, list[tuple[str, str]]]:
    """Return a request's title, what it waits for (None where it has ended), and people to propose for the question."""
    found = await waiting_for(here.context, visitor.principal, request_id, patience=PATIENCE)
    if found.stored.request.status != "pending":
        return found.stored.request.title, None, []

    def read(connection: Connection) -> tuple[Panel, list[tuple[str, str]]]:
        panel = panel_of(connection, visitor.principal, found, visitor.wording)
        return panel, people.colleagues(connection) if panel.may_ask else []

    panel, proposed = await here.context.database.read(read)
    return found.stored.request.title, panel, proposed


async def _answered(
    here: WebContext, visitor: Visitor, request_id: str, person: str
) -> tuple[Answered | None, str | None]:
    """Return why somebody is asked or not, or what is wrong with the name that was entered."""
    if not person:
        return None, None
    try:
        person = person_id(await person_of(here, visitor, person))
        found = await why(here.context, visitor.principal, request_id, person, patience=PATIENCE)
    except InputInvalid as error:
        return None, error.message
    except NotFound:
        return None, visitor.wording.say(UNKNOWN_PERSON)

    def write(connection: Connection, found: Why) -> Answered:
        names = names_of(connection, {person, *named_in(found.stages)})
        return names(person), answer_lines(found.stages, names, visitor.wording)

    return await here.context.database.read(write, found), None

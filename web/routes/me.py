"""The reader's own page: out of office, how they read, what they are told, and their API tokens."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import available_timezones

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from activities.notifications.preferences import read as read_preferences
from placet.errors import InputInvalid
from service.administration.notifications import choose_preferences
from service.administration.people import add_absence, remove_absence
from service.identity.api_tokens import revoke_own
from storage.queries.identity import tokens
from storage.queries.people import people
from web.forms.absence import absence_fields, absence_lines, at_its_field, proposed, read_absence
from web.forms.notices import notice_fields, read_notices
from web.forms.reading import Entries
from web.operations.tokens import token_lines
from web.routes.bulk import hand_over_rows, open_rows
from web.routes.common import Here, WebContext, entries_of, judged, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.people import names_of
from web.visitor import UNCHOSEN, SignedIn, Visitor

router = APIRouter(prefix="/me", route_class=PageRoute)
preferences = APIRouter(route_class=PageRoute)
"""The address that messages lead to."""
_LANGUAGES = (("", ""), ("en", "English"), ("de", "Deutsch"))


@router.get("")
async def me(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the reader's own page."""
    return await _page(request, here, visitor)


@router.post("/away")
async def go_away(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Add an absence with a substitute, or remove one."""
    entries = await entries_of(request, visitor)
    context, me = here.context, visitor.principal
    if entries.text("remove"):
        start, _, until = entries.text("remove").partition("/")
        await remove_absence(context, me, me.person, start, until)
        return see_other("/me", "saved")
    try:
        absence = await context.database.read(read_absence, entries, visitor.wording)
        await add_absence(context, me, me.person, absence)
    except InputInvalid as error:
        return await _page(request, here, visitor, error=error, entries=entries)
    if entries.text("move"):
        rows = await context.database.read(open_rows, here, visitor, me.person)
        if rows:
            to, reason = f"user:{absence.substitute}", visitor.wording.say("Out of office")
            key = entries.text("key")
            return await hand_over_rows(request, here, visitor, rows, "delegate", to, reason, key, "/me")
    return see_other("/me", "saved")


@router.post("/reading")
async def choose_reading(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Choose language and time zone."""
    entries = await entries_of(request, visitor)
    stored = await here.context.database.read(people.get, visitor.principal.person)
    chosen = {**stored.preferences, "language": entries.text("language") or None}
    if entries.text("timezone"):
        chosen["timezone"] = entries.text("timezone")
    try:
        await choose_preferences(here.context, visitor.principal, chosen)
    except InputInvalid as error:
        return await _page(request, here, visitor, error=error, entries=entries)
    return see_other("/me", "saved")


@router.post("/notices")
async def choose_notices(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Choose what one is told, how and when."""
    entries = await entries_of(request, visitor)
    stored = read_preferences((await here.context.database.read(people.get, visitor.principal.person)).preferences)
    chosen = {"timezone": stored.timezone, "language": stored.language, **read_notices(entries)}
    try:
        await choose_preferences(here.context, visitor.principal, chosen)
    except InputInvalid as error:
        return await _page(request, here, visitor, notices=(error, entries))
    return see_other("/me#notices", "saved")


@preferences.get("/preferences")
async def to_notices() -> Response:
    """Lead from a message to what its reader is told."""
    return see_other("/me#notices")


@router.get("/tokens/{token_id}")
async def ask_before_revoking(
    request: Request, here: Here, visitor: SignedIn, token_id: Annotated[str, Path(max_length=100)]
) -> HTMLResponse:
    """Ask before a token of the reader is revoked."""

    def read(connection: Connection) -> dict[str, Any]:
        row = tokens.by_id(connection, token_id, person=visitor.principal.person)
        (line,) = token_lines(connection, [row], visitor.wording)
        return {"token": line, "badge": read_inbox_count(connection, visitor.principal, visitor.wording)}

    values = await here.context.database.read(read)
    return shown(request, "operations/revoke.html", section="me", part=None, back="/me", **values)


@router.post("/tokens/{token_id}")
async def revoke_token(here: Here, visitor: SignedIn, token_id: Annotated[str, Path(max_length=100)]) -> Response:
    """Revoke a token of the reader."""
    await revoke_own(here.context, visitor.principal, token_id)
    return see_other("/me", "token_revoked")


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    *,
    error: InputInvalid | None = None,
    entries: Entries | None = None,
    notices: tuple[InputInvalid, Entries] | None = None,
) -> HTMLResponse:
    """Show the page, with what is wrong in the form of absences (`error`), or in that of `notices`."""

    def read_values(connection: Connection) -> dict[str, Any]:
        stored = people.get(connection, visitor.principal.person)
        names = names_of(connection, [*(span.get("substitute") for span in stored.away), stored.manager])
        return {
            "person": stored,
            "manager": names(stored.manager),
            "absences": absence_lines(stored, visitor.wording, names),
            "tokens": token_lines(connection, tokens.listed(connection, stored.id), visitor.wording),
            "people": proposed(connection, stored.id),
            "badge": read_inbox_count(connection, visitor.principal, visitor.wording),
        }

    values = await here.context.database.read(read_values)
    absence = judged(absence_fields(entries, visitor.wording, values.pop("people")), at_its_field(error))
    in_force, (refused, sent) = read_preferences(values["person"].preferences), notices or (None, None)
    told = judged(notice_fields(in_force, sent, visitor.wording.say), refused)
    return shown(
        request,
        "me.html",
        section="me",
        status=200 if error is None and notices is None else 422,
        fields=absence["fields"],
        notices=told["fields"],
        faults=[*absence["faults"], *told["faults"]],
        move=entries is not None and bool(entries.text("move")),
        notice_zone=in_force.timezone,
        languages=_LANGUAGES,
        timezones=sorted(available_timezones() - {UNCHOSEN}),
        **values,
    )

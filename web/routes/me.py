"""The reader's own page: out of office, language and time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import available_timezones

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.definition.assignees import person_id
from placet.errors import InputInvalid
from service.administration.notifications import choose_preferences
from service.administration.people import put_person
from service.administration.person_document import PersonFacts
from storage.queries.people import people
from storage.tables.approvals import StoredPerson
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording, utc
from web.routes.bulk import delegate_rows, open_rows
from web.routes.common import Here, WebContext, entries_of, judged, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.people import names_of
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/me", route_class=PageRoute)
_LANGUAGES = (("", ""), ("en", "English"), ("de", "Deutsch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A span in which the reader is away; `days` are its first and last day as the reader's zone has them."""

    number: int
    first: str
    last: str
    substitute: str
    now: bool


@router.get("")
async def me(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the reader's own page."""
    return await _page(request, here, visitor)


@router.post("/away")
async def go_away(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Add an absence with a substitute, or remove one."""
    entries = await entries_of(request, visitor)
    stored = await here.context.database.read(people.get, visitor.principal.person)
    spans = [dict(span) for span in stored.away]
    removed = entries.text("remove")
    if removed:
        spans = [span for number, span in enumerate(spans) if str(number) != removed]
    else:
        try:
            spans.append(_span(entries, visitor.wording))
        except InputInvalid as error:
            return await _page(request, here, visitor, error=error, entries=entries)
    moves = bool(entries.text("move")) and not removed
    try:
        if moves and not spans[-1]["substitute"]:
            raise InputInvalid.at("/substitute", visitor.wording.say("Choose the substitute who gets your open tasks."))
        facts = _with_away(stored, spans)
        await put_person(here.context, visitor.principal, stored.id, facts)
    except InputInvalid as error:
        return await _page(request, here, visitor, error=error, entries=entries)
    if moves:
        rows = await here.context.database.read(open_rows, here, visitor)
        if rows:
            to, reason = f"user:{spans[-1]['substitute']}", visitor.wording.say("Out of office")
            return await delegate_rows(request, here, visitor, rows, to, reason, entries.text("key"), "/me")
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


def _span(entries: Entries, wording: Wording) -> dict[str, Any]:
    """Return the absence that was entered; raises InputInvalid with the field that is wrong."""
    days = {}
    for name in ("first", "last"):
        try:
            days[name] = date.fromisoformat(entries.text(name))
        except ValueError as error:
            raise InputInvalid.at(f"/{name}", wording.say("Enter a day.")) from error
    if days["last"] < days["first"]:
        raise InputInvalid.at("/last", wording.say("The last day is before the first."))
    start = datetime.combine(days["first"], time(), wording.zone)
    until = datetime.combine(days["last"] + timedelta(days=1), time(), wording.zone)
    substitute = person_id(entries.text("substitute")) or None
    return {"from": start.isoformat(), "until": until.isoformat(), "substitute": substitute}


def _with_away(stored: StoredPerson, spans: list[dict[str, Any]]) -> PersonFacts:
    facts = stored.model_dump(include={"name", "email", "manager", "department", "groups", "roles", "access", "active"})
    return PersonFacts.model_validate({**facts, "away": spans})


def _fields(entries: Entries | None, wording: Wording) -> tuple[Field, ...]:
    given = entries.text if entries is not None else lambda _: ""
    say = wording.say
    return (
        Field(
            name="first", pointer="/first", label=say("First day"), widget="day", value=given("first"), required=True
        ),
        Field(name="last", pointer="/last", label=say("Last day"), widget="day", value=given("last"), required=True),
    )


def _absences(stored: StoredPerson, wording: Wording, names: Any) -> list[Absence]:
    found = []
    for number, span in enumerate(stored.away):
        start, until = utc(str(span.get("from"))), utc(str(span.get("until")))
        if start is None or until is None or until <= wording.now:
            continue
        last = until - timedelta(microseconds=1)
        found.append(
            Absence(
                number=number,
                first=wording.day(start.astimezone(wording.zone).date()),
                last=wording.day(last.astimezone(wording.zone).date()),
                substitute=names(span.get("substitute")),
                now=start <= wording.now,
            )
        )
    return found


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    *,
    error: InputInvalid | None = None,
    entries: Entries | None = None,
) -> HTMLResponse:
    def read(connection: Connection) -> dict[str, Any]:
        stored = people.get(connection, visitor.principal.person)
        names = names_of(connection, [*(span.get("substitute") for span in stored.away), stored.manager])
        return {
            "person": stored,
            "manager": names(stored.manager),
            "absences": _absences(stored, visitor.wording, names),
            "people": people.colleagues(connection),
            "badge": read_inbox_count(connection, visitor.principal, visitor.wording),
        }

    values = await here.context.database.read(read)
    fields = _fields(entries, visitor.wording)
    return shown(
        request,
        "me.html",
        section="me",
        status=200 if error is None else 422,
        **judged(fields, error),
        move=entries is not None and bool(entries.text("move")),
        substitute=entries.text("substitute") if entries is not None else "",
        languages=_LANGUAGES,
        timezones=sorted(available_timezones()),
        **values,
    )

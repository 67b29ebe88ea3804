"""Several requests at once, for admins: what to do to them, a preview of each, and a result of each after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from api.http.problems import status_of
from placet.errors import InputInvalid, PlacetError
from service.administration import bulk
from service.administration.bulk import MOST, Item, Looked, Order, Verb
from storage.queries.people import people
from storage.queries.requests import request_rows
from web.forms.reading import Entries, whole
from web.languages import Wording
from web.operations.bulk import line_of, people_of, result_of
from web.routes.common import Here, WebContext, badge_of, done_key, entries_of, fresh_key, person_of, record, shown
from web.security import PageRoute, local_path
from web.views.people import Names, names_of
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/operations", route_class=PageRoute)

_REASON = 1000  # characters
_MOST_HOURS = 24 * 366


@router.post("/requests")
async def operate(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Say what to do to the selected requests, preview it, or do it."""
    entries = await entries_of(request, visitor)
    verb: Any = entries.text("verb")
    if verb not in get_args(Verb):
        raise InputInvalid(visitor.wording.say("Choose what to do."))
    if entries.text("step") == "do":
        return await _done(request, here, visitor, entries, verb)
    items = await here.context.database.read(_selected, entries, verb)
    error: InputInvalid | None = None
    found: list[Looked] = []
    if entries.text("step") == "preview" and items:
        try:
            order = await _order(here, entries, verb, visitor)
            found = await bulk.preview(here.context, visitor.principal, order, items)
        except InputInvalid as invalid:
            error = invalid
    return await _summary(request, here, visitor, entries, verb, items, found, error)


async def _summary(  # noqa: PLR0917
    request: Request,
    here: WebContext,
    visitor: Visitor,
    entries: Entries,
    verb: Verb,
    items: Sequence[Item],
    found: Sequence[Looked],
    error: InputInvalid | None,
) -> HTMLResponse:
    def read(connection: Connection) -> tuple[list[tuple[str, str]], Names, dict[str, str]]:
        titles = {} if found else _titles(connection, items)
        return people.colleagues(connection), names_of(connection, people_of(found)), titles

    listed, names, titles = await here.context.database.read(read)
    lines = [line_of(one, names, visitor.wording) for one in found]
    return await _shown(
        request,
        here,
        visitor,
        entries,
        verb,
        status=200 if error is None else 422,
        items=items,
        titles=titles,
        lines=[one for one in lines if one.problem is None],
        refused=[one for one in lines if one.problem is not None],
        people=listed,
        faults=[{"ident": None, "label": None, "message": error.message}] if error is not None else [],
    )


async def _done(request: Request, here: WebContext, visitor: Visitor, entries: Entries, verb: Verb) -> HTMLResponse:
    order, items = await _order(here, entries, verb, visitor), _previewed(entries)
    key = done_key(visitor, entries.text("key") or fresh_key())
    outcomes = await bulk.carry_out(here.context, visitor.principal, order, items, key=key)
    for item, outcome in outcomes:
        if isinstance(outcome, PlacetError):
            await record(here, visitor, verb, outcome, task_id=item.task_id, request_id=item.request_id)
    titles = await here.context.database.read(_titles, items)
    results = [
        result_of(
            item,
            titles.get(item.request_id, item.request_id),
            outcome,
            visitor.wording,
            unknown=isinstance(outcome, PlacetError) and status_of(outcome) >= 500,
        )
        for item, outcome in outcomes
    ]
    done = sum(1 for one in results if one.problem is None)
    return await _shown(request, here, visitor, entries, verb, results=results, done=done)


async def _shown(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    entries: Entries,
    verb: Verb,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    empty: dict[str, Any] = {"items": (), "lines": (), "refused": (), "results": (), "titles": {}, "faults": ()}
    return shown(
        request,
        "operations/bulk.html",
        status=status,
        section="requests",
        badge=await badge_of(here, visitor),
        verb=verb,
        entered=entries.text,
        back=local_path(entries.text("back") or "/requests?whose=all"),
        key=fresh_key(),
        most=visitor.wording.number(MOST),
        **{**empty, **values},
    )


async def _order(here: WebContext, entries: Entries, verb: Verb, visitor: Visitor) -> Order:
    """Return what the form says; raises InputInvalid with what is missing."""
    say = visitor.wording.say
    reason = entries.text("reason")[:_REASON]
    if not reason:
        raise InputInvalid(say("Say why; each request keeps the reason on record."))
    if verb == "extend":
        return Order(verb=verb, reason=reason, seconds=_seconds(entries, visitor.wording))
    to = await person_of(here, visitor, entries.text("to")) if verb == "reassign" else None
    return Order(verb=verb, reason=reason, to=to)


def _seconds(entries: Entries, wording: Wording) -> float:
    hours = wording.as_decimal(entries.number(entries.text("hours")))
    if hours is None or not hours.is_finite() or not 0 < hours <= _MOST_HOURS:
        raise InputInvalid(
            wording.say("Enter the working hours by which deadlines move, from above 0 to {most}.").format(
                most=wording.number(_MOST_HOURS)
            )
        )
    return float(hours * 3600)


def _selected(connection: Connection, entries: Entries, verb: Verb) -> list[Item]:
    """Return what is selected: the tasks of a person, all requests that the list's filter names, or those ticked."""
    holder = entries.text("holder").removeprefix("user:")
    if verb == "reassign" and holder:
        return bulk.tasks_held_by(connection, holder) if "\0" not in holder else []
    if entries.text("everything"):
        asked = {name: entries.text(name).replace("\0", "")[:200] or None for name in ("status", "template", "q")}
        ids = bulk.matching(connection, status=asked["status"], template=asked["template"], title=asked["q"])
    else:
        ids = list(dict.fromkeys(one for one in entries.texts("request")[:MOST] if "\0" not in one))
    return bulk.open_tasks(connection, ids) if verb == "reassign" else [Item(request_id=one) for one in ids]


def _previewed(entries: Entries) -> list[Item]:
    """Return the items that the preview has shown, each with the entry after which it was looked at."""
    found = []
    for one in entries.texts("item")[:MOST]:
        request_id, _, rest = one.partition("|")
        task_id, _, seq = rest.partition("|")
        number = whole(seq)
        if request_id and "\0" not in one and number is not None:
            found.append(Item(request_id=request_id, task_id=task_id or None, seq=number))
    return found


def _titles(connection: Connection, items: Sequence[Item]) -> dict[str, str]:
    return request_rows.titles(connection, {item.request_id for item in items})

"""Suggestions: the list, looking for new ones, one of them, and accepting or rejecting it after a question."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import BlueprintInvalid, Conflict, InputInvalid, PlacetError
from service.drafts import drafts
from service.drafts.draft import Draft
from service.drafts.work import compare
from service.suggestions import suggestions
from service.suggestions.evaluation import Evaluator
from service.suggestions.generation import DAYS, LEAST_OCCURRENCES, Generated, Order, generate
from web.forms.reading import whole
from web.routes.common import Here, WebContext, entries_of, see_other, shown
from web.security import PageRoute
from web.suggestions.listing import SuggestionFilter, SuggestionList, read_list
from web.suggestions.page import SuggestionPage, changes_of, draft_id_of, read_suggestion
from web.suggestions.wording import SOURCES, STATUSES, TYPES
from web.views.inbox import read_inbox_count
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/suggestions", route_class=PageRoute)

Identifier = Annotated[str, Path(max_length=200)]
Decision = Literal["accept", "reject"]
_DECIDED: Final[dict[Decision, str]] = {"accept": "accepted", "reject": "rejected"}
_LONGEST_NOTES = 4_000


class _Read(NamedTuple):
    """A suggestion, what it changes in words, and the badge of the inbox."""

    page: SuggestionPage
    changes: tuple[str, ...]
    badge: str | None


@router.get("")
async def suggestion_list(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """List suggestions."""
    return await _list(request, here, visitor, SuggestionFilter.of(request.query_params))


@router.post("")
async def look_for_suggestions(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Mine the past of one process, or of all, and say what came of it above the list."""
    entries = await entries_of(request, visitor)
    process = entries.text("process")
    order = Order(
        days=_number(entries.text("days"), DAYS, "/days", visitor),
        min_occurrences=_number(entries.text("least"), LEAST_OCCURRENCES, "/min_occurrences", visitor),
        template=process or None,
    )
    made = await generate(Evaluator.of(here.context), order, by=visitor.principal.acted_by)
    return await _list(request, here, visitor, SuggestionFilter.of({"process": process}), made=made)


@router.get("/{suggestion_id}")
async def suggestion_page(request: Request, here: Here, visitor: SignedIn, suggestion_id: Identifier) -> HTMLResponse:
    """Show a suggestion."""
    return await _page(request, here, visitor, suggestion_id)


@router.get("/{suggestion_id}/accept")
async def ask_before_accepting(
    request: Request, here: Here, visitor: SignedIn, suggestion_id: Identifier
) -> HTMLResponse:
    """Ask before a suggestion is accepted."""
    return await _question(request, here, visitor, suggestion_id, "accept")


@router.post("/{suggestion_id}/accept")
async def accept(request: Request, here: Here, visitor: SignedIn, suggestion_id: Identifier) -> Response:
    """Accept a suggestion, and lead on to the draft in the editor."""
    notes = await _notes(request, visitor)
    try:
        await suggestions.accept(here.context, visitor.principal, suggestion_id, notes=notes)
    except (BlueprintInvalid, Conflict) as error:
        if not await _done(here, visitor, suggestion_id, "accept"):
            return await _page(request, here, visitor, suggestion_id, error=error)
    return see_other(f"/drafts/{(await _draft(here, visitor, suggestion_id)).id}", "suggestion_accepted")


@router.get("/{suggestion_id}/reject")
async def ask_before_rejecting(
    request: Request, here: Here, visitor: SignedIn, suggestion_id: Identifier
) -> HTMLResponse:
    """Ask before a suggestion is rejected."""
    return await _question(request, here, visitor, suggestion_id, "reject")


@router.post("/{suggestion_id}/reject")
async def reject(request: Request, here: Here, visitor: SignedIn, suggestion_id: Identifier) -> Response:
    """Reject a suggestion."""
    notes = await _notes(request, visitor)
    try:
        await suggestions.reject(here.context, visitor.principal, suggestion_id, notes=notes)
    except Conflict as error:
        if not await _done(here, visitor, suggestion_id, "reject"):
            return await _page(request, here, visitor, suggestion_id, error=error)
    return see_other(f"/suggestions/{suggestion_id}", "suggestion_rejected")


@router.post("/{suggestion_id}/draft")
async def open_draft(here: Here, visitor: SignedIn, suggestion_id: Identifier) -> Response:
    """Open the draft of an accepted suggestion in the editor, also of one that was accepted elsewhere."""
    return see_other(f"/drafts/{(await _draft(here, visitor, suggestion_id)).id}")


async def _list(
    request: Request, here: WebContext, visitor: Visitor, chosen: SuggestionFilter, made: Generated | None = None
) -> HTMLResponse:
    wording = visitor.wording

    def read(connection: Connection, chosen: SuggestionFilter) -> tuple[SuggestionList, str | None]:
        return read_list(connection, chosen, wording), read_inbox_count(connection, visitor.principal, wording)

    try:
        found, badge = await here.context.database.read(read, chosen)
    except InputInvalid:  # a cursor of another list, or cut off
        chosen = SuggestionFilter(status=chosen.status, process=chosen.process, type=chosen.type, source=chosen.source)
        found, badge = await here.context.database.read(read, chosen)
    types = {name: wording.say(word) for name, word in TYPES.items()}
    return shown(
        request,
        "suggestions/list.html",
        section="drafts",
        badge=badge,
        list=found,
        chosen=chosen,
        filtered=bool(chosen.process or chosen.type or chosen.source or chosen.status != "pending"),
        types=types if not chosen.type else {chosen.type: chosen.type} | types,
        sources={name: wording.say(word) for name, word in SOURCES.items()},
        statuses={name: wording.say(word) for name, word in STATUSES.items()} | {"all": wording.say("Any status")},
        days=DAYS,
        least=LEAST_OCCURRENCES,
        made=made,
    )


async def _page(
    request: Request, here: WebContext, visitor: Visitor, suggestion_id: str, error: PlacetError | None = None
) -> HTMLResponse:
    """Show a suggestion; with `error`, why nothing was done, and what to do instead."""
    read = await _read(here, visitor, suggestion_id)
    status = 200 if error is None else 409 if isinstance(error, Conflict) else 422
    return shown(
        request,
        "suggestions/page.html",
        status=status,
        section="drafts",
        **_refusal(read.page, error),
        **read._asdict(),
    )


async def _question(
    request: Request, here: WebContext, visitor: Visitor, suggestion_id: str, decision: Decision
) -> HTMLResponse:
    read = await _read(here, visitor, suggestion_id)
    if read.page.status != "pending":
        return shown(request, "suggestions/page.html", section="drafts", **_refusal(read.page, None), **read._asdict())
    return shown(request, "suggestions/review.html", section="drafts", decision=decision, **read._asdict())


def _refusal(page: SuggestionPage, error: PlacetError | None) -> dict[str, Any]:
    """Return why nothing was done: that it was decided by somebody else meanwhile, or what keeps it from a draft."""
    return {
        "refused": error is not None,
        "late": error is not None and page.status != "pending",
        "reasons": [] if error is None else [one.message for one in error.problems] or [error.message],
    }


async def _read(here: WebContext, visitor: Visitor, suggestion_id: str) -> _Read:
    principal, wording = visitor.principal, visitor.wording

    def read(connection: Connection) -> tuple[Any, str | None]:
        found = read_suggestion(connection, principal, suggestion_id, wording)
        return found, read_inbox_count(connection, principal, wording)

    (page, before, after), badge = await here.context.database.read(read)
    compared = None
    if before is not None:
        compared = await here.context.pool.run(partial(compare, before, after), by=principal.person)
    return _Read(page=page, changes=changes_of(compared), badge=badge)


async def _draft(here: WebContext, visitor: Visitor, suggestion_id: str) -> Draft:
    """Return the draft in the editor that goes on from an accepted suggestion; raises Conflict where there is none."""
    found = await here.context.database.read(suggestions.show, suggestion_id)
    if found.draft is None:
        raise Conflict(visitor.wording.say("This suggestion was not accepted, so it has no draft."))
    based_on = (found.draft.name, found.draft.version)
    return await drafts.create(here.context, visitor.principal, based_on=based_on, draft_id=draft_id_of(suggestion_id))


async def _done(here: WebContext, visitor: Visitor, suggestion_id: str, decision: Decision) -> bool:
    """Whether the same person has decided the same already: a form that was sent twice counts once."""
    row = (await here.context.database.read(suggestions.show, suggestion_id)).row
    return row.status == _DECIDED[decision] and row.reviewed_by == visitor.principal.person


async def _notes(request: Request, visitor: Visitor) -> str | None:
    notes = (await entries_of(request, visitor)).text("notes").replace("\0", "")
    if len(notes) > _LONGEST_NOTES:
        raise InputInvalid.at("/notes", visitor.wording.say("Write at most 4,000 characters."))
    return notes or None


def _number(text: str, usual: int, pointer: str, visitor: Visitor) -> int:
    """Return a number of the form, the usual one where it was left empty."""
    number = whole(text) if text else usual
    if number is None:
        raise InputInvalid.at(pointer, visitor.wording.say("Give a whole number."))
    return number

"""Canaries: the list, beginning one, one of them, and promoting or reverting it after a question."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import BlueprintInvalid, Conflict, InputInvalid, NotPermitted, PlacetError
from service.canaries.beginning import begin_canary
from service.canaries.ending import promote_canary, revert_canary
from service.canaries.terms import HORIZON_SECONDS, LONGEST_HORIZON, Margins, Terms
from storage.queries.definitions import definitions
from web.canaries.listing import CanaryList, read_list
from web.canaries.page import CanaryPage, read_canary
from web.forms.fields import written
from web.forms.reading import as_number
from web.routes.common import Here, WebContext, done_key, entries_of, fresh_key, see_other, shown
from web.security import PageRoute
from web.views.inbox import read_inbox_count
from web.views.words import marked
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/canaries", route_class=PageRoute)

Identifier = Annotated[str, Path(max_length=200)]
Ending = Literal["promote", "revert"]
_ENDED: Final[dict[Ending, str]] = {"promote": "promoted", "revert": "reverted"}
_LONGEST_NOTES: Final = 4_000
_LONGEST_KEY: Final = 100
_DAY, _HOUR = 86_400.0, 3_600.0
_DEFAULTS: Final = {"share": "20", "sample": "", "days": f"{HORIZON_SECONDS / _DAY:g}", "outcome": "5"}
_LABELS: Final = {
    "share": marked("Share of new requests, in per cent"),
    "sample": marked("Part of the share that stays with people, in per cent"),
    "days": marked("Days for which a request is measured"),
    "hours": marked("Longer in the mean, by hours"),
    "outcome": marked("Another share approved, by percentage points"),
    "sla": marked("More that miss a deadline, by percentage points"),
}
_FIELDS: Final = ("version", "share", "sample", "days", "hours", "outcome", "sla", "notes")


@router.get("")
async def canary_list(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """List canaries; `version` is the version that the form of a new one begins with."""
    given = {**_DEFAULTS, "version": request.query_params.get("version", "")[:200]}
    return await _list(request, here, visitor, given)


@router.post("")
async def begin(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Begin a canary, and lead on to it; where it cannot be, say why above the form."""
    entries = await entries_of(request, visitor)
    given = {name: entries.text(name)[: _LONGEST_NOTES + 1] for name in _FIELDS}
    key = entries.text("key").replace("\0", "")[:_LONGEST_KEY] or fresh_key()
    try:
        terms = await _terms(here, visitor, given)
        canary_id = done_key(visitor, f"canary:{key}")[:32]
        found = await begin_canary(here.context, visitor.principal, terms, canary_id=canary_id)
    except (InputInvalid, BlueprintInvalid, NotPermitted, Conflict) as error:
        return await _list(request, here, visitor, given, error=error)
    return see_other(f"/canaries/{found.row.id}", "canary_begun")


@router.get("/{canary_id}")
async def canary_page(request: Request, here: Here, visitor: SignedIn, canary_id: Identifier) -> HTMLResponse:
    """Show a canary."""
    return await _page(request, here, visitor, canary_id)


@router.get("/{canary_id}/promote")
async def ask_before_promoting(request: Request, here: Here, visitor: SignedIn, canary_id: Identifier) -> HTMLResponse:
    """Ask before the new version is given to all."""
    return await _question(request, here, visitor, canary_id, "promote")


@router.post("/{canary_id}/promote")
async def promote(request: Request, here: Here, visitor: SignedIn, canary_id: Identifier) -> Response:
    """Give the new version to all."""
    return await _end(request, here, visitor, canary_id, "promote")


@router.get("/{canary_id}/revert")
async def ask_before_reverting(request: Request, here: Here, visitor: SignedIn, canary_id: Identifier) -> HTMLResponse:
    """Ask before the new version is taken out of use."""
    return await _question(request, here, visitor, canary_id, "revert")


@router.post("/{canary_id}/revert")
async def revert(request: Request, here: Here, visitor: SignedIn, canary_id: Identifier) -> Response:
    """Take the new version out of use."""
    return await _end(request, here, visitor, canary_id, "revert")


async def _end(request: Request, here: WebContext, visitor: Visitor, canary_id: str, ending: Ending) -> Response:
    notes = _short((await entries_of(request, visitor)).text("notes"), visitor)
    act = promote_canary if ending == "promote" else revert_canary
    try:
        await act(here.context, visitor.principal, canary_id, notes=notes)
    except Conflict:
        page, _ = await here.context.database.read(_read, visitor, canary_id)
        if page.status != _ENDED[ending]:  # a form that was sent twice counts once
            return await _page(request, here, visitor, canary_id, late=True)
    return see_other(f"/canaries/{canary_id}", f"canary_{_ENDED[ending]}")


async def _list(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    given: dict[str, str],
    error: PlacetError | None = None,
) -> HTMLResponse:
    def read(connection: Connection, asked: Any) -> tuple[CanaryList, str | None]:
        found = read_list(connection, visitor.principal, asked, visitor.wording)
        return found, read_inbox_count(connection, visitor.principal, visitor.wording)

    try:
        found, badge = await here.context.database.read(read, request.query_params)
    except InputInvalid:  # a cursor of another list, or cut off
        found, badge = await here.context.database.read(read, {})
    problems = [] if error is None else [one.message for one in error.problems] or [error.message]
    return shown(
        request,
        "canaries/list.html",
        status=200 if error is None else 409 if isinstance(error, Conflict) else 422,
        section="drafts",
        badge=badge,
        list=found,
        given={**dict.fromkeys(_FIELDS, ""), **given},
        problems=problems,
        key=fresh_key(),
        labels={name: visitor.wording.say(label) for name, label in _LABELS.items()},
        most_days=int(LONGEST_HORIZON / _DAY),
    )


def _read(connection: Connection, visitor: Visitor, canary_id: str) -> tuple[CanaryPage, str | None]:
    page = read_canary(connection, visitor.principal, canary_id, visitor.wording)
    return page, read_inbox_count(connection, visitor.principal, visitor.wording)


async def _page(
    request: Request, here: WebContext, visitor: Visitor, canary_id: str, *, late: bool = False
) -> HTMLResponse:
    """Show a canary; `late` says that it was ended otherwise meanwhile."""
    page, badge = await here.context.database.read(_read, visitor, canary_id)
    status = 409 if late else 200
    return shown(request, "canaries/page.html", status=status, section="drafts", badge=badge, page=page, late=late)


async def _question(
    request: Request, here: WebContext, visitor: Visitor, canary_id: str, ending: Ending
) -> HTMLResponse:
    page, badge = await here.context.database.read(_read, visitor, canary_id)
    if not page.may_end:
        return shown(request, "canaries/page.html", section="drafts", badge=badge, page=page, late=False)
    return shown(request, "canaries/end.html", section="drafts", badge=badge, page=page, ending=ending)


def _short(notes: str, visitor: Visitor) -> str | None:
    notes = notes.replace("\0", "")
    if len(notes) > _LONGEST_NOTES:
        raise InputInvalid.at("/notes", visitor.wording.say("Write at most 4,000 characters."))
    return notes or None


async def _terms(here: WebContext, visitor: Visitor, given: dict[str, str]) -> Terms:
    """Return what a form declares; raises InputInvalid for what cannot be read."""
    say, sign = visitor.wording.say, visitor.wording.decimal_sign

    def number(name: str, least: float, most: float) -> float | None:
        text = given[name].strip()
        if not text:
            return None
        try:
            found = float(Decimal(as_number(text, decimal_sign=sign)))
        except (InvalidOperation, OverflowError):
            found = float("nan")
        if not least <= found <= most:
            raise InputInvalid.at(
                f"/{name}",
                say("{field}: write a number from {least} to {most}.").format(
                    field=say(_LABELS[name]), least=written(least, sign), most=written(most, sign)
                ),
            )
        return found

    def share(name: str) -> float | None:
        found = number(name, 0, 100)
        return None if found is None else found / 100

    if not given["version"]:
        raise InputInvalid.at("/version", say("Choose a version."))
    version = await here.context.database.read(definitions.get, given["version"][:200])
    days, hours = number("days", 0.0001, LONGEST_HORIZON / _DAY), number("hours", 0, LONGEST_HORIZON / _HOUR)
    return Terms(
        template=version.name,
        version=version.version,
        share=share("share") or 0.0,
        margins=Margins(
            duration_seconds=None if hours is None else hours * _HOUR, outcome=share("outcome"), sla=share("sla")
        ),
        people_sample=share("sample"),
        horizon_seconds=HORIZON_SECONDS if days is None else days * _DAY,
        notes=_short(given["notes"], visitor),
    )

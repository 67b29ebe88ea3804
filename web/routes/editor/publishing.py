"""Publishing a draft, by a second person where the installation asks for one, and moving the requests that run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import BlueprintInvalid, Conflict, NotFound, NotPermitted, PlacetError
from service.drafts import analysis, drafts
from service.drafts.draft import Draft
from service.migration.move import MoveOrder, move
from service.migration.preflight import RequestVerdict, Selection
from storage.queries.requests import request_rows
from storage.tables.approvals import DefinitionVersion
from web.forms.reading import whole
from web.routes.common import Here, WebContext, badge_of, done_key, entries_of, fresh_key, judged, see_other, shown
from web.routes.editor.common import DraftId, headed, report_about
from web.security import PageRoute
from web.views.words import marked
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/drafts", route_class=PageRoute)

_FATES: Final = {
    "maps": (marked("can move"), "good"),
    "changes_outcome": (marked("would have gone another way"), "warn"),
    "does_not_map": (marked("stays"), "bad"),
}
_RESULTS: Final = {
    "moved": (marked("moved"), "good"),
    "there": (marked("is there already"), "good"),
    "stays": (marked("stays"), "bad"),
    "unknown": (marked("not known yet"), "warn"),
}


@dataclass(frozen=True, kw_only=True)
class FateLine:
    """What a move means to one running request, or what came of it."""

    id: str
    title: str
    version: str
    stage: str
    word: str
    tone: str
    reasons: tuple[str, ...]


@router.get("/{draft_id}/publish")
async def publish_form(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> HTMLResponse:
    """Show what would be published, and what is missing."""
    return await _form(
        request, here, visitor, await here.context.database.read(drafts.find, visitor.principal, draft_id)
    )


@router.post("/{draft_id}/publish")
async def publish(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> Response:
    """Publish a draft, submit it to somebody else, or discard it."""
    entries = await entries_of(request, visitor)
    context, principal = here.context, visitor.principal
    revision = whole(entries.text("revision")) or 0
    try:
        match entries.text("op"):
            case "discard":
                await drafts.discard(context, principal, draft_id)
                return see_other("/drafts", "discarded")
            case "reopen":
                await drafts.reopen(context, principal, draft_id)
                return see_other(f"/drafts/{draft_id}", "saved")
            case "submit":
                await drafts.submit(context, principal, draft_id, revision=revision)
                return see_other(f"/drafts/{draft_id}/publish", "submitted")
            case _:
                await drafts.publish(context, principal, draft_id, revision=revision)
    except (BlueprintInvalid, Conflict, NotPermitted) as error:
        draft = await context.database.read(drafts.find, principal, draft_id)
        return await _form(request, here, visitor, draft, error=error)
    return see_other(f"/drafts/{draft_id}/move", "published")


@router.get("/{draft_id}/move")
async def move_form(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> HTMLResponse:
    """Show which running requests can go on under the version that was published, and why others cannot."""
    draft, _ = await _published(here, visitor, draft_id)
    fates: list[RequestVerdict] = []
    left_out = 0
    if visitor.principal.admin:
        fates, left_out = await analysis.preflight(here.context, visitor.principal, draft, Selection())
    return await _moves(request, here, visitor, draft, fates, left_out)


@router.post("/{draft_id}/move")
async def move_requests(request: Request, here: Here, visitor: SignedIn, draft_id: DraftId) -> HTMLResponse:
    """Move the running requests that can go on under the version, and say of each what came of it."""
    visitor.principal.need(frozenset({"admin"}))
    entries = await entries_of(request, visitor)
    draft, target = await _published(here, visitor, draft_id)
    order = MoveOrder(
        selection=Selection(),
        allow_outcome_change=bool(entries.text("allow")),
        reason=entries.text("reason") or None,
        key=done_key(visitor, f"{entries.text('key')}:move:{draft_id}"),
    )
    fates, left_out = await move(here.context, visitor.principal, target, order)
    return await _moves(request, here, visitor, draft, fates, left_out, done=True)


async def _form(
    request: Request, here: WebContext, visitor: Visitor, draft: Draft, error: PlacetError | None = None
) -> HTMLResponse:
    report, found = await report_about(here, visitor, draft)
    missing = [one.message for one in found.obstacles]
    by_another = found.needs_two and visitor.principal.person in {*draft.authors, draft.submitted_by}
    if found.needs_two and draft.status == "open":
        missing.append(visitor.wording.say("Somebody else has to publish it. Submit it for that."))
    elif by_another:
        missing.append(visitor.wording.say("You changed this draft, so somebody else has to publish it."))
    return shown(
        request,
        "editor/publish.html",
        status=200 if error is None else 422,
        section="drafts",
        badge=await badge_of(here, visitor),
        draft=await headed(here, visitor, draft),
        report=report,
        missing=missing,
        may_publish=not missing,
        may_submit=found.needs_two and found.publishable and draft.status == "open",
        **{**judged((), error), "fields": ()},
    )


async def _moves(  # noqa: PLR0917 - what the page is made of
    request: Request,
    here: WebContext,
    visitor: Visitor,
    draft: Draft,
    fates: Sequence[RequestVerdict],
    left_out: int,
    *,
    done: bool = False,
) -> HTMLResponse:
    say = visitor.wording.say

    def read(connection: Connection) -> dict[str, str]:
        return {row.id: row.title for row in request_rows.rows(connection, [fate.request_id for fate in fates])}

    titles = await here.context.database.read(read)
    rows = []
    for fate in fates:
        word, tone = _RESULTS[fate.result] if fate.result is not None else _FATES[fate.verdict]
        rows.append(
            FateLine(
                id=fate.request_id,
                title=titles.get(fate.request_id) or fate.request_id,
                version=fate.version,
                stage=fate.stage or "",
                word=say(word),
                tone=tone,
                reasons=fate.reasons,
            )
        )
    counts = Counter(row.word for row in rows)
    summary = ", ".join(f"{number} {word}" for word, number in counts.items())
    if left_out:
        summary += ", " + say("{count} more are looked at the next time").format(count=left_out)
    return shown(
        request,
        "editor/move.html",
        section="drafts",
        badge=await badge_of(here, visitor),
        draft=await headed(here, visitor, draft),
        rows=rows,
        summary=summary,
        done=done,
        may_move=visitor.principal.admin,
        key=fresh_key(),
    )


async def _published(here: WebContext, visitor: Visitor, draft_id: str) -> tuple[Draft, DefinitionVersion]:
    draft = await here.context.database.read(drafts.find, visitor.principal, draft_id)
    if draft.status != "published":
        raise NotFound(visitor.wording.say("This draft is not published yet. Publish it first."))
    return draft, await here.context.database.read(drafts.version_of, draft)

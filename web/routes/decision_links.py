"""Links that decide, from mails and chats: opening one shows what it would decide, and only its form decides.

Scanners of links open every address in a mail, so that a GET must change nothing.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from api.access import NOT_AUDITORS
from api.http.authentication import address_of, require_csrf_token, require_safe_transport
from api.http.problems import status_of
from placet.errors import (
    AlreadyDecided,
    ContentChanged,
    Ended,
    HandedOver,
    InputInvalid,
    LinkRefused,
    NotPermitted,
    PlacetError,
    ReauthenticationRequired,
    Refused,
    Returned,
)
from service import decision_links as links
from service import security_log
from service.decision_links import DecisionLink
from service.identity.login import Session
from service.principal import Principal
from web.forms import schemas
from web.forms.reading import Entries
from web.routes.common import Here, WebContext, fresh_key, judged_decision, record, shown
from web.security import CSRF_FIELD, PageRoute, log_in_address, to_log_in
from web.views import words
from web.views.tasks.decision_link import DeadLink, read_page, refused, spent
from web.views.undo import Undoable, undoable_of
from web.visitor import Visitor, wording_of

router = APIRouter(route_class=PageRoute)
_LONGEST = 4_000
_HEADERS = {
    # Not even our own pages are told the address; `no-referrer` would have the form sent without its origin.
    "Referrer-Policy": "strict-origin",
    "X-Robots-Tag": "noindex, nofollow, noarchive, nosnippet",
}


@router.get("/decide")
async def show_link(request: Request, here: Here) -> Response:
    """Show what a link decides, with the button that does it."""
    try:
        link, visitor = await _opened(request, here, request.query_params.get("token", ""))
    except LinkRefused as error:
        return to_log_in(request) if error.code == "log_in" else _refused(request, here, error)
    return await _page(request, here, visitor, link)


@router.post("/decide")
async def decide_by_link(request: Request, here: Here) -> Response:
    """Take the decision of a link."""
    form = await request.form()  # web.security has bounded it
    token = _token(form)
    try:
        link, visitor = await _posted(request, here, form)
    except LinkRefused as error:
        return _refused(request, here, error, again=log_in_address("/decide", f"token={token}"))
    entries = Entries.of(form.multi_items(), visitor.wording.zone, visitor.wording.decimal_sign)
    version = await here.context.database.read(here.versions.of, link.request.request.template_id)
    step = version.step(link.task.stage)
    asked = step.form if step is not None and link.claims.decision == "approve" else None
    filled = schemas.read_form(asked, entries)
    comment = entries.text("comment")[:_LONGEST] or None
    try:
        if link.spent == "handed_over":  # before the engine gives a form from before its first answer
            raise HandedOver
        stored = await links.decide_by_link(
            here.context, visitor.principal, link, comment=comment, form=filled, key=entries.text("key")[:100]
        )
    except InputInvalid as error:
        await record(here, visitor, "decide", error, task_id=link.task.id)
        return await _page(request, here, visitor, link, error=error, entries=entries, filled=filled)
    except (AlreadyDecided, ContentChanged, Ended, NotPermitted, ReauthenticationRequired, Returned) as error:
        await record(here, visitor, "decide", error, task_id=link.task.id)
        now, _ = await _opened(request, here, token)  # what happened meanwhile
        return await _page(request, here, visitor, now, lost=error)
    say, request_row = visitor.wording.say, stored.request
    done = {
        "word": say(words.DECIDED[link.claims.decision]),
        "text": say("Your decision is on record. You can close this page."),
    }
    its = next((one for one in stored.tasks if one.id == link.task.id), None)
    undo = None if its is None else undoable_of(its, request_row.title, visitor.principal, visitor.wording)
    return _shown(request, done=done, title=request_row.title, request_id=request_row.id, undo=undo, token=token)


@router.post("/decide/undo")
async def undo_by_link(request: Request, here: Here) -> Response:
    """Undo the decision of a link, while that is possible."""
    form = await request.form()  # web.security has bounded it
    token = _token(form)
    try:
        link, visitor = await _posted(request, here, form)
    except LinkRefused as error:
        return _refused(request, here, error, again=log_in_address("/decide", f"token={token}"))
    try:
        stored = await links.undo_by_link(here.context, visitor.principal, link)
    except Refused as error:
        await record(here, visitor, "undo", error, task_id=link.task.id)
        now, _ = await _opened(request, here, token)  # what happened meanwhile
        return await _page(request, here, visitor, now, lost=error)
    say = visitor.wording.say
    done = {
        "word": say("Undone"),
        "text": say("The task is open again. This link has ended; decide on the task's page."),
    }
    return _shown(request, done=done, title=stored.request.title, request_id=stored.request.id, task=link.task.id)


def _token(form: FormData) -> str:
    token = form.get("token")
    return token if isinstance(token, str) else ""


async def _posted(request: Request, here: WebContext, form: FormData) -> tuple[DecisionLink, Visitor]:
    """Return the link of a form and who acts by it, as `_opened`; where it needs a session, with its CSRF token."""
    link, visitor = await _opened(request, here, _token(form))
    session: Session | None = request.state.session
    if session is not None and link.needs != "bearer":
        sent = form.get(CSRF_FIELD)
        require_csrf_token(session, sent if isinstance(sent, str) else None)
    return link, visitor


async def _opened(request: Request, here: WebContext, token: str) -> tuple[DecisionLink, Visitor]:
    """Return a link and who decides by it; raises LinkRefused, NotPermitted and Busy."""
    require_safe_transport(here.context, request)
    link = await links.read_link(here.context, token, secret=here.context.secret, address=address_of(request))
    session: Session | None = request.state.session
    principal = links.who_decides(link, None if session is None else session.principal)
    principal.need(NOT_AUDITORS)
    principal.need_to_change()
    request.state.preferences = link.preferences
    return link, Visitor(principal=principal, wording=wording_of(request))


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    link: DecisionLink,
    *,
    error: InputInvalid | None = None,
    entries: Entries | None = None,
    filled: dict[str, Any] | None = None,
    lost: PlacetError | None = None,
) -> Response:
    """Show what a link decides, or why it decides nothing; `lost` is why it was tried in vain."""
    page, code, changes = await here.context.database.read(
        read_page, link, visitor.principal, here.versions, visitor.wording, filled
    )
    if code is not None or lost is not None:
        dead = spent(code, link, page, visitor.wording, changes, lost)
        undo = undoable_of(link.task, page.title, visitor.principal, visitor.wording) if dead.code == "used" else None
        return _dead(
            request, dead, status=dead.status if lost is None else status_of(lost), undo=undo, token=link.token
        )
    choice = next(one for one in page.choices if one.decision == link.claims.decision)
    return _shown(
        request,
        status=200 if error is None else 422,
        page=page,
        choice=choice,
        with_form=link.claims.decision == "approve",
        **judged_decision(page.form, error, visitor.wording.say, entries),
        comment=entries.text("comment") if entries is not None else "",
        token=link.token,
        key=fresh_key(),
        name=visitor.principal.name or visitor.principal.person,
    )


def _refused(request: Request, here: WebContext, error: LinkRefused, *, again: str | None = None) -> Response:
    if error.code != "log_in":
        request.state.refused = security_log.reason_of(error)
    session: Session | None = request.state.session
    me: Principal | None = None if session is None else session.principal
    dead = refused(error, wording_of(request), me=me, lasts=here.context.notify.decision_links_last)
    return _dead(request, dead, status=dead.status, again=again if error.code == "log_in" else None)


def _dead(
    request: Request,
    dead: DeadLink,
    *,
    status: int,
    again: str | None = None,
    undo: Undoable | None = None,
    token: str = "",
) -> Response:
    return _shown(request, status=status, dead=dead, again=again, undo=undo, token=token)


def _shown(request: Request, *, status: int = 200, **values: Any) -> Response:
    nothing = {"dead": None, "done": None, "page": None, "undo": None, "task": None}
    answer = shown(request, "decide.html", status=status, **{**nothing, **values})
    answer.headers.update(_HEADERS)
    return answer

"""The conversation of a request: comments, questions to the requester, their answers, reminders, and watching."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from api.access import rule_of as access_to_route
from placet.engine.conversation import LONGEST_QUESTION
from placet.engine.events import AnswerQuestion, AskQuestion, Comment, Remind
from placet.engine.mentions import mentioned_in
from service import mentions, watching
from web.routes.common import Here, WebContext, act, entries_of, see_other
from web.security import PageRoute, local_path
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/requests/{request_id}", route_class=PageRoute)

RequestId = Annotated[str, Path(max_length=200)]
_LONGEST = 4_000


@router.post("/comment")
async def comment(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Comment on a request."""
    entries = await entries_of(request, visitor)
    text = entries.text("text")[:_LONGEST]
    back = local_path(entries.text("back") or f"/requests/{request_id}#conversation")
    if not text:
        return see_other(back)
    event = Comment(by=visitor.principal.actor, text=text)
    await act(here, visitor, event, entries, "comment", request_id=request_id)
    return see_other(await _telling(here, visitor, request_id, text, back), "comment")


@router.get("/people")
async def proposed(
    here: Here, visitor: SignedIn, request_id: RequestId, q: Annotated[str, Query(max_length=200)] = ""
) -> JSONResponse:
    """Return whom a text about the request may mention, by the beginning of their id or name."""
    principal, wording = visitor.principal, visitor.wording
    await here.context.rate_limits.people_searches.count(principal.person)
    everybody = bool(access_to_route("GET", "/workflow/people/") & {*principal.access})
    found = await here.context.database.read(
        mentions.proposed, principal, request_id, q.replace("\0", ""), wording.now, everybody=everybody
    )
    unseen = wording.say("may not see this request, and is not told")
    people = [{"id": one.id, "name": one.name, "note": "" if one.sees else unseen} for one in found]
    return JSONResponse({"people": people})


@router.post("/questions")
async def ask(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Ask the requester a question."""
    entries = await entries_of(request, visitor)
    text = entries.text("text")[:LONGEST_QUESTION]
    back = local_path(entries.text("back") or f"/requests/{request_id}#questions")
    if not text:
        return see_other(back)
    task = entries.text("task")[:200] or None
    by = visitor.principal.actor
    event = AskQuestion(by=by, text=text, task_id=task)
    await act(here, visitor, event, entries, "ask", request_id=request_id)
    return see_other(await _telling(here, visitor, request_id, text, back), "ask")


@router.post("/questions/{n}")
async def answer(request: Request, here: Here, visitor: SignedIn, request_id: RequestId, n: int) -> Response:
    """Answer a question."""
    entries = await entries_of(request, visitor)
    text = entries.text("text")[:LONGEST_QUESTION]
    back = f"/requests/{request_id}"
    if not text:
        return see_other(f"{back}#question-{n}")
    by = visitor.principal.actor
    event = AnswerQuestion(by=by, n=n, text=text)
    await act(here, visitor, event, entries, "answer", request_id=request_id)
    return see_other(await _telling(here, visitor, request_id, text, back), "answer")


@router.post("/remind")
async def remind(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Remind those whom one's own request waits for."""
    entries = await entries_of(request, visitor)
    await act(here, visitor, Remind(by=visitor.principal.actor), entries, "remind", request_id=request_id)
    return see_other(f"/requests/{request_id}", "remind")


@router.post("/watch")
async def watch(request: Request, here: Here, visitor: SignedIn, request_id: RequestId) -> Response:
    """Watch a request, or watch it no longer."""
    entries = await entries_of(request, visitor)
    back = local_path(entries.text("back") or f"/requests/{request_id}")
    if entries.text("watch") == "off":
        await watching.unwatch(here.context, visitor.principal, request_id)
        return see_other(back, "unwatch")
    await watching.watch(here.context, visitor.principal, request_id)
    return see_other(back, "watch")


async def _telling(here: WebContext, visitor: Visitor, request_id: str, text: str, back: str) -> str:
    """Return the address of a page that says whom of those mentioned nobody has told."""
    named = mentioned_in(text)
    if not named:
        return back
    missed = await here.context.database.read(mentions.untold, request_id, named, visitor.wording.now)
    page, mark, place = back.partition("#")
    query = urlencode({"untold": ",".join(missed)})
    return f"{page}{'&' if '?' in page else '?'}{query}{mark}{place}" if missed else back

"""The receipt of a decision, as a page to print."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from service.receipts import receipt_of
from web.languages import utc
from web.routes.common import Here, badge_of, shown
from web.security import PageRoute
from web.views import words
from web.views.people import names_of
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)


@router.get("/tasks/{task_id}/receipt")
async def receipt(
    request: Request, here: Here, visitor: SignedIn, task_id: Annotated[str, Path(max_length=200)]
) -> HTMLResponse:
    """Show the receipt of the decision on a task."""
    signed = await receipt_of(here.context, visitor.principal, task_id, here.context.secret)
    body = signed["body"]
    via = str(body["assigned_via"])
    ids = [body["decided_by"], body["on_behalf_of"], via.partition(":")[2]]
    names = await here.context.database.read(names_of, ids)
    say = visitor.wording.say
    return shown(
        request,
        "receipt.html",
        section="inbox",
        badge=await badge_of(here, visitor),
        receipt=signed,
        names=names,
        decided_at=utc(str(body["decided_at"])),
        came_by=words.came_by(say, via, names),
        decision=say(words.DECIDED[body["decision"]]),
        steps=[say(words.STEPS[step["kind"]]) for step in body["path"]],
        signed=words.signature(visitor.wording, body["signature"]),
    )

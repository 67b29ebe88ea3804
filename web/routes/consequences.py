"""What each decision on a task leads to: a page of its own, which the task's page takes its panel from."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse

from service.consequences import consequences_of
from web.routes.common import Here, badge_of, shown
from web.security import PageRoute
from web.views.people import names_of
from web.views.tasks.consequences import lines_of, people_in
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)


@router.get("/tasks/{task_id}/consequences")
async def consequences(
    request: Request, here: Here, visitor: SignedIn, task_id: Annotated[str, Path(max_length=200)]
) -> HTMLResponse:
    """Show what each decision of the reader on a task leads to."""
    found = await consequences_of(here.context, visitor.principal, task_id)
    names = await here.context.database.read(names_of, people_in(found))
    lines = lines_of(found, names, visitor.wording)
    badge = await badge_of(here, visitor)
    return shown(request, "consequences.html", section="inbox", badge=badge, task_id=task_id, lines=lines)

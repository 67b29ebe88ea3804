"""The signature of a decision: what is signed, and the confirmation of who signs it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from api.http.authentication import address_of, base_url
from api.http.problems import status_of
from placet.errors import (
    AlreadyDecided,
    Busy,
    ContentChanged,
    Ended,
    InputInvalid,
    PlacetError,
    ProofRefused,
    ReauthenticationRequired,
    Returned,
)
from service.identity import passkeys, step_up
from service.identity.step_up import Ways
from storage.tables.identity import StepUp
from web.routes.common import Here, WebContext, entries_of, record, see_other, shown
from web.routes.login import to_provider
from web.routes.tasks import task_page
from web.security import PageRoute
from web.views import words
from web.views.inbox import read_inbox_count
from web.views.tasks.task import TaskPage, read_task
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/sign", route_class=PageRoute)

StepUpId = Annotated[str, Path(max_length=200)]
_LONGEST = 20_000


@router.get("/{step_up_id}")
async def show_signature(request: Request, here: Here, visitor: SignedIn, step_up_id: StepUpId) -> Response:
    """Show what is signed, and how to confirm who signs it."""
    return await _page(request, here, visitor, step_up_id)


@router.get("/{step_up_id}/log-in")
async def log_in_anew(request: Request, here: Here, visitor: SignedIn, step_up_id: StepUpId) -> Response:
    """Go to the identity provider, which asks anew who somebody is."""
    context = here.context
    row = await context.database.read(step_up.read, visitor.principal, step_up_id, context.now())
    return await to_provider(request, context, next_path=f"/sign/{row.id}", step_up=row.id)


@router.post("/{step_up_id}")
async def sign(request: Request, here: Here, visitor: SignedIn, step_up_id: StepUpId) -> Response:
    """Confirm who signs, by a passkey or a token where that is given, and take the decision."""
    entries = await entries_of(request, visitor)
    context, principal = here.context, visitor.principal
    row = await context.database.read(step_up.read, principal, step_up_id, context.now())
    if row.done_at is not None:  # the same form once more
        return see_other(f"/tasks/{row.task_id}")
    answer, token = entries.text("answer")[:_LONGEST], entries.text("token").strip()[:1000]
    try:
        if answer:
            site = passkeys.require_site(context, base_url(context, request))
            await step_up.prove_by_passkey(context, principal, row.id, site, answer)
        elif token:
            await step_up.prove_by_token(context, principal, row.id, token, address=address_of(request))
        stored = await step_up.sign(context, principal, row.id)
    except (Busy, ProofRefused, ReauthenticationRequired) as error:
        await record(here, visitor, "sign", error, task_id=row.task_id, request_id=row.request_id)
        return await _page(request, here, visitor, row.id, error=error)
    except (ContentChanged, AlreadyDecided, Returned, Ended, InputInvalid) as error:
        await record(here, visitor, "decide", error, task_id=row.task_id, request_id=row.request_id)
        return await task_page(request, here, visitor, row.task_id, error=error)
    except PlacetError as error:
        await record(here, visitor, "decide", error, task_id=row.task_id, request_id=row.request_id)
        raise
    task = next((one for one in stored.tasks if one.id == row.task_id), None)
    undo = row.task_id if task is not None and task.undo_until is not None else None
    return see_other(f"/tasks/{row.task_id}", row.decision, undo=undo)


async def _page(
    request: Request, here: WebContext, visitor: Visitor, step_up_id: str, *, error: PlacetError | None = None
) -> Response:
    context, principal = here.context, visitor.principal
    site = passkeys.site_of(context, base_url(context, request))

    def read(connection: Connection) -> tuple[StepUp, TaskPage, Ways, str | None]:
        row = step_up.read(connection, principal, step_up_id, context.now())
        page = read_task(connection, principal, row.task_id, here.versions, visitor.wording)
        ways = step_up.ways_of(connection, context, principal.person, site)
        return row, page, ways, read_inbox_count(connection, principal, visitor.wording)

    row, page, ways, badge = await context.database.read(read)
    if row.done_at is not None:
        return see_other(f"/tasks/{row.task_id}")
    confirmed = row.authenticated_at
    fresh = confirmed is not None and context.now() - confirmed <= context.identity.sign_within
    question = None
    if ways.passkey and site is not None and not fresh:
        question = await passkeys.question(context, principal, f"sign:{row.id}", site)
    values: dict[str, Any] = {
        "row": row,
        "page": page,
        "ways": ways,
        "fresh": fresh,
        "question": question,
        "site": site,
        "word": visitor.wording.say(words.DECISIONS[row.decision]),
        "name": principal.name or principal.person,
        "faults": () if error is None else [{"ident": None, "label": None, "message": error.message}],
        "minutes": context.identity.sign_minutes,
        "badge": badge,
    }
    answer: HTMLResponse = shown(
        request, "sign.html", status=200 if error is None else status_of(error), section="inbox", **values
    )
    return answer

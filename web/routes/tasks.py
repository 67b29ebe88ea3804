"""A task: everything that is needed to decide it, and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.engine.events import AddApprover, Claim, Decide, Delegate, Reassign, Release, Undo
from placet.errors import (
    AlreadyDecided,
    ContentChanged,
    Ended,
    InputInvalid,
    NotPermitted,
    PlacetError,
    ReauthenticationRequired,
    Refused,
    Returned,
)
from service.engine.client import Command
from service.identity import step_up
from service.visibility import seen_task
from storage.queries.people import people
from storage.queries.requests import requests
from web.forms import schemas
from web.forms.reading import Entries, whole
from web.routes.common import (
    Here,
    WebContext,
    act,
    entries_of,
    fresh_key,
    judged_decision,
    missing_files,
    noting,
    person_of,
    see_other,
    shown,
)
from web.security import PageRoute, local_path
from web.views.inbox import read_inbox_count
from web.views.requests.conversation import untold_in
from web.views.tasks.task import TaskPage, read_task
from web.views.values import changes_of
from web.views.versions import Version
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/tasks", route_class=PageRoute)

TaskId = Annotated[str, Path(max_length=200)]
_DECISIONS = {"approve", "reject", "request_changes", "abstain"}
_LONGEST = 4_000


@router.get("/{task_id}")
async def task(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> HTMLResponse:
    """Show a task."""
    return await task_page(request, here, visitor, task_id)


@router.post("/{task_id}/decide")
async def decide(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> Response:
    """Decide a task on the revision that the page showed."""
    entries = await entries_of(request, visitor)
    quick = entries.text("approve")
    decision: Any = "approve" if quick else entries.text("decision")
    if decision not in _DECISIONS:
        raise InputInvalid(visitor.wording.say("Choose a decision first."))
    revision = whole(quick or entries.text("revision"))
    version, stage = await here.context.database.read(_version, here, visitor, task_id)
    step = version.step(stage)
    form = schemas.read_form(step.form if step is not None else None, entries)
    event = Decide(
        by=visitor.principal.actor,
        task_id=task_id,
        decision=decision,
        comment=entries.text("comment")[:_LONGEST] or None,
        form=form,
        revision=revision,
        reason=entries.text("reason") if step is not None and step.sign is not None else None,
    )
    try:
        stored = await act(here, visitor, event, entries, "decide", usual=f"{task_id}:{revision}:{decision}")
    except ReauthenticationRequired:
        return see_other(f"/sign/{await step_up.begin(here.context, visitor.principal, event)}")
    except (ContentChanged, AlreadyDecided, Returned, Ended, InputInvalid) as error:
        return await task_page(request, here, visitor, task_id, error=error, entries=entries, form=form)
    task = next((one for one in stored.tasks if one.id == task_id), None)
    if task is not None and task.status == "open":  # the same form once more, after its decision was undone
        say = visitor.wording.say
        undone = {"title": say("You have undone this decision"), "text": say("Decide again."), "changes": ()}
        return await task_page(request, here, visitor, task_id, conflict=undone)
    undo = task_id if task is not None and task.undo_until is not None else None
    return see_other(local_path(entries.text("back")), decision, undo=undo)


@router.post("/{task_id}/undo")
async def undo(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> Response:
    """Undo a decision of one's own that does not stand yet."""
    entries = await entries_of(request, visitor)
    event = Undo(by=visitor.principal.actor, task_id=task_id)
    try:  # under a key of its own: after another decision the same form undoes that one
        await act(here, visitor, event, entries, "undo", usual=fresh_key())
    except NotPermitted:
        raise
    except Refused as error:
        say = visitor.wording.say
        if isinstance(error, AlreadyDecided | Ended):
            title, text = say("This can no longer be undone"), say("The time for that is over.")
        else:
            title, text = say("There is nothing to undo"), say("The task is open.")
        return await task_page(request, here, visitor, task_id, conflict={"title": title, "text": text, "changes": ()})
    return see_other(local_path(entries.text("back")), "undo")


@router.post("/{task_id}/claim")
async def claim(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> Response:
    """Take a task out of its queue."""
    entries = await entries_of(request, visitor)
    await act(here, visitor, Claim(by=visitor.principal.actor, task_id=task_id), entries, "claim")
    return see_other(f"/tasks/{task_id}", "claim")


@router.post("/{task_id}/release")
async def release(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> Response:
    """Put a task back into its queue."""
    entries = await entries_of(request, visitor)
    await act(here, visitor, Release(by=visitor.principal.actor, task_id=task_id), entries, "release")
    return see_other("/", "release")


@router.post("/{task_id}/delegate")
async def hand_over(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> Response:
    """Let somebody else decide: delegate, or reassign."""
    entries = await entries_of(request, visitor)
    how = "reassign" if entries.text("how") == "reassign" else "delegate"
    reason = entries.text("reason")[:1000] or None
    try:
        to, by = await person_of(here, visitor, entries.text("to")), visitor.principal.actor
        event: Command = Delegate(by=by, task_id=task_id, to=to, reason=reason)
        if how == "reassign":
            event = Reassign(by=by, task_id=task_id, to=to, reason=reason)
        await act(here, visitor, event, entries, how)
    except (InputInvalid, NotPermitted, Refused) as error:
        return await _refused_choice(request, here, visitor, task_id, error, entries, "to")
    return see_other("/", how)


@router.post("/{task_id}/approvers")
async def add_approver(request: Request, here: Here, visitor: SignedIn, task_id: TaskId) -> Response:
    """Add an approver to the task's stage of this one request."""
    entries = await entries_of(request, visitor)
    try:
        to, reason = await person_of(here, visitor, entries.text("who")), entries.text("added_because")[:1000]
        event = AddApprover(by=visitor.principal.actor, task_id=task_id, to=to, reason=reason)
        await act(here, visitor, event, entries, "add_approver")
    except (InputInvalid, NotPermitted, Refused) as error:
        return await _refused_choice(request, here, visitor, task_id, error, entries, "who")
    return see_other(f"/tasks/{task_id}", "add")


async def _refused_choice(  # noqa: PLR0917
    request: Request, here: WebContext, visitor: Visitor, task_id: str, error: PlacetError, entries: Entries, field: str
) -> Response:
    """Show the task again, with why the person chosen in a field cannot be, or that the request has moved on."""
    if isinstance(error, NotPermitted | Refused) and not isinstance(error, AlreadyDecided | Returned | Ended):
        error = InputInvalid(error.message)
    return await task_page(request, here, visitor, task_id, error=error, entries=entries, choice=field)


def _version(connection: Connection, here: WebContext, visitor: Visitor, task_id: str) -> tuple[Version, str]:
    task = seen_task(connection, visitor.principal, task_id, visitor.wording.now)
    stored = requests.read(connection, task.request_id)
    return here.versions.of(connection, stored.request.template_id), task.stage


async def task_page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    task_id: str,
    *,
    error: PlacetError | None = None,
    entries: Entries | None = None,
    form: dict[str, Any] | None = None,
    conflict: dict[str, Any] | None = None,
    choice: str | None = None,
) -> HTMLResponse:
    """Show a task, as it is after something was refused; `choice` is the field of the person who was chosen, if so."""

    def read(connection: Connection) -> tuple[TaskPage, str | None, list[tuple[str, str]], tuple[str, ...]]:
        reason = entries.text("reason") if entries is not None and choice is None else ""
        page = read_task(connection, visitor.principal, task_id, here.versions, visitor.wording, form, reason=reason)
        listed = people.colleagues(connection) if page.may_hand_over or page.may_add else []
        badge = read_inbox_count(connection, visitor.principal, visitor.wording)
        return page, badge, listed, untold_in(connection, request.query_params, page.request_id, visitor.wording)

    page, badge, listed, untold = await here.context.database.read(read)
    page = replace(page, missing=await missing_files(here, page.request_id, page.files))
    invalid = isinstance(error, InputInvalid)
    status = 200 if error is None and conflict is None else 422 if invalid else 409
    judged = judged_decision(page.form, error if invalid else None, visitor.wording.say, entries)
    if isinstance(error, InputInvalid) and choice is not None:
        judged["faults"] = [{"ident": choice, "label": visitor.wording.say("Person"), "message": error.message}]
    answer = shown(
        request,
        "task.html",
        status=status,
        badge=badge,
        page=page,
        untold=untold,
        conflict=conflict if error is None or invalid else _conflict(error, page, visitor),
        **judged,
        choice=choice,
        unsent=request.state.written if page.task.status != "open" and status == 409 else (),
        entered=entries.text if entries is not None else lambda _: "",
        key=fresh_key(),
        people=listed,
    )
    answer.background = noting(here, visitor, request, page.request_id, page.news.mark)
    return answer


def _conflict(error: PlacetError, page: TaskPage, visitor: Visitor) -> dict[str, Any]:
    """Return what a page says where the request has moved on since it was shown."""
    say = visitor.wording.say
    if isinstance(error, ContentChanged):
        return {
            "title": say("The request has changed since you opened it"),
            "text": say("Nothing was decided. Look at what changed, and decide on the request as it is now."),
            "changes": changes_of(page.variables, error.difference, visitor.wording),
        }
    if isinstance(error, AlreadyDecided):
        mine = error.standing.get("decided_by") == f"user:{visitor.principal.person}"
        title = say("You have decided this") if mine else say("Somebody was faster")
        text = f"{page.refused} {say('Nothing more was decided.')}" if page.refused else error.message
        return {"title": title, "text": text, "changes": ()}
    title = say("The request is with its requester") if isinstance(error, Returned) else say("The request has ended")
    return {"title": title, "text": error.message, "changes": ()}

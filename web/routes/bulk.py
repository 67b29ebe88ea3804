"""Several tasks at once: a summary before they are decided or delegated, and a result for each after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from api.http.problems import status_of
from placet.engine.events import Decide, Delegate, Reassign
from placet.errors import InputInvalid, PlacetError
from service import commands
from service.visibility import see_task
from storage.queries.people import people
from storage.queries.requests import requests
from storage.queries.requests.requests import ListedTask
from web.forms.reading import Entries, whole
from web.paging import PAGE
from web.routes.common import Here, WebContext, badge_of, done_key, entries_of, fresh_key, person_of, record, shown
from web.security import PageRoute, local_path
from web.views import words
from web.views.inbox import InboxRow, row_of
from web.views.people import names_of
from web.views.requests.bound_action import ActionView, action_of
from web.views.undo import may_undo
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/tasks", route_class=PageRoute)
HandOver = Literal["delegate", "reassign"]
_HANDING_OVER: Final[dict[str, type[Delegate | Reassign]]] = {"delegate": Delegate, "reassign": Reassign}
MOST_MOVED = 200  # tasks that are handed over together with an absence


@router.post("/decide")
async def decide_many(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Review the selected tasks, or decide them; each succeeds or fails by itself."""
    entries = await entries_of(request, visitor)
    back, picked = local_path(entries.text("back")), _picked(entries)
    rows = await here.context.database.read(_rows, here, visitor, list(picked))
    decision: Any = entries.text("decision")
    if decision not in {"approve", "reject"} or not rows:
        return await _summary(request, here, visitor, rows, back, "decide")
    comment = entries.text("comment")[:4000] or None
    events = [
        Decide(by=visitor.principal.actor, task_id=row.id, decision=decision, comment=comment, revision=picked[row.id])
        for row in rows
    ]
    return await _carried_out(request, here, visitor, rows, events, entries.text("key"), back, decision)


@router.post("/delegate")
async def delegate_many(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Review the selected tasks, or delegate them to one person; each succeeds or fails by itself."""
    entries = await entries_of(request, visitor)
    back = local_path(entries.text("back"))
    rows = await here.context.database.read(_rows, here, visitor, list(_picked(entries)))
    error: InputInvalid | None = None
    if entries.text("step") == "delegate" and rows:
        try:
            to, reason = await person_of(here, visitor, entries.text("to")), entries.text("reason")[:1000] or None
            return await hand_over_rows(request, here, visitor, rows, "delegate", to, reason, entries.text("key"), back)
        except InputInvalid as invalid:
            error = invalid
    listed = await here.context.database.read(people.colleagues)
    return await _summary(
        request, here, visitor, rows, back, "delegate", people=listed, entered=entries.text, error=error
    )


async def hand_over_rows(  # noqa: PLR0917
    request: Request,
    here: WebContext,
    visitor: Visitor,
    rows: Sequence[InboxRow],
    verb: HandOver,
    to: str,
    reason: str | None,
    key: str,
    back: str,
) -> HTMLResponse:
    """Give these tasks to one person, and show a result for each: one's own, or as an admin somebody else's."""
    by = visitor.principal.actor
    events = [_HANDING_OVER[verb](by=by, task_id=row.id, to=to, reason=reason) for row in rows]
    return await _carried_out(request, here, visitor, rows, events, key, back, verb)


def open_rows(connection: Connection, here: WebContext, visitor: Visitor, person: str) -> list[InboxRow]:
    """Return the open tasks that a person has, those due first, as many as are handed over together."""
    page = requests.task_page(connection, limit=MOST_MOVED, assignee=person, status="open", sort="due")
    return _rows_of(connection, here, visitor, page.items)


async def _carried_out(  # noqa: PLR0917
    request: Request,
    here: WebContext,
    visitor: Visitor,
    rows: Sequence[InboxRow],
    events: Sequence[Decide] | Sequence[Delegate | Reassign],
    key: str,
    back: str,
    done: str,
) -> HTMLResponse:
    """Offer an event for each row, and show what came of each; `done` is what was asked for."""
    verb = done if done in _HANDING_OVER else "decide"
    outcomes = await commands.act_on_tasks(
        here.context, visitor.principal, events, key=done_key(visitor, key or fresh_key())
    )
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, PlacetError):
            await record(here, visitor, verb, outcome, task_id=row.id)
    results = [_result(row, outcome, done, visitor) for row, outcome in zip(rows, outcomes, strict=True)]
    count = sum(1 for outcome in outcomes if not isinstance(outcome, PlacetError))
    tasks = [task for one in outcomes if not isinstance(one, PlacetError) for task in one.tasks]
    undoable = verb == "decide" and any(may_undo(task, visitor.principal, visitor.wording.now) for task in tasks)
    left = [row for row, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, PlacetError)]
    again = left if verb == "delegate" else []  # to somebody else; the form stands below what came of it
    values: dict[str, Any] = {
        "rows": again,
        "people": await here.context.database.read(people.colleagues) if again else (),
        "entered": (await entries_of(request, visitor)).text,
        "actions": await here.context.database.read(_actions, again, visitor),
        "results": results,
        "done": count,
        "back": back,
        "undoable": undoable,
        "unsent": request.state.written if left and verb == "decide" else (),
    }
    badge = await badge_of(here, visitor)
    return shown(request, "bulk.html", section="inbox", badge=badge, verb=verb, key=fresh_key(), faults=(), **values)


async def _summary(  # noqa: PLR0917
    request: Request,
    here: WebContext,
    visitor: Visitor,
    rows: Sequence[InboxRow],
    back: str,
    verb: str,
    *,
    people: Sequence[tuple[str, str]] = (),
    entered: Any = None,
    error: InputInvalid | None = None,
) -> HTMLResponse:
    actions = await here.context.database.read(_actions, rows, visitor)
    faults = [{"ident": None, "label": None, "message": error.message}] if error is not None else []
    status = 200 if error is None else 422
    more: dict[str, Any] = {"people": people, "entered": entered, "faults": faults, "results": (), "done": 0}
    return shown(
        request,
        "bulk.html",
        status=status,
        section="inbox",
        badge=await badge_of(here, visitor),
        rows=rows,
        actions=actions,
        back=back,
        verb=verb,
        key=fresh_key(),
        **more,
    )


def _picked(entries: Entries) -> dict[str, int]:
    """Return the selected tasks, each with the revision that the page showed."""
    found: dict[str, int] = {}
    for one in entries.texts("task")[:PAGE]:
        task, _, revision = one.rpartition(":")
        number = whole(revision)
        if task and "\0" not in task and number is not None:
            found[task] = number
    return found


def _rows(connection: Connection, here: WebContext, visitor: Visitor, tasks: list[str]) -> list[InboxRow]:
    """Return the rows of those tasks that the reader may see."""
    seen = []
    for task in tasks:
        try:
            seen.append(see_task(connection, visitor.principal, task, visitor.wording.now).id)
        except PlacetError:
            continue
    order = {task: number for number, task in enumerate(tasks)}
    listed = sorted(requests.tasks_listed(connection, seen), key=lambda row: order[row.id])
    return _rows_of(connection, here, visitor, listed)


def _rows_of(
    connection: Connection, here: WebContext, visitor: Visitor, listed: Sequence[ListedTask]
) -> list[InboxRow]:
    names = names_of(connection, [one for row in listed for one in (row.requester, row.assignee)])
    known = here.versions.all_of(connection, (row.template_id for row in listed))
    return [
        row_of(row, known[row.template_id], visitor.principal, names, visitor.wording, tab="mine", with_action=True)
        for row in listed
    ]


def _actions(connection: Connection, rows: Sequence[InboxRow], visitor: Visitor) -> dict[str, ActionView]:
    """Return the actions that the requests of these rows ask for, by request: people see every parameter."""
    found = requests.actions_of(connection, {row.request_id for row in rows})
    names = names_of(connection, ())
    views = {row.id: action_of(row, names, visitor.wording) for row in found}
    return {request_id: view for request_id, view in views.items() if view is not None}


def _result(row: InboxRow, outcome: Any, done: str, visitor: Visitor) -> dict[str, Any]:
    say = visitor.wording.say
    if isinstance(outcome, PlacetError):
        undone = {"delegate": say("Not delegated"), "reassign": say("Not reassigned")}.get(done, say("Not decided"))
        word = say("Unknown; try again") if status_of(outcome) >= 500 else undone
        return {"task_id": row.id, "title": row.title, "word": word, "tone": "bad", "problem": outcome.message}
    tone = "bad" if done == "reject" else "good"
    moved = {"delegate": say("Delegated"), "reassign": say("Reassigned")}
    word = moved[done] if done in moved else say(words.DECIDED[done])
    return {"task_id": row.id, "title": row.title, "word": word, "tone": tone, "problem": None}

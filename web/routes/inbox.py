"""The inbox, and decisions about several tasks at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from api.http.problems import status_of
from placet.engine.events import Decide
from placet.errors import InputInvalid, PlacetError
from service import commands
from service.visibility import see_task
from storage.queries.people import saved_views
from storage.queries.people.saved_views import ViewRow
from storage.queries.requests import inbox as inbox_queries
from storage.queries.requests import requests
from web.forms.reading import Entries
from web.routes.common import Here, done_key, entries_of, fresh_key, record, shown
from web.security import PageRoute, local_path
from web.views import words
from web.views.inbox import PAGE, Inbox, InboxFilter, InboxRow, counted, read_inbox, row_of
from web.views.people import names_of
from web.views.request import RequestList, read_requests
from web.views.saved_views import links_of, standard_of
from web.visitor import SignedIn

router = APIRouter(route_class=PageRoute)
_MOST = PAGE


@router.get("/")
async def inbox(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the tasks that wait for the reader, those in their queues, or those they have decided."""
    wording = visitor.wording
    asked = InboxFilter.of(request.query_params) if set(request.query_params) - {"done"} else None

    def read(
        connection: Connection, asked: InboxFilter | None
    ) -> tuple[Inbox, RequestList | None, InboxFilter, tuple[ViewRow, ...]]:
        views = saved_views.of_person(connection, visitor.principal.person)
        chosen = asked or standard_of(views) or InboxFilter()
        watched = None
        if chosen.tab == "watching":
            watched = read_requests(
                connection,
                visitor.principal,
                here.versions,
                wording,
                whose="watched",
                q=chosen.q,
                status="",
                template=chosen.template,
                sort=chosen.sort,
                cursor=chosen.cursor,
            )
        return read_inbox(connection, visitor.principal, chosen, here.versions, wording), watched, chosen, views

    try:
        found, watched, chosen, views = await here.context.database.read(read, asked)
    except InputInvalid:  # an address with a cursor of another order, or cut off
        usual = InboxFilter(tab=asked.tab) if asked else None
        found, watched, chosen, views = await here.context.database.read(read, usual)
    return shown(
        request,
        "inbox.html",
        section="inbox",
        badge=counted(found.counts["mine"]) if found.counts["mine"] else None,
        inbox=found,
        watched=watched,
        chosen=chosen,
        views=links_of(views, chosen),
        sla_words={key: wording.say(word) for key, word in words.SLA.items()},
        decided_words={key: wording.say(word) for key, word in words.DECIDED.items()},
    )


@router.post("/tasks/decide")
async def decide_many(request: Request, here: Here, visitor: SignedIn) -> Response:
    """Review the selected tasks, or decide them; each succeeds or fails by itself."""
    entries = await entries_of(request, visitor)
    back = local_path(entries.text("back"))
    picked = _picked(entries)
    rows = await here.context.database.read(_rows, here, visitor, list(picked))
    decision = entries.text("decision")
    if decision not in {"approve", "reject"} or not rows:
        return shown(
            request,
            "bulk.html",
            section="inbox",
            rows=rows,
            results=(),
            done=0,
            back=back,
            key=fresh_key(),
        )
    key = done_key(visitor, entries.text("key") or fresh_key())
    comment = entries.text("comment") or None
    decisions = [
        Decide(
            by=visitor.principal.actor,
            task_id=row.id,
            decision="approve" if decision == "approve" else "reject",
            comment=comment,
            revision=picked[row.id],
            key=key,
        )
        for row in rows
    ]
    outcomes = await commands.act_on_tasks(here.context, visitor.principal, decisions, key=key)
    results = [_result(row, outcome, decision, visitor) for row, outcome in zip(rows, outcomes, strict=True)]
    for row, outcome in zip(rows, outcomes, strict=True):
        if isinstance(outcome, PlacetError):
            await record(here, visitor, "decide", outcome, task_id=row.id)
    done = sum(1 for outcome in outcomes if not isinstance(outcome, PlacetError))
    return shown(request, "bulk.html", section="inbox", rows=rows, results=results, done=done, back=back, key="")


def _picked(entries: Entries) -> dict[str, int]:
    """Return the selected tasks, each with the revision that the page showed."""
    found: dict[str, int] = {}
    for one in entries.texts("task")[:_MOST]:
        task, _, revision = one.rpartition(":")
        if task and "\0" not in task and revision.isascii() and revision.isdecimal():
            found[task] = min(int(revision), 1_000_000)
    return found


def _rows(connection: Any, here: Any, visitor: Any, tasks: list[str]) -> list[InboxRow]:
    """Return the rows of those tasks that the reader may see."""
    seen = []
    for task in tasks:
        try:
            seen.append(see_task(connection, visitor.principal, task, visitor.wording.now).id)
        except PlacetError:
            continue
    listed = requests.tasks_listed(connection, seen)
    names = names_of(connection, [one for row in listed for one in (row.requester, row.assignee)])
    known = here.versions.all_of(connection, (row.template_id for row in listed))
    order = {task: number for number, task in enumerate(tasks)}
    given = inbox_queries.inputs_of(connection, {row.request_id for row in listed})
    rows = [
        row_of(
            row, known[row.template_id], given[row.request_id], visitor.principal, names, visitor.wording, tab="mine"
        )
        for row in listed
    ]
    return sorted(rows, key=lambda row: order[row.id])


def _result(row: InboxRow, outcome: Any, decision: str, visitor: Any) -> dict[str, Any]:
    say = visitor.wording.say
    if isinstance(outcome, PlacetError):
        word = say("Unknown; try again") if status_of(outcome) >= 500 else say("Not decided")
        return {"task_id": row.id, "title": row.title, "word": word, "tone": "bad", "problem": outcome.message}
    tone = "good" if decision == "approve" else "bad"
    return {"task_id": row.id, "title": row.title, "word": say(words.DECIDED[decision]), "tone": tone, "problem": None}

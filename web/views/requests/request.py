"""A request as its requester and others follow it: where it stands, for whom it waits, and what may be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from service.principal import Principal
from service.visibility import seen_request, visibility_of_caller
from storage.queries.requests import inbox as inbox_queries
from storage.queries.requests import reading_marks, requests, timelines, watches
from storage.queries.requests.reading_marks import Mark
from storage.queries.requests.requests import RequestRow, RequestWithTasks, TaskRow
from web.languages import Wording
from web.paging import PAGE
from web.views import words
from web.views.computed import set_so_far
from web.views.inbox import COUNTED
from web.views.people import Names, names_of
from web.views.requests.bound_action import ActionView, action_of
from web.views.requests.conversation import (
    QuestionLine,
    may_answer,
    may_ask,
    people_asking,
    questions_of,
    refused_reminder,
)
from web.views.requests.files import FileLine, files_of
from web.views.requests.news import News, news_of
from web.views.requests.timeline import Course, Line, Until, course_of, lines_at, people_in
from web.views.values import Fact, facts_named, facts_of
from web.views.versions import Version, Versions


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLine:
    """A stage of the way so far, or one that is still to come where the process has no branches."""

    name: str
    state: str  # done, current, ahead
    word: str
    tone: str
    people: tuple[str, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPage:
    """One request. `mine` says that the reader asked for it."""

    request: RequestRow
    seq: int  # of its latest entry
    requester: str
    owner: str
    outcome_word: str
    tone: str
    amount: Fact | None
    action: ActionView | None
    facts: tuple[Fact, ...]
    computed: tuple[Fact, ...]
    stages: tuple[StageLine, ...]
    news: News
    course: Course
    files: tuple[FileLine, ...]
    missing: tuple[int, ...]  # the files that the store does not have
    questions: tuple[QuestionLine, ...]
    may_ask: bool
    may_answer: bool
    watched: bool
    may_remind: bool
    reminder_refused: str | None  # why people cannot be reminded now
    may_attach: bool
    mine: bool
    may_withdraw: bool
    may_cancel: bool
    may_comment: bool
    may_resubmit: bool
    may_start: bool
    asked_changes: Line | None
    ui_url: str | None
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request of a list."""

    id: str
    title: str
    template: str
    requester: str
    amount: Fact | None
    word: str
    tone: str
    started_at: datetime
    ended_at: datetime | None
    waits_for: str
    returned: bool
    open_questions: int
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestList:
    """A page of requests."""

    rows: tuple[RequestLine, ...]
    next_cursor: str | None
    waiting: int  # requests that wait for an answer of the reader, as far as they are counted


def read_request(  # noqa: PLR0917
    connection: Connection,
    principal: Principal,
    request_id: str,
    versions: Versions,
    wording: Wording,
    ui_url: str,
    until: Until | None = None,
) -> RequestPage:
    """Read the page of a request, with its latest entries or those `until` some number; raises NotFound."""
    stored = seen_request(connection, principal, request_id, wording.now)
    version = versions.of(connection, stored.request.template_id)
    rows = timelines.of_request(connection, request_id)
    mark = reading_marks.find(connection, request_id, principal.person)
    names = names_of(
        connection,
        [
            *people_in(rows),
            stored.request.requester,
            stored.request.owner,
            stored.request.claimed_by,
            *people_asking(stored.request),
            *(one for task in stored.tasks for one in (task.assignee, task.decided_by, *task.candidates)),
        ],
    )
    page = _page(stored, version, rows, mark, principal, names, wording, ui_url, until)
    return replace(page, watched=watches.since(connection, principal.person, request_id) is not None)


def _page(  # noqa: PLR0917
    stored: RequestWithTasks,
    version: Version,
    rows: Sequence[Any],
    mark: Mark | None,
    principal: Principal,
    names: Names,
    wording: Wording,
    ui_url: str,
    until: Until | None,
) -> RequestPage:
    request = stored.request
    mine = request.requester == principal.person
    pending = request.status == "pending"
    changes_things = principal.access != frozenset({"auditor"})
    operates = not mine and (principal.admin or principal.owns(request.owner))
    news, new = news_of(rows, request.revision, mark, principal.person, version, names, wording)
    settled = version.settled(request.input, set_so_far(rows))
    given, computed = version.asked_of(settled)
    asked = [number for number, row in enumerate(rows, 1) if row.kind == "changes_requested"][-1:]
    return RequestPage(
        request=request,
        seq=max((row.seq for row in rows if not row.delivery), default=0),
        requester=names(request.requester),
        owner=names(request.owner),
        outcome_word=words.outcome(wording.say, request.status, request.outcome),
        tone=_tone(request),
        amount=next(iter(facts_named(version.variables, settled, [version.amount or ""], wording)), None),
        action=action_of(request, names, wording),
        facts=facts_of(version.variables, given, wording),
        computed=facts_of(version.variables, computed, wording),
        stages=_stages(stored, version, names, wording),
        news=news,
        course=course_of(rows, version, names, wording, new=new, until=until),
        files=files_of(request.id, rows, names, wording),
        missing=(),
        questions=questions_of(request, names),
        may_ask=may_ask(request, stored.tasks, principal),
        may_answer=may_answer(request, principal),
        watched=False,
        may_remind=pending and mine,
        reminder_refused=refused_reminder(request, stored.tasks, rows, wording),
        may_attach=pending
        and mine
        and (request.returned or all(task.decision is None for task in stored.tasks))
        and version.attachments.max_files > 0,
        mine=mine,
        may_withdraw=pending and mine,
        may_cancel=pending and operates,
        may_comment=pending and changes_things,
        may_resubmit=pending and request.returned and mine,
        may_start=mine and bool(principal.access & {"requester", "admin"}),
        asked_changes=next(iter(lines_at(asked, rows, version, names, wording)), None) if request.returned else None,
        ui_url=ui_url if principal.sees_all else None,
        version=version,
    )


def _tone(request: RequestRow) -> str:
    if request.status == "pending":
        return "warn" if request.returned else "open"
    return {"approved": "good", "rejected": "bad", "failed": "bad"}.get(request.outcome or request.status, "plain")


def _waits_for(task: TaskRow, names: Names, wording: Wording) -> str:
    """Return in words for whom an open task waits."""
    if task.assignee is not None:
        return names(task.assignee)
    if task.queue is not None:
        return task.queue.partition(":")[2].replace("_", " ")
    return ", ".join(sorted(map(names, task.candidates))) or wording.say("nobody yet")


def _stages(stored: RequestWithTasks, version: Version, names: Names, wording: Wording) -> tuple[StageLine, ...]:
    """Return each stage once, as its latest round stands; a straight chain also shows what is still to come."""
    latest: dict[str, list[TaskRow]] = {}
    for task in stored.tasks:
        if task.stage in latest and latest[task.stage][0].round != task.round:
            latest[task.stage] = []
        latest.setdefault(task.stage, []).append(task)
    found = [_stage(name, tasks, names, wording) for name, tasks in latest.items()]
    definition = version.definition
    if definition is not None and definition.graph_spec is None and stored.request.status == "pending":
        found += [
            StageLine(
                name=step.stage_name, state="ahead", word=wording.say("Not yet"), tone="plain", people=(), at=None
            )
            for step in definition.process_steps
            if step.stage_name not in latest
        ]
    return tuple(found)


def _stage(name: str, tasks: list[TaskRow], names: Names, wording: Wording) -> StageLine:
    decided = [task for task in tasks if task.status == "decided"]
    waits = [task for task in tasks if task.status == "open"]
    people = tuple(
        dict.fromkeys(
            names(task.decided_by or task.assignee) for task in (*decided, *waits) if task.decided_by or task.assignee
        )
    )
    last = max(decided, key=lambda task: task.decided_at or task.opened_at, default=None)
    if waits:
        return StageLine(
            name=name, state="current", word=wording.say("Waiting"), tone="open", people=people, at=waits[0].opened_at
        )
    if last is None:
        return StageLine(
            name=name, state="done", word=wording.say("Closed"), tone="plain", people=people, at=tasks[-1].opened_at
        )
    tone = {"approve": "good", "reject": "bad", "request_changes": "warn"}.get(last.decision or "", "plain")
    word = wording.say(words.DECIDED.get(last.decision or "", "Decided"))
    return StageLine(name=name, state="done", word=word, tone=tone, people=people, at=last.decided_at)


def read_requests(
    connection: Connection,
    principal: Principal,
    versions: Versions,
    wording: Wording,
    *,
    whose: str,
    q: str,
    status: str,
    template: str,
    sort: str,
    cursor: str | None,
) -> RequestList:
    """Read a page of requests: the reader's own (`whose` is `me`), those of them that wait for an answer of theirs
    (`answer`), those that they watch (`watched`), or all that they may see.
    """
    page = requests.page(
        connection,
        limit=PAGE,
        cursor=cursor,
        viewer=visibility_of_caller(connection, principal, wording.now),
        requester=principal.person if whose == "me" else None,
        watched_by=principal.person if whose == "watched" else None,
        waits_for_answer_of=principal.person if whose == "answer" else None,
        title=q or None,
        status=status or None,
        template=template or None,
        sort=sort or None,
    )
    known = versions.all_of(connection, (one.request.template_id for one in page.items))
    names = names_of(
        connection,
        [one for each in page.items for one in (each.request.requester, *(task.assignee for task in each.tasks))],
    )
    rows = tuple(_row(one, known[one.request.template_id], principal, names, wording) for one in page.items)
    waiting = inbox_queries.count_answers(connection, principal.person, most=COUNTED + 1)
    return RequestList(rows=rows, next_cursor=page.next_cursor, waiting=waiting)


def _row(
    stored: RequestWithTasks, version: Version, principal: Principal, names: Names, wording: Wording
) -> RequestLine:
    request = stored.request
    settled = version.settled(request.input) if request.status == "pending" else request.input
    waiting = [_waits_for(task, names, wording) for task in stored.tasks if task.status == "open"]
    word = words.outcome(wording.say, request.status, request.outcome)
    if request.returned and request.status == "pending":
        word = wording.say("Changes requested")
    return RequestLine(
        id=request.id,
        title=request.title,
        template=request.template,
        requester=names(request.requester),
        amount=next(iter(facts_named(version.variables, settled, [version.amount or ""], wording)), None),
        word=word,
        tone=_tone(request),
        started_at=request.started_at,
        ended_at=request.ended_at,
        waits_for=", ".join(dict.fromkeys(waiting)),
        returned=request.returned,
        open_questions=request.open_questions,
        mine=request.requester == principal.person,
    )

"""Everything that is needed to decide a task, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from placet.audit.reasons import Reason
from placet.definition.steps import Step
from placet.definition.variables import Variable
from placet.engine.events import Decide
from placet.errors import NotPermitted
from placet.tasks.decisions import comment_needed
from placet.tasks.permissions import require_not_operating_own
from service import commands
from service.principal import Principal
from service.visibility import see_request, seen_task, visibility_of_caller
from service.waiting.why import answers_of
from storage.queries.requests import reading_marks, requests, timelines, watches
from storage.queries.requests.reading_marks import Mark
from storage.queries.requests.requests import RequestWithTasks, TaskRow
from web.forms import schemas
from web.forms.checks import required_only
from web.forms.fields import Field
from web.languages import Wording
from web.views import words
from web.views.computed import set_so_far
from web.views.people import Names, names_of
from web.views.requests.bound_action import ActionView, action_of
from web.views.requests.conversation import QuestionLine, may_answer, may_ask, people_asking, questions_of
from web.views.requests.files import FileLine, files_of
from web.views.requests.news import News, news_of
from web.views.requests.timeline import Course, changes_since, course_of, people_in
from web.views.undo import Undoable, undoable_of
from web.views.values import ChangedFact, Fact, facts_named, facts_of
from web.views.versions import Version, Versions
from web.waiting.wording import people_in as people_in_reason
from web.waiting.wording import reason as reason_in_words

_SIMILAR = 5
ORDER = ("approve", "request_changes", "reject", "abstain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One decision that may be taken. `needs_comment` is what is said without one, where the stage asks for it."""

    decision: str
    word: str
    needs_comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Another task of the request: whose it is and what came of it."""

    stage: str
    who: str
    status: str
    word: str
    tone: str
    at: datetime | None
    comment: str | None
    current: bool
    outdated: bool  # it was decided on an earlier revision
    provisional: bool  # whoever decided may undo it
    signed: str | None  # its signature, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What changed since somebody decided."""

    title: str
    changes: tuple[ChangedFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """An earlier request of the same process."""

    id: str
    title: str
    requester: str
    ended_at: datetime | None
    word: str
    tone: str
    amount: Fact | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPage:
    """A task with its request. `refused` says in words why the reader cannot decide it; None where they can."""

    task: TaskRow
    request_id: str
    title: str
    template: str
    version: str
    requester: str
    status: str
    returned: bool
    outcome_word: str
    revision: int
    sla: str
    sla_word: str
    amount: Fact | None
    action: ActionView | None
    facts: tuple[Fact, ...]
    computed: tuple[Fact, ...]
    policy: str | None
    why_asked: str
    who: str
    undo: Undoable | None
    choices: tuple[Choice, ...]
    form: tuple[Field, ...]
    signs: bool  # whether its decisions are signed
    refused: str | None
    may_claim: bool
    may_release: bool
    may_hand_over: bool
    may_add: bool  # an approver, to this stage of the request
    why_added: str | None  # what whoever added the reader gave as their reason
    seats: tuple[Seat, ...]
    news: News
    since: tuple[Since, ...]
    course: Course
    files: tuple[FileLine, ...]
    missing: tuple[int, ...]  # the files that the store does not have
    questions: tuple[QuestionLine, ...]
    may_ask: bool
    may_answer: bool
    watched: bool
    may_attach: bool
    similar: tuple[Similar, ...]
    started_at: datetime
    variables: tuple[Variable, ...]


def read_task(  # noqa: PLR0917 - all of it is one page
    connection: Connection,
    principal: Principal,
    task_id: str,
    versions: Versions,
    wording: Wording,
    given: Mapping[str, Any] | None = None,
    *,
    reason: str = "",
) -> TaskPage:
    """Read the page of a task; raises NotFound. `given` and `reason` are what was entered before."""
    task = seen_task(connection, principal, task_id, wording.now)
    stored = see_request(connection, principal, task.request_id, wording.now)
    version = versions.of(connection, stored.request.template_id)
    rows = timelines.of_request(connection, task.request_id)
    mark = reading_marks.find(connection, task.request_id, principal.person)
    similar = _similar(connection, principal, stored, wording)
    whose = task.assigned_via.partition(":")[2]
    asked = _asked_of(connection, task, stored, principal, wording)
    names = names_of(
        connection,
        [
            *people_in(rows),
            *(one for each in stored.tasks for one in (each.assignee, each.decided_by, *each.candidates)),
            *(one.request.requester for one in similar),
            stored.request.requester,
            *people_asking(stored.request),
            whose,
            *task.candidates,
            *(people_in_reason(asked) if asked is not None else ()),
        ],
    )
    step = version.step(task.stage)
    stands_in = task.status == "open" and commands.stands_in(connection, principal, task, wording.now)
    page = page_of(
        task, stored, version, step, rows, mark, similar, principal, names, wording, given, stands_in=stands_in
    )
    if page.signs:
        page = replace(page, form=(*page.form, _reason_field(step, reason, wording)))
    if asked is not None and asked.code != "added_by":  # which the way of the task says to its reader: who added you
        page = replace(page, why_asked=reason_in_words(asked, names, wording))
    return replace(page, watched=watches.since(connection, principal.person, task.request_id) is not None)


def _asked_of(
    connection: Connection, task: TaskRow, stored: RequestWithTasks, principal: Principal, wording: Wording
) -> Reason | None:
    """Return why the reader is asked to decide an open task, or whoever has it; None where the entries say nothing."""
    if task.status != "open":
        return None
    only = replace(stored, tasks=(task,))
    for person in dict.fromkeys((principal.person, task.assignee)):
        for one in answers_of(connection, only, person, wording.now) if person is not None else ():
            if one.whether.asked:
                return one.whether.why
    return None


def page_of(  # noqa: PLR0917
    task: TaskRow,
    stored: RequestWithTasks,
    version: Version,
    step: Step | None,
    rows: Sequence[Any],
    mark: Mark | None,
    similar: Sequence[RequestWithTasks],
    principal: Principal,
    names: Names,
    wording: Wording,
    given: Mapping[str, Any] | None,
    *,
    stands_in: bool,
) -> TaskPage:
    """Make the page of a task out of what was read; `stands_in`: the reader does so for whoever has it."""
    request = stored.request
    news, new = news_of(rows, request.revision, mark, principal.person, version, names, wording)
    settled = version.settled(request.input, set_so_far(rows))
    asked, computed = version.asked_of(settled)
    refused = _refused(task, stored, principal, names, wording, stands_in=stands_in)
    sla = "none" if task.due_at is None else task.sla_state
    holds = principal.person == task.assignee
    return TaskPage(
        task=task,
        request_id=request.id,
        title=request.title,
        template=request.template,
        version=request.version,
        requester=names(request.requester),
        status=request.status,
        returned=request.returned,
        outcome_word=words.outcome(wording.say, request.status, request.outcome),
        revision=request.revision,
        sla=sla,
        sla_word=wording.say(words.SLA[sla]),
        amount=next(iter(facts_named(version.variables, settled, [version.amount or ""], wording)), None),
        action=action_of(request, names, wording),
        facts=facts_of(version.variables, asked, wording),
        computed=facts_of(version.variables, computed, wording),
        policy=step.description if step is not None else None,
        why_asked=words.why_asked(wording.say, task.assigned_via, names),
        who=names(task.assignee) if task.assignee else ", ".join(sorted(map(names, task.candidates))),
        undo=undoable_of(task, request.title, principal, wording),
        choices=_choices(step, wording),
        form=schemas.fields_of(step.form if step is not None else None, given or {}, wording),
        signs=step is not None and step.sign is not None,
        refused=refused,
        may_claim=task.status == "open" and task.assignee is None and principal.person in task.candidates,
        may_release=task.status == "open" and holds and task.queue is not None,
        may_hand_over=task.status == "open"
        and request.requester != principal.person
        and (holds or principal.admin or principal.owns(request.owner)),
        may_add=task.status == "open"
        and not request.returned
        and (step is None or step.ad_hoc)
        and request.requester != principal.person
        and (refused is None or principal.admin or principal.owns(request.owner)),
        why_added=_why_added(task, rows),
        seats=tuple(_seat(one, task, request.revision, names, wording) for one in stored.tasks),
        news=news,
        since=_since(stored, rows, version, principal, names, wording),
        course=course_of(rows, version, names, wording, new=new),
        files=files_of(request.id, rows, names, wording),
        missing=(),
        questions=questions_of(request, names),
        may_ask=refused is None or may_ask(request, stored.tasks, principal),
        may_answer=may_answer(request, principal),
        watched=False,
        may_attach=False,
        similar=tuple(_shown(one, version, names, wording) for one in similar),
        started_at=request.started_at,
        variables=version.variables,
    )


def _why_added(task: TaskRow, rows: Sequence[Any]) -> str | None:
    """Return the reason for which the person of a task was added to its stage; None where they were not."""
    if not task.assigned_via.startswith("added:"):
        return None
    for row in reversed(rows):
        if (row.kind, row.stage, row.detail.get("to")) == ("approver_added", task.stage, f"user:{task.assignee}"):
            why = row.detail.get("why")
            return why if isinstance(why, str) else None
    return None


def _reason_field(step: Step | None, reason: str, wording: Wording) -> Field:
    """Return the field in which a signer says what the signature means."""
    reasons = step.sign.reasons if step is not None and step.sign is not None else ()
    return Field(
        name="reason",
        pointer="/reason",
        label=wording.say("What your signature means"),
        widget="choice",
        value=reason if reason in reasons else "",
        required=True,
        options=tuple((one, one) for one in reasons),
        check=required_only("choice", wording, required=True),
    )


def _choices(step: Step | None, wording: Wording) -> tuple[Choice, ...]:
    required = step.comment_required if step is not None else ()
    return tuple(
        Choice(
            decision=one,
            word=wording.say(words.DECISIONS[one]),
            needs_comment=comment_needed(one) if one in required else "",
        )
        for one in ORDER
    )


def _refused(
    task: TaskRow, stored: RequestWithTasks, principal: Principal, names: Names, wording: Wording, *, stands_in: bool
) -> str | None:
    """Return why the reader cannot decide the task, in words; None where they can. The core asks again."""
    say = wording.say
    if task.status == "decided":
        decided = say(words.DECIDED.get(task.decision or "", "Decided"))
        return say("{person} has decided this: {decision}.").format(person=names(task.decided_by), decision=decided)
    if task.status != "open":
        return say("This task is closed: its stage was settled without it.")
    if stored.request.returned:
        return say("The request is with {person} for changes.").format(person=names(stored.request.requester))
    try:
        require_not_operating_own(
            Decide(by=principal.actor, task_id=task.id, decision="approve"), stored.request.requester
        )
    except NotPermitted:
        return say("Nobody decides their own request.")
    if not principal.approves and not principal.owns(stored.request.owner):
        return say("Your access does not include deciding.")
    if task.assignee is None and principal.person in task.candidates:
        return say("The task waits in a queue. Claim it first.")
    how, _, away = task.assigned_via.partition(":")
    holders = {task.assignee, *task.delegates} | ({away} if how == "substitution" else set())
    if stands_in or principal.person in holders:
        return None
    return say("This task is for {person}.").format(person=names(task.assignee) or task.queue)


def _seat(one: TaskRow, current: TaskRow, revision: int, names: Names, wording: Wording) -> Seat:
    if one.status == "decided":
        word = words.DECIDED.get(one.decision or "", one.decision or "")
        tone = {"approve": "good", "reject": "bad", "request_changes": "warn"}.get(one.decision or "", "plain")
    else:
        word, tone = words.TASKS.get(one.status, one.status), "open" if one.status == "open" else "plain"
    who = one.decided_by or one.assignee
    return Seat(
        stage=one.stage,
        who=names(who) if who else wording.say("Queue {name}").format(name=one.queue or "?"),
        status=one.status,
        word=wording.say(word),
        tone=tone,
        at=one.decided_at or one.due_at,
        comment=one.comment,
        current=one.id == current.id,
        outdated=one.status == "decided" and one.revision < revision,
        provisional=one.undo_until is not None,
        signed=words.signature(wording, one.signature),
    )


def _since(  # noqa: PLR0917
    stored: RequestWithTasks,
    rows: Sequence[Any],
    version: Version,
    principal: Principal,
    names: Names,
    wording: Wording,
) -> tuple[Since, ...]:
    """Return what changed since each earlier decision on another revision, the reader's own first."""
    found: list[Since] = []
    decided = [one for one in stored.tasks if one.status == "decided" and one.revision < stored.request.revision]
    for one in sorted(decided, key=lambda task: task.decided_by != principal.person):
        changes = changes_since(rows, one.revision, version, wording)
        if not changes:
            continue
        if one.decided_by == principal.person:
            title = wording.say("What changed since you decided")
        else:
            title = wording.say("What changed since {person} decided").format(person=names(one.decided_by))
        if all(each.title != title for each in found):
            found.append(Since(title=title, changes=changes))
    if not found and stored.request.revision > 1:
        changes = changes_since(rows, 1, version, wording)
        if changes:
            found.append(Since(title=wording.say("What changed since the request was sent in"), changes=changes))
    return tuple(found)


def _similar(
    connection: Connection, principal: Principal, stored: RequestWithTasks, wording: Wording
) -> tuple[RequestWithTasks, ...]:
    """Return the latest ended requests of the same process and requester that the reader may see."""
    page = requests.page(
        connection,
        limit=_SIMILAR,
        viewer=visibility_of_caller(connection, principal, wording.now),
        template=stored.request.template,
        requester=stored.request.requester,
        status="completed",
        sort="ended",
    )
    return tuple(one for one in page.items if one.request.id != stored.request.id)


def _shown(one: RequestWithTasks, version: Version, names: Names, wording: Wording) -> Similar:
    row = one.request
    return Similar(
        id=row.id,
        title=row.title,
        requester=names(row.requester),
        ended_at=row.ended_at,
        word=words.outcome(wording.say, row.status, row.outcome),
        tone={"approved": "good", "rejected": "bad"}.get(row.outcome or "", "plain"),
        amount=next(iter(facts_named(version.variables, row.input, [version.amount or ""], wording)), None),
    )

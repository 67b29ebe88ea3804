"""Questions to the requester, as pages show them, who may ask, answer and remind, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from placet.definition.assignees import is_person
from placet.engine.conversation import REMIND_AGAIN
from placet.engine.mentions import MOST_MENTIONS, mentioned_in
from service import mentions
from service.principal import Principal
from storage.queries.requests.requests import RequestRow, TaskRow
from storage.queries.requests.timelines import TimelineRow
from web.languages import Wording
from web.views.people import Names, names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLine:
    """One question. `open` says that it waits for the requester; the texts of an erased request are empty."""

    n: int
    by: str
    at: datetime
    text: str
    answer: str | None
    answered_at: datetime | None
    open: bool


def questions_of(request: RequestRow, names: Names) -> tuple[QuestionLine, ...]:
    """Return the questions of a request, oldest first."""
    return tuple(
        QuestionLine(
            n=one["n"],
            by=names(one["asked_by"]),
            at=datetime.fromisoformat(one["asked_at"]),
            text=names.in_text(one["text"] or ""),
            answer=names.in_text(one["answer"]) if one["answer"] else None,
            answered_at=datetime.fromisoformat(one["answered_at"]) if one["answered_at"] else None,
            open=one["answered_at"] is None and request.status == "pending",
        )
        for one in request.questions or ()
    )


def people_asking(request: RequestRow) -> list[str]:
    """Return the ids of the people who asked something, or are mentioned there."""
    said = (one[field] or "" for one in request.questions or () for field in ("text", "answer"))
    return [
        *(one["asked_by"] for one in request.questions or ()),
        *(who for text in said for who in mentioned_in(text)),
    ]


def may_answer(request: RequestRow, principal: Principal) -> bool:
    """Whether the reader may answer the questions that are open."""
    return request.requester == principal.person and request.status == "pending"


def may_ask(request: RequestRow, tasks: Iterable[TaskRow], principal: Principal) -> bool:
    """Whether a page offers the reader to ask; the core asks again, and also lets substitutes."""
    if request.status != "pending" or request.requester == principal.person:
        return False
    mine = any(
        principal.person in {task.assignee, *task.delegates, *task.candidates} or task.queue in principal.queues
        for task in tasks
        if task.status == "open"
    )
    return mine or principal.admin or principal.owns(request.owner)


def refused_reminder(
    request: RequestRow, tasks: Iterable[TaskRow], rows: Iterable[TimelineRow], wording: Wording
) -> str | None:
    """Return in words why the requester cannot remind people now; None where they can. The core asks again."""
    say, tasks = wording.say, list(tasks)
    if request.returned:
        return say("The request is with you for changes, and waits for nobody else.")
    if all(task.status != "open" for task in tasks):
        until = max((task.undo_until for task in tasks if task.undo_until is not None), default=None)
        if until is not None and until > wording.now:
            told = say("A decision may still be undone until {moment}; the request waits for nobody meanwhile.")
            return told.format(moment=wording.moment(until))
        return say("The request waits for nobody's decision now.")
    own = f"user:{request.requester}"
    last = max((row.at for row in rows if row.kind == "reminded" and row.actor == own), default=None)
    if last is not None and wording.now < (again := last + REMIND_AGAIN):
        return say("You have reminded people; you can again from {moment} on.").format(moment=wording.moment(again))
    return None


def untold_in(connection: Connection, query: Mapping[str, str], request_id: str, wording: Wording) -> tuple[str, ...]:
    """Return in words who of those that the address names as mentioned was not told, and why."""
    given = query.get("untold", "")[:2_000].split(",")[:MOST_MENTIONS]
    missed = mentions.untold(connection, request_id, [one for one in given if is_person(one)], wording.now)
    names = names_of(connection, missed)
    say = {
        "unknown": wording.say("Nobody has the id {person}."),
        "unseen": wording.say("{person} was not told, and may not see this request."),
    }
    return tuple(say[why].format(person=names(person)) for person, why in missed.items())

"""Questions to the requester, as pages show them, who may ask, answer and remind, and why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from placet.engine.conversation import REMIND_AGAIN
from service.principal import Principal
from storage.queries.requests.requests import RequestRow, TaskRow, TimelineRow
from web.languages import Wording
from web.views.people import Names


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
            text=one["text"] or "",
            answer=one["answer"],
            answered_at=datetime.fromisoformat(one["answered_at"]) if one["answered_at"] else None,
            open=one["answered_at"] is None and request.status == "pending",
        )
        for one in request.questions or ()
    )


def people_asking(request: RequestRow) -> list[str]:
    """Return the ids of the people who asked something."""
    return [one["asked_by"] for one in request.questions or ()]


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
    say = wording.say
    if request.returned:
        return say("The request is with you for changes, and waits for nobody else.")
    if all(task.status != "open" for task in tasks):
        return say("The request waits for nobody's decision now.")
    own = f"user:{request.requester}"
    last = max((row.at for row in rows if row.kind == "reminded" and row.actor == own), default=None)
    if last is not None and wording.now < (again := last + REMIND_AGAIN):
        return say("You have reminded people; you can again from {moment} on.").format(moment=wording.moment(again))
    return None

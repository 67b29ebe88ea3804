"""The panel of a request that says what it waits for, and why its reader is asked or not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from placet.definition.assignees import parse_assignee
from placet.errors import PlacetError
from service.principal import Principal
from service.waiting.findings import Finding
from service.waiting.waiting import Waiting
from service.waiting.waits import WaitsFor
from service.waiting.why import StageAnswer, answers_of, may_ask_about
from web.languages import Wording
from web.views import words
from web.views.people import Names, names_of
from web.waiting import wording as say

PATIENCE: Final = timedelta(seconds=1.5)
"""How long a page waits for the engine to say how a request stands."""
MOST_ACTS = 4  # of a stage alone: it is due soon, people are reminded, it is overdue, it escalates
MOST_NAMES = 6  # of those who may claim a task


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitLine:
    """One thing that is waited for. `task_id` and `request_id` are where it leads the reader, if anywhere."""

    what: str
    who: str
    since: datetime | None
    until: datetime | None
    sla: str | None
    sla_word: str
    task_id: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActLine:
    """What happens next by itself, and when."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """Why nothing goes on, and what to do; `error` is what went wrong, for those who may see it."""

    stuck: bool
    stage: str | None
    said: str
    advice: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLine:
    """Whether somebody is asked at a stage, and why; `since` is when that was settled."""

    stage: str
    asked: bool
    word: str
    why: str
    more: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPanel:
    """A running sub-process of the request."""

    request_id: str
    title: str
    lines: tuple[WaitLine, ...]
    findings: tuple[FindingLine, ...]
    children: tuple[ChildPanel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What a request waits for. `mine` are the reader's own answers; `may_ask` whether they may ask about others."""

    request_id: str
    live: bool
    stuck: bool
    lines: tuple[WaitLine, ...]
    next: tuple[ActLine, ...]
    findings: tuple[FindingLine, ...]
    children: tuple[ChildPanel, ...]
    mine: tuple[AnswerLine, ...]
    may_ask: bool

    @property
    def asked(self) -> bool:
        """Whether the reader is asked at one of the open stages."""
        return any(one.asked for one in self.mine)


def panel_of(connection: Connection, principal: Principal, found: Waiting, wording: Wording) -> Panel:
    """Make the panel of a request that has not ended."""
    stored = found.stored
    mine = answers_of(connection, stored, principal.person, wording.now)
    names = names_of(connection, {*_people(found), *_named(mine)})
    return Panel(
        request_id=stored.request.id,
        live=found.live,
        stuck=found.stuck,
        lines=_lines(found, principal, names, wording),
        next=_acts(found, names, wording),
        findings=_findings(found, names, wording),
        children=tuple(_child(one, principal, names, wording) for one in found.children),
        mine=answer_lines(mine, names, wording),
        may_ask=may_ask_about(principal, stored.request.owner, ""),
    )


def answer_lines(answers: Sequence[StageAnswer], names: Names, wording: Wording) -> tuple[AnswerLine, ...]:
    """Write the answers for one person."""
    return tuple(
        AnswerLine(
            stage=one.stage,
            asked=one.whether.asked,
            word=wording.say("Is asked") if one.whether.asked else wording.say("Is not asked"),
            why=say.reason(one.whether.why, names, wording),
            more=say.considered_as(one.whether.why, names, wording),
            since=one.whether.at,
        )
        for one in answers
    )


def named_in(answers: Iterable[StageAnswer]) -> set[str]:
    """Return the people whom answers name."""
    return set(_named(answers))


def _named(answers: Iterable[StageAnswer]) -> Iterable[str]:
    for one in answers:
        yield from say.people_in(one.whether.why)


def _people(found: Waiting) -> set[str]:
    people = {person for one in found.waits_for for person in one.people[:MOST_NAMES]}
    people |= {person for one in found.findings for person in one.people[:MOST_NAMES]}
    for one in found.next:
        if one.to is not None:
            people |= _root(one.to)
    return people.union(*map(_people, found.children))


def _root(name: str) -> set[str]:
    try:
        root = parse_assignee(name).root
    except PlacetError:
        return set()
    return {root.name} if root.kind == "user" else set()


def _child(found: Waiting, principal: Principal, names: Names, wording: Wording) -> ChildPanel:
    return ChildPanel(
        request_id=found.stored.request.id,
        title=found.stored.request.title,
        lines=_lines(found, principal, names, wording),
        findings=_findings(found, names, wording),
        children=tuple(_child(one, principal, names, wording) for one in found.children),
    )


def _acts(found: Waiting, names: Names, wording: Wording) -> tuple[ActLine, ...]:
    """List what happens next; what happens to several tasks of a stage at once is one line."""
    lines = dict.fromkeys(ActLine(at=one.at, what=say.act(one, names, wording)) for one in found.next)
    return tuple(lines)[:MOST_ACTS]


def _lines(found: Waiting, principal: Principal, names: Names, wording: Wording) -> tuple[WaitLine, ...]:
    slas = {task.id: "none" if task.due_at is None else task.sla_state for task in found.stored.tasks}
    return tuple(_line(one, slas, principal, names, wording) for one in found.waits_for)


def _line(one: WaitsFor, slas: dict[str, str], principal: Principal, names: Names, wording: Wording) -> WaitLine:
    of_task = one.kind in {"decision", "claim", "assignment"}
    what = one.stage or "" if of_task else say.wait(one, wording)
    sla = slas.get(one.task_id or "") if of_task else None
    return WaitLine(
        what=what,
        who=_who(one, names, wording),
        since=one.since,
        until=one.until,
        sla=sla,
        sla_word=wording.say(words.SLA[sla]) if sla is not None else "",
        task_id=one.task_id if of_task and principal.person in one.people else None,
        request_id=one.request_id,
    )


def _who(one: WaitsFor, names: Names, wording: Wording) -> str:
    if one.kind == "assignment" or (one.kind == "claim" and not one.people):
        return wording.say("nobody yet")
    shown = [names(person) for person in one.people[:MOST_NAMES]]
    if more := len(one.people) - len(shown):
        shown.append(wording.say_number("{number} more", "{number} more", more).format(number=wording.number(more)))
    people = ", ".join(shown)
    return f"{one.queue.partition(':')[2].replace('_', ' ')}: {people}" if one.queue is not None else people


def _findings(found: Waiting, names: Names, wording: Wording) -> tuple[FindingLine, ...]:
    return tuple(_finding(one, found, names, wording) for one in found.findings)


def _finding(one: Finding, found: Waiting, names: Names, wording: Wording) -> FindingLine:
    said, advice = say.finding(one, names, wording)
    return FindingLine(
        stuck=one.level == "stuck",
        stage=one.stage,
        said=said,
        advice=advice,
        error=one.error if found.with_private else None,
    )

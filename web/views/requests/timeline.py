"""The timeline of a request: its entries as sentences, its conversation, and what each revision changed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from placet.audit.reasons import Reason
from placet.audit.reasons import words as words_of
from placet.engine.content import FieldChange, Revision, changes_as_json, changes_between, difference
from storage.queries.requests.timelines import TimelineRow
from web.graph.process_graph import graph_of
from web.languages import Wording
from web.views import words
from web.views.computed import writings
from web.views.people import Names
from web.views.values import ChangedFact, changes_of
from web.views.versions import Version

MOST_ENTRIES = 100
"""Entries of one request on a page."""
MOST_SAID = 50
"""What people wrote in one request, on a page."""
_SAID = {
    "approver_added",
    "commented",
    "question_asked",
    "question_answered",
    "changes_requested",
    "resubmitted",
    "decided",
    "withdrawn",
}
_DECISIONS = {"decided", "changes_requested"}
_TONES = {
    "completed": "end",
    "withdrawn": "end",
    "cancelled": "end",
    "failed": "bad",
    "sla_breached": "bad",
    "sla_critical": "bad",
    "notification_failed": "bad",
    "signal_refused": "bad",
    "claim_refused": "bad",
    "claim_expired": "warn",
    "sla_warning": "warn",
    "escalated": "warn",
    "changes_requested": "warn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry, as it is shown. `said` is what the person wrote; `secondary` entries can be folded away."""

    number: int
    at: datetime
    kind: str
    tone: str
    actor: str | None
    sentence: str
    said: str | None
    changes: tuple[ChangedFact, ...]
    secondary: bool
    system: bool
    signed: str | None = None  # the signature of a decision, in words
    new: bool = False  # since the reader last looked
    receipt: str | None = None  # the address of the receipt, of a decision that stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """The numbers of the last entries that a page shows; None shows the latest."""

    entries: int | None = None
    said: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some lines of many, oldest first: how many come before and after, and the last numbers of those pages."""

    lines: tuple[Line, ...]
    earlier: int
    before: int
    later: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The course of a request as a page shows it: a part of its entries, and of what people wrote."""

    entries: Part
    said: Part


def people_in(rows: Iterable[TimelineRow]) -> set[str]:
    """Return the ids of the people whom a timeline names."""
    found: set[str] = set()
    for row in rows:
        found.add(row.actor)
        for key in ("assignee", "before", "after", "to", "candidates", "on_behalf_of", "mentioned", "principal"):
            found |= _people(row.detail.get(key))
    return {one.removeprefix("user:") for one in found if one.startswith("user:")}


def lines_of(rows: Sequence[TimelineRow], version: Version, names: Names, wording: Wording) -> tuple[Line, ...]:
    """Return the lines of a timeline, oldest first."""
    return lines_at(range(1, len(rows) + 1), rows, version, names, wording)


def lines_at(
    numbers: Iterable[int], rows: Sequence[TimelineRow], version: Version, names: Names, wording: Wording
) -> tuple[Line, ...]:
    """Return some lines of a timeline, by their numbers, which count from one."""
    standing = _standing(rows)
    titles = _titles(version, names, wording)
    found = ((rows[number - 1], _line(number, rows[number - 1], version, names, titles, wording)) for number in numbers)
    return tuple(
        replace(line, receipt=f"/tasks/{row.task_id}/receipt") if id(row) in standing else line for row, line in found
    )


def _standing(rows: Sequence[TimelineRow]) -> set[int]:
    """Return which rows are decisions that stand, by identity: one that can be undone does so only later."""
    last: dict[str | None, TimelineRow] = {}
    standing: set[int] = set()
    for row in rows:
        if row.kind in _DECISIONS:
            last[row.task_id] = row
        if row.kind == "decision_stands" or (row.kind in _DECISIONS and row.detail.get("undo_until") is None):
            standing |= {id(last[row.task_id])} if row.task_id in last else set()
    return standing


def course_of(
    rows: Sequence[TimelineRow],
    version: Version,
    names: Names,
    wording: Wording,
    *,
    new: Set[int],
    until: Until | None = None,
) -> Course:
    """Return a page of the entries of a request, and one of what people wrote; the latest where `until` says nothing.

    `new` are the numbers of those entries that happened since the reader last looked.
    """
    until = until or Until()
    written = [
        number for number, row in enumerate(rows, 1) if row.kind in _SAID and _said(row.detail, wording) is not None
    ]

    def part(numbers: Sequence[int], last: int | None, most: int) -> Part:
        end = len(numbers) if last is None else max(min(most, len(numbers)), bisect_right(numbers, last))
        start = max(0, end - most)
        lines = lines_at(numbers[start:end], rows, version, names, wording)
        return Part(
            lines=tuple(replace(line, new=line.number in new) for line in lines),
            earlier=start,
            before=numbers[start - 1] if start else 0,
            later=len(numbers) - end,
            after=numbers[min(len(numbers), end + most) - 1] if end < len(numbers) else 0,
        )

    return Course(
        entries=part(range(1, len(rows) + 1), until.entries, MOST_ENTRIES), said=part(written, until.said, MOST_SAID)
    )


def changes_since(
    rows: Sequence[TimelineRow], revision: int, version: Version, wording: Wording
) -> tuple[ChangedFact, ...]:
    """Return what changed between a revision and now, field by field; what nodes have set anew since is part of it."""
    revised: list[Revision] = []
    written = {row.seq: changes_between(before, after) for row, before, after in writings(rows)}
    for row in rows:
        number, changes = row.detail.get("revision"), row.detail.get("changes")
        if isinstance(number, int) and isinstance(changes, list):
            fields = (
                FieldChange(field=str(one.get("field")), before=one.get("before"), after=one.get("after"))
                for one in changes
                if isinstance(one, Mapping)
            )
            revised.append(Revision(revision=number, changes=tuple(fields)))
        elif revised and not row.delivery and row.seq in written:
            revised.append(Revision(revision=revised[-1].revision, changes=written[row.seq]))
    return changes_of(version.variables, changes_as_json(difference(revised, revision)), wording)


def _titles(version: Version, names: Names, wording: Wording) -> dict[str, str]:
    """Return what the drawing of a process calls its nodes, by their ids."""
    if version.definition is None:
        return {}
    return {node.id: node.title for node in graph_of(version.definition, wording.say, names).nodes}


def _line(  # noqa: PLR0917
    number: int, row: TimelineRow, version: Version, names: Names, titles: Mapping[str, str], wording: Wording
) -> Line:
    system = not row.actor.startswith("user:")
    detail, of_task = row.detail, row.task_id is not None
    changes = detail.get("changes")
    return Line(
        number=number,
        at=row.at,
        kind=row.kind,
        tone=_TONES.get(row.kind, _tone_of(detail)),
        actor=None if system else names(row.actor),
        sentence=words.entry(wording.say, row.kind, _facts(row, names, titles, wording), of_task=of_task),
        said=names.in_text(said) if (said := _said(detail, wording)) else None,
        changes=changes_of(version.variables, changes, wording) if isinstance(changes, list) else (),
        secondary=words.is_secondary(row.kind),
        system=system,
        signed=words.signature(wording, detail.get("signature")),
    )


def _tone_of(detail: Mapping[str, Any]) -> str:
    return {"approve": "good", "reject": "bad", "request_changes": "warn"}.get(str(detail.get("decision")), "plain")


def _said(detail: Mapping[str, Any], wording: Wording) -> str | None:
    """Return what the person wrote, or why it happened in the reader's language."""
    code, parameters = detail.get("code"), detail.get("parameters")
    if isinstance(code, str) and isinstance(parameters, Mapping):
        return wording.tell(words_of(Reason(code, parameters)))
    why = detail.get("why")
    return why if isinstance(why, str) and why.strip() else None


def _facts(row: TimelineRow, names: Names, titles: Mapping[str, str], wording: Wording) -> dict[str, Any]:
    detail, say = row.detail, wording.say
    who = _people(detail.get("assignee")) or _people(detail.get("candidates"))
    decision = words.DECIDED.get(str(detail.get("decision")))
    outcome = detail.get("outcome") or detail.get("after")
    return {
        "actor": words.actor(say, row.actor, names, detail.get("actor_type"), detail.get("principal")),
        "stage": row.stage or "",
        "who": _joined(who, names, wording) or say("nobody yet"),
        "to": _joined(_people(detail.get("to")) or _people(detail.get("after")), names, wording)
        or titles.get(_plain(detail, "to"), _plain(detail, "to")),
        "before": _joined(_people(detail.get("before")), names, wording) or say("nobody"),
        "after": _joined(_people(detail.get("after")), names, wording) or say("nobody"),
        "decision": say(decision) if decision else _plain(detail, "decision"),
        "result": words.result(say, str(detail.get("result") or "")),
        "outcome": words.outcome(say, "completed", outcome if isinstance(outcome, str) else None),
        "action": _plain(detail, "action"),
        "name": _plain(detail, "name"),
        "node": titles.get(_plain(detail, "node"), _plain(detail, "node")),
        "event": _plain(detail, "event"),
    }


def _plain(detail: Mapping[str, Any], key: str) -> str:
    value = detail.get(key)
    return value if isinstance(value, str) else ""


def _people(value: Any) -> set[str]:
    """Return the people in a value of an entry, as `user:id`: a name, a list, or the members of an object."""
    if isinstance(value, str):
        return {value} if value.startswith("user:") else set()
    if isinstance(value, Mapping):
        return {one for inner in value.values() for one in _people(inner)}
    if isinstance(value, list):
        return {one for inner in value for one in _people(inner)}
    return set()


def _joined(people: Iterable[str], names: Names, wording: Wording) -> str:
    listed = sorted(names(person) for person in people)
    most = 3
    if len(listed) > most:
        more = len(listed) - most
        return wording.say_number("{names} and {more} more", "{names} and {more} more", more).format(
            names=", ".join(listed[:most]), more=more
        )
    return ", ".join(listed)

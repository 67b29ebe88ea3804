"""The timeline of a request: its entries as sentences, its conversation, and what each revision changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from placet.audit.reasons import Reason
from placet.audit.reasons import words as words_of
from placet.engine.content import FieldChange, Revision, changes_as_json, difference
from storage.queries.requests.requests import TimelineRow
from web.languages import Wording
from web.views import words
from web.views.people import Names
from web.views.values import ChangedFact, changes_of
from web.views.versions import Version

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


def people_in(rows: Iterable[TimelineRow]) -> set[str]:
    """Return the ids of the people whom a timeline names."""
    found: set[str] = set()
    for row in rows:
        found.add(row.actor)
        for key in ("assignee", "before", "after", "to", "candidates", "on_behalf_of", "mentioned"):
            found |= _people(row.detail.get(key))
    return {one.removeprefix("user:") for one in found if one.startswith("user:")}


def lines_of(rows: Sequence[TimelineRow], version: Version, names: Names, wording: Wording) -> tuple[Line, ...]:
    """Return the lines of a timeline, oldest first."""
    standing = _standing(rows)
    lines = (_line(number, row, version, names, wording) for number, row in enumerate(rows, 1))
    return tuple(
        replace(line, receipt=f"/tasks/{row.task_id}/receipt") if id(row) in standing else line
        for line, row in zip(lines, rows, strict=True)
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


def conversation(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return what people wrote, oldest first."""
    return tuple(line for line in lines if line.said and line.kind in _SAID)


def changes_since(
    rows: Sequence[TimelineRow], revision: int, version: Version, wording: Wording
) -> tuple[ChangedFact, ...]:
    """Return what changed between a revision and now, field by field."""
    revised = [
        Revision(
            revision=number,
            changes=tuple(
                FieldChange(field=str(one.get("field")), before=one.get("before"), after=one.get("after"))
                for one in changes
                if isinstance(one, Mapping)
            ),
        )
        for row in rows
        if isinstance(number := row.detail.get("revision"), int)
        and isinstance(changes := row.detail.get("changes"), list)
    ]
    return changes_of(version.variables, changes_as_json(difference(revised, revision)), wording)


def _line(number: int, row: TimelineRow, version: Version, names: Names, wording: Wording) -> Line:
    system = not row.actor.startswith("user:")
    detail = row.detail
    changes = detail.get("changes")
    return Line(
        number=number,
        at=row.at,
        kind=row.kind,
        tone=_TONES.get(row.kind, _tone_of(detail)),
        actor=None if system else names(row.actor),
        sentence=words.entry(wording.say, row.kind, _facts(row, names, wording)),
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


def _facts(row: TimelineRow, names: Names, wording: Wording) -> dict[str, Any]:
    detail, say = row.detail, wording.say
    who = _people(detail.get("assignee")) or _people(detail.get("candidates"))
    decision = words.DECIDED.get(str(detail.get("decision")))
    outcome = detail.get("outcome") or detail.get("after")
    return {
        "actor": words.actor(say, row.actor, names, detail.get("actor_type")),
        "stage": row.stage or "",
        "who": _joined(who, names, wording) or say("nobody yet"),
        "to": _joined(_people(detail.get("to")) or _people(detail.get("after")), names, wording)
        or _plain(detail, "to"),
        "before": _joined(_people(detail.get("before")), names, wording) or say("nobody"),
        "after": _joined(_people(detail.get("after")), names, wording) or say("nobody"),
        "decision": say(decision) if decision else _plain(detail, "decision"),
        "result": words.result(say, str(detail.get("result") or "")),
        "outcome": words.outcome(say, "completed", outcome if isinstance(outcome, str) else None),
        "action": _plain(detail, "action"),
        "name": _plain(detail, "name"),
        "node": _plain(detail, "node"),
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

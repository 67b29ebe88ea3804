"""Asking: why somebody is asked at an open stage, or is not, read from the entries that say how its people were chosen.

Whoever reads gives what only the present can tell: who has the stage's tasks, and for whom somebody stands in now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from placet.audit.reasons import Reason, because, read_reason

KINDS = frozenset({
    "approver_added", "approver_missing", "changes_requested", "claimed", "decided", "decision_undone", "delegated",
    "escalated", "escalation_ended", "escalation_skipped", "reassigned", "released", "stage_settled", "task_opened",
})  # fmt: skip
"""The kinds of entries that say who is asked."""


class Choosing(Protocol):
    """What is read of an entry."""

    @property
    def seq(self) -> int: ...
    @property
    def at(self) -> datetime: ...
    @property
    def kind(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def stage(self) -> str | None: ...
    @property
    def task_id(self) -> str | None: ...
    @property
    def detail(self) -> dict[str, Any]: ...


class Asked(Protocol):
    """What is read of a task of the stage, as it is now."""

    @property
    def id(self) -> str: ...
    @property
    def assignee(self) -> str | None: ...
    @property
    def candidates(self) -> Sequence[str]: ...
    @property
    def delegates(self) -> Sequence[str]: ...
    @property
    def assigned_via(self) -> str: ...
    @property
    def queue(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Whether:
    """Whether a person is asked, and why; the words of `why` follow their name.

    `seq` and `at` are of the entry that says so; None where it follows from how things are now, or from no entry.
    """

    asked: bool
    why: Reason
    task_id: str | None = None
    seq: int | None = None
    at: datetime | None = None


def visit_of(stage: str, entries: Iterable[Choosing]) -> list[Choosing]:
    """Return the entries of a stage's present visit: since it was entered, or opened again as the next round."""
    visit: list[Choosing] = []
    number: object = None  # of the round
    for entry in entries:
        if entry.stage != stage:
            continue
        if entry.kind == "task_opened" and entry.detail.get("round") != number:
            number = entry.detail.get("round")
            visit = _trailing_missing(visit)
        visit.append(entry)
        if entry.kind == "stage_settled":
            visit, number = [], None
    return visit


def why_asked(
    person: str,
    tasks: Sequence[Asked],
    visit: Sequence[Choosing],
    *,
    requester: str,
    stands_in_for: Mapping[str, str],
    later: bool,
) -> Whether:
    """Return whether a person is asked at an open stage, and why.

    `tasks` are the stage's open ones, `stands_in_for` has the person for whom they stand in by task, and `later` says
    that their seat opens once those before it have decided.
    """
    for task in tasks:
        if (found := _asked(person, task, visit, stands_in_for.get(task.id))) is not None:
            return found
    if person == requester:
        return Whether(asked=False, why=because("own_request"))
    return (
        _decided(person, visit)
        or _lost(person, visit)
        or (Whether(asked=False, why=because("comes_later")) if later else None)
        or _passed_over(person, visit)
    )


def choices_in(visit: Iterable[Choosing]) -> list[dict[str, Any]]:
    """Return what the entries of a visit say of choices, the latest last."""
    return [choice for entry in visit if isinstance(choice := entry.detail.get("choice"), dict)]


def name_of(detail: Mapping[str, Any]) -> str | None:
    """Return the name by which the person of a task was chosen, from the detail of the entry that opened it."""
    if isinstance(name := detail.get("chosen_by"), str):
        return name
    via = detail.get("assigned_via")
    if via == "approver":
        return _text(detail.get("assignee"))
    return via if isinstance(via, str) and not via.startswith(("substitution:", "added:")) else None


def _asked(person: str, task: Asked, visit: Sequence[Choosing], absent: str | None) -> Whether | None:
    """Return why a person can decide or claim a task now; None where they cannot."""
    how, _, whose = task.assigned_via.partition(":")
    if person in {task.assignee, *task.delegates}:
        given = next((e for e in reversed(visit) if e.task_id == task.id and _gives(e, person)), None)
        why = (
            _why_given(given, person, visit) if given is not None else because("asked_by_name", name=task.assigned_via)
        )
        return _by(given, asked=True, why=why, task_id=task.id)
    if how == "substitution" and whose == person:
        opened = _opening(task.id, visit)
        why = because("still_decides", substitute=f"user:{task.assignee}")
        return _by(opened, asked=True, why=why, task_id=task.id)
    if task.assignee is None and person in task.candidates:
        why = because("may_claim", queue=task.queue or task.assigned_via)
        return _by(_opening(task.id, visit), asked=True, why=why, task_id=task.id)
    if absent is not None:
        return Whether(asked=True, why=because("stands_in", person=f"user:{absent}"), task_id=task.id)
    return None


def _gives(entry: Choosing, person: str) -> bool:
    """Say whether an entry gives its task to a person, or lets them decide it as well."""
    me, after = f"user:{person}", entry.detail.get("after")
    if entry.kind == "task_opened":
        return bool(entry.detail.get("assignee") == me)
    if entry.kind == "claimed":
        return entry.actor == me
    if not isinstance(after, dict):
        return False
    if entry.kind == "escalated":
        return entry.detail.get("action") != "notify" and me in _list(after.get("to"))
    return entry.kind in {"reassigned", "delegated"} and (
        after.get("assignee") == me or me in _list(after.get("delegates"))
    )


def _why_given(entry: Choosing, person: str, visit: Sequence[Choosing]) -> Reason:
    detail = entry.detail
    before = detail["before"] if isinstance(detail.get("before"), dict) else {}
    name = _text(detail.get("chosen_by"))
    match entry.kind:
        case "task_opened":
            return _why_opened(detail, visit)
        case "escalated" if detail.get("action") == "add":
            return because("added_by_escalation", name=name or f"user:{person}")
        case "escalated":
            return because("asked_by_escalation", name=name or f"user:{person}", before=before.get("assignee"))
        case "claimed":
            return because("took_it")
        case "delegated":
            return because("delegated_by", by=entry.actor)
        case _ if entry.actor == "system":
            cause = read_reason(detail.get("why"))
            if name is None:  # back to whom it belongs to, with the end of an absence
                return because("has_it_back", **({"cause": cause} if cause else {}))
            return because("asked_after", name=name, **({"cause": cause} if cause else {}))
        case _:
            return because("reassigned_by", by=entry.actor)


def _why_opened(detail: Mapping[str, Any], visit: Sequence[Choosing]) -> Reason:
    how, _, whose = str(detail.get("assigned_via")).partition(":")
    name = name_of(detail)
    if how == "substitution":
        return because("asked_for_absent", person=f"user:{whose}", **({"name": name} if name else {}))
    if how == "added":
        return because("added_by", by=f"user:{whose}")
    if how in {"escalation", "owner", "succession"}:
        missing = next((e for e in reversed(visit) if e.kind == "approver_missing" and e.task_id is None), None)
        cause = read_reason(missing.detail.get("why")) if missing is not None else None
        return because("replaces", name=name or how, **({"cause": cause} if cause else {}))
    return because("asked_by_name", name=name or how)


def _decided(person: str, visit: Sequence[Choosing]) -> Whether | None:
    found: Choosing | None = None
    for entry in visit:
        if entry.actor == f"user:{person}" and entry.kind in {"decided", "changes_requested"}:
            found = entry
        elif found is not None and entry.kind == "decision_undone" and entry.task_id == found.task_id:
            found = None
    if found is None:
        return None
    decision = found.detail.get("decision") or "request_changes"
    return _by(found, asked=False, why=because("has_decided", decision=decision), task_id=found.task_id)


def _lost(person: str, visit: Sequence[Choosing]) -> Whether | None:
    """Return how a person who had a task of the stage lost it; None where they had none."""
    me = f"user:{person}"
    for entry in reversed(visit):
        before, after = entry.detail.get("before"), entry.detail.get("after")
        if not isinstance(before, dict) or before.get("assignee") != me:
            continue
        to = after.get("assignee") if isinstance(after, dict) else None
        if entry.kind in {"escalated", "reassigned", "delegated", "released", "approver_missing"}:
            if entry.kind == "escalated" and to == me:
                continue  # another person may decide as well
            code = "task_escalated" if entry.kind == "escalated" else "task_given_away"
            parameters = {"to": to, "by": entry.actor} if code == "task_given_away" else {"to": to}
            return _by(entry, asked=False, why=because(code, **parameters), task_id=entry.task_id)
    claimed = next((e for e in reversed(visit) if e.kind == "claimed"), None)
    if claimed is not None:
        opened = _opening(claimed.task_id, visit)
        if opened is not None and me in _list(opened.detail.get("candidates")):
            return _by(claimed, asked=False, why=because("claimed_by", by=claimed.actor), task_id=claimed.task_id)
    return None


def _passed_over(person: str, visit: Sequence[Choosing]) -> Whether:
    """Return why a person was passed over, as far as that is on record."""
    unlisted = listed = 0
    recorded = False
    for entry in reversed(visit):
        choice = entry.detail.get("choice")
        if not isinstance(choice, dict):
            continue
        recorded = True
        passed = [one for one in _list(choice.get("passed_over")) if isinstance(one, dict)]
        for one in passed:
            if one.get("person") == f"user:{person}" and (why := read_reason(one.get("why"))) is not None:
                return _by(entry, asked=False, why=Reason(why.code, {**why.parameters, "name": one.get("name")}))
        listed += len(passed)
        others = choice.get("unlisted")
        unlisted += sum(n for n in others.values() if isinstance(n, int)) if isinstance(others, dict) else 0
    if not recorded:
        return Whether(asked=False, why=because("not_on_record"))
    if unlisted:
        return Whether(asked=False, why=because("not_listed", listed=listed, unlisted=unlisted))
    return Whether(asked=False, why=because("not_named"))


def _trailing_missing(visit: list[Choosing]) -> list[Choosing]:
    """Return what was recorded of missing approvers just before the first task of a round opened."""
    first = len(visit)
    while first and visit[first - 1].kind == "approver_missing" and visit[first - 1].task_id is None:
        first -= 1
    return visit[first:]


def _opening(task_id: str | None, visit: Sequence[Choosing]) -> Choosing | None:
    return next((e for e in visit if e.kind == "task_opened" and e.task_id == task_id), None)


def _by(entry: Choosing | None, *, asked: bool, why: Reason, task_id: str | None = None) -> Whether:
    if entry is None:
        return Whether(asked=asked, why=why, task_id=task_id)
    return Whether(asked=asked, why=why, task_id=task_id, seq=entry.seq, at=entry.at)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

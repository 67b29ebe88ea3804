"""Find what of the projection of a request contradicts its entries; the rows are as raw text, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from placet.audit.chain import Entry
from placet.audit.sealed import erased
from placet.audit.told import ENDINGS, UNDECIDED, Fact, Facts, same, told_by
from placet.definition.assignees import parse_assignee, person_id
from placet.definition.model import parse_definition
from placet.engine.bound_action import digest_of
from placet.errors import BlueprintInvalid
from placet.plan.compiler import digest

REQUEST_FIELDS: Final = (
    *("seq", "head", "status", "outcome", "requester", "title", "version", "template_id", "template", "owner"),
    *("input", "stage", "round", "revision", "content_digest", "started_at", "ended_at", "started_by", "questions"),
    *("action", "action_digest", "claim_status", "claimed_by", "claimed_at"),
)
TASK_FIELDS: Final = (
    *("id", "stage", "round", "assignee", "status", "opened_at", "revision", "content_digest"),
    *UNDECIDED,
)

Row = Mapping[str, str | None]
Difference = tuple[int, str]
"""The number of the entry that a column contradicts, and what the column is of."""


def differences(
    entries: Sequence[Entry], request: Row, tasks: Sequence[Row], blueprint: str | None
) -> list[Difference]:
    """Return what differs between a valid chain and the rows of a request, its tasks and its version's blueprint."""
    told, last = told_by(entries), entries[-1]
    facts = {
        "head": Fact(last.seq, last.hash),
        **_ending(entries),
        **_claim(entries, request),
        **_owner(told.request, blueprint),
        **told.request,
    }
    by = facts.pop("started_by", None)
    wrong = _compared("request", {name: facts[name] for name in REQUEST_FIELDS if name in facts}, request)
    if by is not None and (request["started_by"] or request["requester"]) != by.value:
        wrong.append((by.seq, "request.started_by"))
    wrong += _action(entries, told.request, request)
    for task in tasks:
        name = f"tasks.{task['id']}"
        of = told.tasks.get(task["id"] or "")
        wrong += [(last.seq, name)] if of is None else _compared(name, of, task)
    there = {task["id"] for task in tasks}
    return wrong + [(of["stage"].seq, f"tasks.{t}") for t, of in told.tasks.items() if t not in there]


def _compared(of: str, facts: Facts, row: Row) -> list[Difference]:
    return [(fact.seq, f"{of}.{name}") for name, fact in facts.items() if not _is(name, row[name], fact.value)]


def _is(name: str, stored: str | None, told: Any) -> bool:
    return _READ.get(name, _is_text)(stored, told)


def _is_text(stored: str | None, told: Any) -> bool:
    return bool(stored == told)


def _is_number(stored: str | None, told: Any) -> bool:
    return stored == str(told)


def _is_moment(stored: str | None, told: Any) -> bool:
    if stored is None or told is None:
        return stored is told
    try:
        at = datetime.fromisoformat(stored)
    except ValueError:
        return False
    return bool((at.replace(tzinfo=UTC) if at.tzinfo is None else at) == told)


def _is_json(stored: str | None, told: Any) -> bool:
    try:
        return same(None if stored is None else json.loads(stored), told)
    except (ValueError, RecursionError):
        return False


def _are_questions(stored: str | None, told: list[dict[str, Any]]) -> bool:
    """Say whether questions are as they are told: a text that was erased is not, and nothing else is there."""
    try:
        found = json.loads(stored or "null") or []
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(found, list)
        and len(found) == len(told)
        and all(
            isinstance(one, dict) and all(erased(value) or same(one.get(name), value) for name, value in asked.items())
            for one, asked in zip(found, told, strict=True)
        )
    )


_READ: Final[Mapping[str, Callable[[str | None, Any], bool]]] = {
    **dict.fromkeys(("round", "revision"), _is_number),
    **dict.fromkeys(("started_at", "ended_at", "opened_at", "decided_at", "claimed_at"), _is_moment),
    **dict.fromkeys(("input", "form", "signature"), _is_json),
    "questions": _are_questions,
}


def _ending(entries: Sequence[Entry]) -> Facts:
    ending = next((e for e in reversed(entries) if e.kind in ENDINGS and e.task_id is None), None)
    if ending is None:
        return {"status": Fact(entries[-1].seq, "pending"), "outcome": Fact(entries[-1].seq, None)}
    return {
        "status": Fact(ending.seq, ENDINGS[ending.kind]),
        "outcome": Fact(ending.seq, ending.detail.get("outcome")),
    }


def _owner(told: Facts, blueprint: str | None) -> Facts:
    """Return the owner whom the blueprint names, where it is the one that the entries name by its digest."""
    followed, found = told.get("definition"), _owned(blueprint) if blueprint is not None else None
    if found is None or followed is None or found[0] != followed.value:
        return {}
    return {"owner": Fact(followed.seq, found[1])}


@lru_cache(maxsize=32)
def _owned(blueprint: str) -> tuple[str, str | None] | None:
    """Return the digest of a stored blueprint, and its owner; None where it cannot be read."""
    try:
        definition = parse_definition(json.loads(blueprint))
        owner = person_id(str(parse_assignee(definition.owner))) if definition.owner else None
    except (ValueError, RecursionError, BlueprintInvalid):
        return None
    return digest(definition), owner


def _claim(entries: Sequence[Entry], request: Row) -> Facts:
    """Return whether the action was claimed, and by whom."""
    claimed = _claimed(entries)
    over = next((e for e in reversed(entries) if e.kind == "claim_expired"), None)
    at = (claimed or over or entries[-1]).seq
    facts = {"claimed_by": Fact(at, claimed.actor.removeprefix("user:") if claimed is not None else None)}
    if claimed is not None or over is not None:
        facts["claim_status"] = Fact(at, "claimed" if claimed is not None else "expired")
    elif request["claim_status"] not in {None, "open"}:
        facts["claim_status"] = Fact(at, "open")
    return facts


def _action(entries: Sequence[Entry], told: Facts, request: Row) -> list[Difference]:
    """Hold the action to the digest that was asked for, and the digest to the one that was claimed."""
    wrong: list[Difference] = []
    asked, claimed = told.get("action_digest"), _claimed(entries)
    if asked is not None and _digest(request["action"]) != asked.value:
        wrong.append((asked.seq, "request.action"))
    if claimed is not None and request["action_digest"]:
        digest = claimed.detail.get("action_digest")
        if not erased(digest) and digest != request["action_digest"]:
            wrong.append((claimed.seq, "request.claim"))
    return wrong


def _claimed(entries: Sequence[Entry]) -> Entry | None:
    return next((e for e in reversed(entries) if e.kind == "claimed" and e.task_id is None), None)


def _digest(action: str | None) -> str | None:
    """Return the digest of an action as it is stored; None where there is none, "" where it is none."""
    if action is None:
        return None
    try:
        return digest_of(json.loads(action))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return ""

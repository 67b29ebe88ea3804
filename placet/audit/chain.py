"""The audit chain: the canonical form of what happened, and the hash that ties each entry to the one before.

`hash = sha256(previous hash + RFC 8785 canonical JSON of the entry)`, both as bytes of text. The first entry follows
the genesis hash of its request, so that no entry can be moved between requests. Content is hashed as a commitment that
survives its erasure (placet.audit.sealed), and why something happened as a code (placet.audit.reasons).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import rfc8785

from placet.audit.sealed import committed
from placet.frozen import quick

_EXACT = 2**53  # RFC 8785 writes numbers as doubles, which hold whole numbers exactly below this
# Every kind of entry that the core writes; docs/audit.md says when.
KINDS = frozenset({
    "action_failed", "action_ignored", "action_kept", "action_run", "action_started", "approver_added",
    "approver_missing", "attached",
    "branch_ended", "cancelled", "changes_requested", "child_ended", "child_failed", "child_kept", "child_started",
    "claim_expired", "claim_refused", "claimed", "commented", "completed", "decided", "decision_stands",
    "decision_undone", "delegated", "escalated", "escalation_ended", "escalation_skipped", "event_received", "extended",
    "failed", "forked", "informed", "joined", "migrated", "question_answered", "question_asked", "reassigned",
    "released", "reminded", "resubmitted", "routed",
    "signal_refused", "sla_breached", "sla_critical", "sla_warning", "stage_settled", "started", "taken_back",
    "task_closed", "task_opened", "waited", "waiting", "withdrawn",
})  # fmt: skip
_SORTED = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


@quick
@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened: who, what, when, why, before and after (in `detail`), and the chain's hash.

    `actor` is `user:<id>` or `system`; `detail` holds JSON values without floats (amounts are strings). `salts` has, by
    the place in `detail` (a JSON Pointer), the salt of each sealed value that has not been erased.
    """

    seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    hash: str
    salts: dict[str, str] = field(default_factory=dict)


def genesis(request_id: str) -> str:
    """Return the hash that the first entry of a request follows."""
    return hashlib.sha256(f"placet:{request_id}".encode()).hexdigest()


@lru_cache(maxsize=1024)
def moment(at: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds: the one form that is hashed."""
    text = (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")
    return text[:-6] + "Z"


def exact(value: Any) -> Any:
    """Return the value with whole numbers beyond 2^53 written as text, which RFC 8785 has no numbers for."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -_EXACT < value < _EXACT else str(value)
    if isinstance(value, dict):
        return {k: exact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [exact(v) for v in value]
    return value


def canonical_json(value: Any) -> bytes:
    """Write JSON values that hold no floats in their RFC 8785 form; raises ValueError or TypeError for other values.

    Python's own encoder gives the same bytes, ten times as fast, as long as no character lies beyond U+FFFF: from there
    on the standard sorts keys by UTF-16 code units and Python by code points.
    """
    text = _SORTED.encode(value)
    if text.isascii() or max(text) < "\U00010000":
        return text.encode()
    return rfc8785.dumps(value)


def link(
    previous: str,
    *,
    seq: int,
    at: datetime,
    kind: str,
    actor: str,
    stage: str | None,
    task_id: str | None,
    detail: dict[str, Any],
    salts: Mapping[str, str] | None = None,
) -> Entry:
    """Make the entry that follows the entry with hash `previous`; a value with a salt is hashed as a commitment."""
    body = canonical_json(
        {
            "actor": actor,
            "at": moment(at),
            "detail": committed(detail, salts, canonical_json) if salts else detail,
            "kind": kind,
            "seq": seq,
            "stage": stage,
            "task_id": task_id,
        }
    )
    digest = hashlib.sha256(previous.encode() + body).hexdigest()
    return Entry(
        seq=seq,
        at=at,
        kind=kind,
        actor=actor,
        stage=stage,
        task_id=task_id,
        detail=detail,
        hash=digest,
        salts=dict(salts or {}),
    )


def first_bad(previous: str, entries: Iterable[Entry | None], *, after: int = 0) -> int | None:
    """Return the sequence number of the first entry that breaks the chain, or None where the whole chain holds.

    `previous` is what the first of them follows: the genesis of a chain, or the hash of its entry number `after`. None
    stands for a row that could not be read.
    """
    for expected, entry in enumerate(entries, after + 1):
        if entry is None or entry.seq != expected:
            return expected
        try:
            again = link(
                previous,
                seq=expected,
                at=entry.at,
                kind=entry.kind,
                actor=entry.actor,
                stage=entry.stage,
                task_id=entry.task_id,
                detail=entry.detail,
                salts=entry.salts,
            )
        # a row that was edited into nonsense
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError):
            return expected
        if again.hash != entry.hash:
            return expected
        previous = entry.hash
    return None


class _Decided(Protocol):
    """What is asked of an entry of a timeline here: an audit entry, or its stored row."""

    @property
    def kind(self) -> str: ...
    @property
    def task_id(self) -> str | None: ...
    @property
    def detail(self) -> dict[str, Any]: ...


E = TypeVar("E", bound=_Decided)


def standing_decisions(entries: Iterable[E]) -> dict[str, E]:
    """Return the decision of each task by its id: not those that were undone, or that came too late to stand."""
    found: dict[str, E] = {}
    for entry in entries:
        if entry.task_id is None:
            continue
        if entry.kind in {"decided", "changes_requested"}:
            found[entry.task_id] = entry
        elif voids_decision(entry.kind, entry.detail):
            found.pop(entry.task_id, None)
    return found


def voids_decision(kind: str, detail: Mapping[str, Any]) -> bool:
    """Say whether an entry voids the decision of its task: it was undone, or the task was closed before it stood."""
    return kind == "decision_undone" or (kind == "task_closed" and detail.get("before") == "decided")


def digest_of_content(  # noqa: PLR0917 - the parts of the content, in their order
    template: Any,
    version: Any,
    title: Any,
    given: Any,
    attached: Sequence[str] = (),
    action: Mapping[str, Any] | None = None,
) -> str:
    """Return the SHA-256 (hex) of a request's content, given its parts as JSON values and its attachments' hashes.

    Only the action may hold floats (placet.engine.bound_action).
    """
    content: dict[str, Any] = {
        "template": template,
        "version": version,
        "title": title,
        "input": given,
        "attachments": list(attached),
        "action": action,
    }
    if action is not None:
        return hashlib.sha256(rfc8785.dumps(exact(content))).hexdigest()
    return hashlib.sha256(canonical_json(exact(content))).hexdigest()

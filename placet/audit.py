"""The audit chain: the canonical form of what happened, and the hash that ties each entry to the one before.

`hash = sha256(previous hash + RFC 8785 canonical JSON of the entry)`, both as bytes of text. The first entry follows
the genesis hash of its request, so that no entry can be moved between requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened: who, what, when, why, before and after (in `detail`), and the chain's hash.

    `actor` is `user:<id>` or `system`; `detail` holds JSON values without floats (amounts are strings).
    """

    seq: int
    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]
    hash: str


def genesis(request_id: str) -> str:
    """Return the hash that the first entry of a request follows."""
    return hashlib.sha256(f"placet:{request_id}".encode()).hexdigest()


def moment(at: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds: the one form that is hashed."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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
) -> Entry:
    """Make the entry that follows the entry with hash `previous`."""
    body = rfc8785.dumps(
        {
            "actor": actor,
            "at": moment(at),
            "detail": detail,
            "kind": kind,
            "seq": seq,
            "stage": stage,
            "task_id": task_id,
        }
    )
    digest = hashlib.sha256(previous.encode() + body).hexdigest()
    return Entry(seq=seq, at=at, kind=kind, actor=actor, stage=stage, task_id=task_id, detail=detail, hash=digest)


def first_bad(request_id: str, entries: Iterable[Entry]) -> int | None:
    """Return the sequence number of the first entry that does not hold, or None where the whole chain does."""
    previous = genesis(request_id)
    for expected, entry in enumerate(entries, 1):
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
            )
        except (ValueError, TypeError, AttributeError, OverflowError):  # a row that was edited into nonsense
            return expected
        if entry.seq != expected or again.hash != entry.hash:
            return expected
        previous = entry.hash
    return None

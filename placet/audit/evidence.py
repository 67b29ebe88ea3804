"""Evidence for an auditor: which requests are sampled, what in a chain is an exception, and the signed manifest.

The signature of a manifest is Ed25519 over the bytes `placet evidence 3`, a line feed, and the RFC 8785 canonical JSON
of the manifest without its `signature`, with the key that signs receipts; the number is the manifest's format. Packs of
format 1 have no deliveries, those of format 2 do not say where the log has their decisions; both are still verified.
"""

from __future__ import annotations

import hashlib
import heapq
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import rfc8785

from placet.audit.chain import Entry, moment
from placet.audit.receipts import ReceiptKey, fault_of_signature

FORMAT: Final = 3
_READ: Final = (1, 2, 3)
_SIGNED: Final = ("format", "body", "key_id", "public_key")

POPULATION_RULE: Final = (
    "Every request of the process that ended in the period, or in which a decision was made in the period. The period "
    "begins with `from` and ends before `until`."
)
SAMPLE_RULE: Final = (
    "The requests of the population with the smallest SHA-256 of the seed, a line feed and the request's id, in that "
    "order; all of them where the population is smaller."
)

DECISIONS: Final = frozenset({"decided", "changes_requested"})
"""The kinds of entries that are decisions."""
_CHANGES = frozenset({"resubmitted", "attached", "migrated"})
_LATE = frozenset({"sla_breached", "sla_critical"})
_INTERVENTIONS = frozenset({"cancelled", "extended", "migrated", "reassigned", "released"})
READ: Final = DECISIONS | _CHANGES | _LATE | _INTERVENTIONS | {"decision_undone", "escalated", "signal_refused"}
"""The kinds of entries that exceptions are found by."""
EXCEPTIONS: Final = (
    "late",
    "escalated",
    "escalated_to_owner",
    "intervention",
    "decision_undone",
    "changed_after_approval",
    "signal_refused",
)
"""Every exception; docs/audit.md says what each is."""


class Sampling:
    """Chooses requests at random by a seed, as they come by; the same seed and population give the same sample.

    What it holds is as large as the sample, and not as the population.
    """

    def __init__(self, seed: str, size: int) -> None:
        self._seed = seed
        self._size = size
        self._chosen: list[tuple[int, str]] = []  # a heap with the largest digest first, by its negative

    def add(self, request_id: str) -> None:
        """Take notice of a request of the population."""
        digest = hashlib.sha256(f"{self._seed}\n{request_id}".encode()).digest()
        one = (-int.from_bytes(digest, "big"), request_id)
        if len(self._chosen) < self._size:
            heapq.heappush(self._chosen, one)
        elif self._size:
            heapq.heappushpop(self._chosen, one)

    def chosen(self) -> list[str]:
        """Return the ids of the sample, in its order."""
        return [request_id for _, request_id in sorted(self._chosen, reverse=True)]


def exceptions_of(entries: Iterable[Entry], owner: str | None) -> Iterator[dict[str, Any]]:
    """Yield what an auditor should look at in a request's chain; entries of kinds other than `READ` may be left out.

    `owner` is the process owner as the request has it: `user:…`, a role or a group.
    """
    approved: set[str | None] = set()
    for entry in entries:
        detail = entry.detail
        if entry.kind in _LATE:
            yield _exception(entry, "late")
        elif entry.kind == "escalated":
            to = (detail.get("after") or {}).get("to") or []
            yield _exception(entry, "escalated_to_owner" if owner in to else "escalated", to=to)
        elif entry.kind in {"decision_undone", "signal_refused"}:
            yield _exception(entry, entry.kind)
        elif entry.kind in _INTERVENTIONS and _intervened(entry):
            yield _exception(entry, "intervention", by=_capacity(entry.actor, owner))
        if entry.kind in _CHANGES and approved and _changes_content(entry):
            yield _exception(entry, "changed_after_approval")
        if entry.kind == "decided" and detail.get("decision") == "approve":
            approved.add(entry.task_id)
        elif entry.kind == "decision_undone":
            approved.discard(entry.task_id)


def _intervened(entry: Entry) -> bool:
    """Say whether somebody operated a request who has no task in it."""
    if entry.actor == "system":
        return False
    before = entry.detail.get("before")
    assignee = before.get("assignee") if isinstance(before, Mapping) else before
    return entry.kind not in {"reassigned", "released"} or assignee != entry.actor


def _capacity(actor: str, owner: str | None) -> str:
    if actor == owner:
        return "owner"
    return "admin" if owner is None or owner.startswith("user:") else "owner or admin"


def _changes_content(entry: Entry) -> bool:
    return entry.kind != "resubmitted" or bool(entry.detail.get("changes") or entry.detail.get("after"))


def _exception(entry: Entry, exception: str, **more: Any) -> dict[str, Any]:
    return {
        "exception": exception,
        "seq": entry.seq,
        "at": moment(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "stage": entry.stage,
        "task_id": entry.task_id,
        **more,
    }


def signed_manifest(key: ReceiptKey, body: Mapping[str, Any]) -> bytes:
    """Return the manifest of a pack, as the RFC 8785 canonical JSON that it is written as."""
    signed: dict[str, Any] = {
        "format": FORMAT,
        "body": dict(body),
        "key_id": key.id,
        "public_key": b64encode(key.public).decode(),
    }
    return rfc8785.dumps({**signed, "signature": key.signature(_prefix(FORMAT), signed)})


def fault_of_manifest(manifest: object, written: bytes) -> str | None:
    """Return what is wrong with a manifest in itself, in a sentence; None where nothing is. `written` are its bytes."""
    if not isinstance(manifest, dict) or set(manifest) != {*_SIGNED, "signature"}:
        return f"It is no manifest: one has exactly the members {', '.join(sorted({*_SIGNED, 'signature'}))}."
    written_as = manifest["format"]
    if type(written_as) is not int or written_as not in _READ:
        return f"Its format is {written_as!r:.40}; this version reads the formats {_READ[0]} to {FORMAT}."
    fault = fault_of_signature(manifest, _SIGNED, _prefix(written_as))
    if fault is None and rfc8785.dumps(manifest) != written:
        return "It is not written as RFC 8785 writes it."
    return fault


def _prefix(written_as: int) -> bytes:
    return b"placet evidence %d\n" % written_as

"""The notices of a sampled request: its chain of deliveries, as a pack has it and as it is verified.

Of each message it says to whom it went, when, by which channel and about what. What other servers answered names
addresses: only the commitment to that is in a pack, so that the chain verifies without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection

from placet.audit.chain import Entry, canonical_json, first_bad
from placet.audit.sealed import committed
from storage.queries.evidence.population import deliveries
from storage.recording.outbox import delivery_genesis

SENT: Final = "notified"
FAILED: Final = "notification_failed"


def deliveries_of(connection: Connection, request_id: str) -> list[Entry]:
    """Return the chain of a request's deliveries, without what was sealed in it."""
    return [_without_content(one) for one in deliveries(connection, request_id)]


def counts_of(found: Mapping[str, int]) -> dict[str, int]:
    """Return what the manifest says of the messages of the sample."""
    return {"sent": found.get(SENT, 0), "failed": found.get(FAILED, 0)}


def faults_of(request_id: str, found: Sequence[Entry], entries: Sequence[Entry]) -> Iterator[str]:
    """Yield what does not fit in a chain of deliveries; `entries` is the audit chain of the same request."""
    bad = first_bad(delivery_genesis(request_id), found)
    if bad is not None:
        yield f"Delivery {bad} was altered, or does not follow the one before it."
        return
    opened = {entry.task_id: entry.stage for entry in entries if entry.kind == "task_opened"}
    for one in found:
        if one.kind not in {SENT, FAILED} or one.actor != "system":
            yield f"Delivery {one.seq} is no result of a message."
        elif one.task_id is not None and opened.get(one.task_id, ...) != one.stage:
            yield f"Delivery {one.seq} is about the task {one.task_id}, which the audit chain has not at its stage."
        elif one.at < entries[0].at:
            yield f"Delivery {one.seq} is older than the request."


def counted(found: Sequence[Entry]) -> Counter[str]:
    """Count deliveries by their kind."""
    return Counter(one.kind for one in found)


def _without_content(entry: Entry) -> Entry:
    try:
        detail: dict[str, Any] = committed(entry.detail, entry.salts, canonical_json)
    except (LookupError, TypeError, ValueError):
        return entry  # it was edited, which is what an auditor has to see
    return replace(entry, detail=detail, salts={})

"""What is promised of a request's entries and messages, for the simulator's checker and for that of chaos."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence

from placet.audit.chain import Entry

EFFECTS: dict[str, tuple[str, ...]] = {
    "Decide": ("decided", "changes_requested"),
    "Comment": ("commented",),
    "AskQuestion": ("question_asked",),
    "AnswerQuestion": ("question_answered",),
    "Reassign": ("reassigned",),
    "Extend": ("extended",),
    "AddApprover": ("approver_added",),
    "Delegate": ("delegated",),
    "Resubmit": ("resubmitted",),
    "Withdraw": ("withdrawn",),
}
"""The kinds of entries that an event leads to itself, by the name of its class; each carries the caller's own words."""
ENDINGS = ("completed", "failed", "withdrawn", "cancelled")
CLOSING = ("decided", "changes_requested", "task_closed")


def effects_of(event: str, key: str, entries: Iterable[Entry]) -> list[Entry]:
    """List the entries that a call has led to itself: by the class of its event, and the words that it carried."""
    kinds = EFFECTS.get(event, ())
    return [e for e in entries if e.kind in kinds and key in json.dumps(e.detail)]


def escalated_again(entries: Sequence[Entry]) -> str | None:
    """Say which task has escalated to one level more than once; None where none has."""
    levels = Counter((e.task_id, str(e.detail.get("level"))) for e in entries if e.kind == "escalated")
    for (task_id, level), times in levels.items():
        if times > 1:
            return f"{task_id} has escalated {times} times to level {level}"
    return None


def message_id(key: str, entry_hash: str) -> str:
    """Return the id of the mail about an entry; `key` is REQUEST:SEQ:EVENT:PERSON."""
    return hashlib.sha256(f"{key}|{entry_hash}|mail".encode()).hexdigest()[:40]

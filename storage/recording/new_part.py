"""What of a recording is new, and which recordings are refused.

Four rules make repeats safe. The same hash at a stored seq is a no-op, so the activity may be retried. A recording that
does not follow the stored entry before it, by hash, is refused. So is one of a workflow task that began before another
one which has recorded: the engine had given it up. And what contradicts a stored entry is taken only where history
holds the task that has computed it: it then wins, and the rows from there on are moved to `audit_superseded`.

Which of two tasks that contradict each other the engine still waits for is not known here, and their beginnings do not
tell. A worker that has to fetch the history of a run may find that its task was lost meanwhile, and another one given
out in its place: the SDK's core then takes that one's beginning for its own, or that of a later part of it, of which
its holder learns nothing. So whoever contradicts records again from a later task, which a lost one never comes to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from placet.audit.chain import Entry, first_bad, genesis
from placet.engine.recording import Recording
from placet.engine.state import Notification, Task
from placet.errors import Conflict
from storage.prepared import Prepared
from storage.tables.approvals import AuditEntry


class Overtaken(Conflict):
    """Another workflow task has recorded: this one is lost, or it records again once history holds it."""


class Stored(NamedTuple):
    """How far a request is stored, when the workflow task began that has recorded it, and the call that has claimed."""

    seq: int
    head: str
    task_at: datetime | None
    claim_key: str | None = None


NOTHING = Stored(0, "", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPart:
    """The part of a recording that is not stored yet, and whether it supersedes stored rows."""

    recording: Recording
    entries: tuple[Entry, ...]
    notifications: tuple[Notification, ...]
    contradicted: bool

    @property
    def begins(self) -> bool:
        """Whether nothing of the request has ever been stored."""
        return self.entries[0].seq == 1 and not self.contradicted

    @property
    def may_change_the_title(self) -> bool:
        """Whether the title may be another than the one that is stored."""
        return self.begins or self.contradicted or self.recording.revision > 1

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks whose rows have to be written."""
        recording = self.recording
        if self.contradicted:
            return recording.tasks
        changed = set(recording.changed)
        return tuple(task for task in recording.tasks if task.id in changed)


_FROM = Prepared(
    select(col(AuditEntry.seq), col(AuditEntry.hash), col(AuditEntry.at)).where(
        col(AuditEntry.request_id) == bindparam("request_id"), col(AuditEntry.seq) >= bindparam("first")
    )
)


def new_part(connection: Connection, recording: Recording, stored: Stored) -> NewPart | None:
    """Return what is not stored yet, None where all of it is; raises Conflict where the recording is refused.

    Overtaken is that conflict where another workflow task has recorded.
    """
    entries = recording.entries
    if not entries or entries[-1].seq != recording.seq or entries[-1].hash != recording.head:
        raise Conflict(
            f"A recording of {recording.request_id} does not end with entry {recording.seq}, which it names as its head"
        )
    first = entries[0].seq
    if first > stored.seq + 1:
        # Entries are recorded in order, each before the next event. So the database was restored from an older copy,
        # and rows are missing. Continuing would leave a permanent gap in the chain.
        raise Conflict(
            f"Entries {stored.seq + 1} to {first - 1} of {recording.request_id} are missing in the database; "
            "restore a complete copy of it, and this recording will be repeated"
        )
    if first == stored.seq + 1:
        _require_following(recording, stored.head)
        _require_not_lost(recording, stored)
        return NewPart(recording=recording, entries=entries, notifications=recording.notifications, contradicted=False)

    there = {row.seq: row for row in _FROM.rows(connection, request_id=recording.request_id, first=first - 1)}
    new = next((e for e in entries if e.seq not in there or there[e.seq].hash != e.hash), None)
    if new is None:
        if _claims_otherwise(recording, stored) and not may_contradict(recording):
            raise Overtaken(f"Another call of another workflow task is stored as the claim of {recording.request_id}")
        return None
    _require_following(recording, there[first - 1].hash if first - 1 in there else "")
    _require_not_lost(recording, stored)
    contradicted = new.seq in there
    if contradicted and not may_contradict(recording):
        raise Overtaken(
            f"Another entry {new.seq} of {recording.request_id} is stored, by another workflow task; this one records "
            "again once history holds it"
        )
    return NewPart(
        recording=recording,
        entries=entries[new.seq - first :],
        notifications=tuple(n for n in recording.notifications if n.seq >= new.seq),
        contradicted=contradicted,
    )


def precedes(task: datetime | None, other: datetime | None) -> bool:
    """Tell whether a workflow task began before another one of the same request, as far as that is known.

    However close they are: a task that its worker reports as failed is given out again at once. Where the engine has
    moved the run to a host whose clock is behind, later tasks record again until that has come so far.
    """
    return task is not None and other is not None and task < other


def may_contradict(recording: Recording) -> bool:
    """Tell whether a recording supersedes what it contradicts: what history holds is true, whoever tells it."""
    return recording.in_history


def _claims_otherwise(recording: Recording, stored: Stored) -> bool:
    """Tell whether the same entries are stored, and the claim among them is of another call of the same person."""
    claim = recording.claim
    return claim is not None and recording.head == stored.head and claim.key != stored.claim_key


def _require_following(recording: Recording, previous: str) -> None:
    """Raise Conflict unless the entries are a chain that follows the stored entry before them, which has this hash.

    Older requests, whose content is not sealed, began at a time that a replay may not know. Their entries are written
    without this check: a request that cannot be decided is worse than a chain of which `verify` shows the break.
    """
    if not recording.sealed:
        return
    first = recording.entries[0].seq
    bad = first_bad(previous if first > 1 else genesis(recording.request_id), recording.entries, after=first - 1)
    if bad is not None:
        raise Conflict(
            f"Entry {bad} of {recording.request_id} does not follow the stored entry {bad - 1}: one of them is of a "
            "lost workflow task, or was edited; run `placet verify` on the request"
        )


def _require_not_lost(recording: Recording, stored: Stored) -> None:
    """Raise Overtaken where a later workflow task has recorded: this one, whose worker stood still, is given up.

    What it has left to record may be later by the clock than what is stored and in history.
    """
    if precedes(recording.task_began, stored.task_at):
        raise Overtaken(
            f"Entries of {recording.request_id} were recorded by a later workflow task; this recording is of a lost one"
        )

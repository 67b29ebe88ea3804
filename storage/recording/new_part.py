"""What of a recording is new, and which recordings are refused.

Five rules make repeats safe. The same hash at a stored seq is a no-op, so the activity may be retried. Another hash at
a stored seq means that history wins: the worker that wrote the row died before its workflow task was completed, so the
rows from there on are moved to `audit_superseded`. A recording that is older than the stored rows that it contradicts
was written late by such a worker, and is refused. So is one that does not follow the stored entry before it, by hash,
and one of a workflow task that began before another one which has recorded: the engine had given it up.

Two tasks can have the same beginning. A worker that has to fetch the history of a run may find that its task was lost
meanwhile, and another one given out in its place: the SDK's core then takes that one's beginning for its own. Which of
the two the engine still waits for is not known here. So what contradicts a task of the same beginning is refused, and
recorded again from a later task by the one that the engine waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select
from sqlmodel import col

from placet.audit.chain import Entry, first_bad, genesis
from placet.engine.recording import Recording
from placet.engine.state import Notification, Task
from placet.errors import Conflict
from storage.prepared import Prepared
from storage.tables.approvals import AuditEntry

# The times of two entries may differ by this much where hosts of the engine took turns, whose clocks differ.
CLOCK_SKEW = timedelta(seconds=2)


class Overtaken(Conflict):
    """Another workflow task has recorded: this one is lost, or a later one has to record again."""


class Stored(NamedTuple):
    """How far a request is stored, and when the workflow task began that has recorded it."""

    seq: int
    head: str
    task_at: datetime | None


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
    """Return what is not stored yet, None where all of it is; raises Conflict where the recording is refused."""
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
        return None
    _require_following(recording, there[first - 1].hash if first - 1 in there else "")
    _require_not_lost(recording, stored)
    contradicted = new.seq in there
    if contradicted and new.at < there[new.seq].at - CLOCK_SKEW:
        raise Conflict(
            f"Entry {new.seq} of {recording.request_id} was recorded again; this recording is of a lost workflow task"
        )
    if contradicted and begin_alike(recording.task_began, stored.task_at):
        raise Overtaken(
            f"Entry {new.seq} of {recording.request_id} was recorded by another workflow task with the same beginning"
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


def begin_alike(task: datetime | None, other: datetime | None) -> bool:
    """Tell whether two workflow tasks have the same beginning, so that either may be the one that is lost."""
    return task is not None and task == other


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

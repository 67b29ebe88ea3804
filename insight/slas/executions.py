"""What an SLA measures: executions of a process or visits to a stage, read from the entries of an audit chain.

A visit begins when a stage asks its first person, and ends with its result or when the request is returned; after a
resubmission another visit begins. The seconds in which a decision may still be undone belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

ENDS: Final = frozenset({"completed", "failed", "withdrawn", "cancelled"})
"""The kinds of entries that end a request."""
STAGE_ENDS: Final = frozenset({"stage_settled", "changes_requested"})
"""The kinds of entries with which a visit to a stage comes to its result."""
VISIT_ENDS: Final = STAGE_ENDS | {"task_closed"}
"""The same, with that of a visit that was broken off: its last task was closed, and no result followed."""
KINDS: Final = frozenset({"started", "task_opened", "decided", "decision_undone"}) | ENDS | VISIT_ENDS
"""The kinds of entries that executions are read from."""


class Step(NamedTuple):
    """What is needed of an audit entry."""

    seq: int
    at: datetime
    kind: str
    stage: str | None
    task_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a process, or one visit to a stage.

    `visit` is the number of the entry with which it began. One that was broken off (`settled` is false: withdrawn,
    cancelled, failed, or its branch was no longer needed) has kept no SLA, and has missed it only where it was late by
    then already.
    """

    visit: int
    began_at: datetime
    ended_at: datetime | None = None
    end_seq: int | None = None
    settled: bool = True
    task_id: str | None = None  # the task with which a visit began


def executions(steps: Iterable[Step], stage: str | None) -> tuple[Execution, ...]:
    """Return the executions of a request's process, or of one of its stages, from its entries in order."""
    return _process(steps) if stage is None else _visits(steps, stage)


def _process(steps: Iterable[Step]) -> tuple[Execution, ...]:
    first: Step | None = None
    for step in steps:
        if first is None:
            first = step
        if step.kind in ENDS:
            settled = step.kind == "completed"
            ended = Execution(visit=first.seq, began_at=first.at, ended_at=step.at, end_seq=step.seq, settled=settled)
            return (ended,)
    return () if first is None else (Execution(visit=first.seq, began_at=first.at),)


@dataclass(slots=True)
class _Visit:
    """A visit while its entries are read; `closed` is the last entry that closed a task without a decision."""

    first: Step
    tasks: set[str | None] = field(default_factory=set)
    end: Step | None = None
    settled: bool = True
    closed: Step | None = None

    @property
    def over(self) -> bool:
        """Whether it is ended, or was broken off: its last task was closed, and no result followed."""
        return self.end is not None or (not self.tasks and self.closed is not None)

    def execution(self) -> Execution:
        """Return the visit as it is."""
        end = self.end or (self.closed if not self.tasks else None)
        return Execution(
            visit=self.first.seq,
            began_at=self.first.at,
            ended_at=None if end is None else end.at,
            end_seq=None if end is None else end.seq,
            settled=self.settled and (end is None or end is self.end),
            task_id=self.first.task_id,
        )


def _visits(steps: Iterable[Step], stage: str) -> tuple[Execution, ...]:
    found: list[_Visit] = []
    for step in steps:
        last = found[-1] if found else None
        if step.kind in ENDS:
            if last is not None and not last.over:
                last.end, last.settled = step, False
        elif step.stage == stage:
            if step.kind == "task_opened" and (last is None or last.over):
                last = _Visit(first=step)
                found.append(last)
            if last is not None:
                _follow(last, step)
    return tuple(visit.execution() for visit in found)


def _follow(visit: _Visit, step: Step) -> None:
    """Take in one entry of the stage of a visit."""
    if step.kind == "decision_undone":
        visit.tasks.add(step.task_id)
        if visit.end is not None and visit.end.kind == "changes_requested":
            visit.end = None  # the request was not returned in the end
    elif visit.end is not None:
        return
    elif step.kind == "task_opened":
        visit.tasks.add(step.task_id)
        visit.closed = None
    elif step.kind in STAGE_ENDS:
        visit.end = step
    elif step.kind == "decided":
        visit.tasks.discard(step.task_id)
    elif step.kind == "task_closed":
        visit.tasks.discard(step.task_id)
        visit.closed = step

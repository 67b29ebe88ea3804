"""Recorders: what a rehearsal's worker has instead of activities. They answer and take note, and do nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import Found, LookUp, Recording, TokenCheck, TokenVerdict
from placet.audit import Entry, first_bad
from placet.directory import Directory, needed
from placet.state import Notice, Task
from placet.who import parse_who


class Recorders:
    """Collect what one rehearsed request would have had written and sent."""

    def __init__(self, request_id: str, people: Directory) -> None:
        self._request_id = request_id
        self._people = people
        self._entries: dict[int, Entry] = {}
        self.notices: dict[str, Notice] = {}
        self.tasks: dict[str, Task] = {}
        self.lookups = 0
        self.started_at: datetime | None = None
        self.begun = asyncio.Event()  # set once the request's beginning is recorded

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was recorded, in order."""
        return tuple(self._entries[seq] for seq in sorted(self._entries))

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """The functions that a worker registers."""
        return [self.record, self.look_up, self.verify_token]

    @activity.defn(name="record")
    async def record(self, recording: Recording) -> None:
        """Take a recording that would have been written. The same again is fine; a chain that does not hold is not."""
        entries = {**self._entries, **{entry.seq: entry for entry in recording.entries}}
        if first_bad(self._request_id, [entries[seq] for seq in sorted(entries)]) is not None:
            raise ApplicationError("the audit chain of the rehearsal does not hold", non_retryable=True)
        self._entries = entries
        self.notices.update((notice.key, notice) for notice in recording.notices)
        self.tasks.update((task.id, task) for task in recording.tasks)
        self.started_at = recording.started_at
        self.begun.set()

    @activity.defn(name="look_up")
    async def look_up(self, question: LookUp) -> Found:
        """Answer from the directory that the rehearsal was given."""
        self.lookups += 1
        people = self._people.people
        directory = needed(
            [parse_who(name) for name in question.names],
            find=people.get,
            holders=lambda role: [people[i] for i in self._people.holders(role)],
            members=lambda group: [people[i] for i in self._people.members(group)],
            also=question.people,
            given=question.given,
        )
        return Found(directory=directory)

    @activity.defn(name="verify_token")
    async def verify_token(self, check: TokenCheck) -> TokenVerdict:  # noqa: ARG002 - as the workflow calls it
        """Refuse every token: nobody outside takes part in a rehearsal."""
        return TokenVerdict(person=None, round=None, reason="a rehearsal takes no signed decisions")

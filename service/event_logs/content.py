"""The content of a stored log, as what learns from it is given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from insight.event_logs import importing, suggesting
from insight.event_logs.labels import Seen
from insight.event_logs.suggesting import Discovered
from placet.directory import Directory
from placet.errors import Conflict
from placet.sentences import sentence
from storage.queries import event_logs


@dataclass(frozen=True, slots=True, kw_only=True)
class LogContent:
    """The cases of a log, packed, and what is known of them; `owner` is whose a blueprint out of it would be."""

    name: str
    owner: str | None
    parts: Sequence[bytes]
    seen: Mapping[str, Seen]
    columns: Sequence[str]
    cases: int

    def suggested(self, min_occurrences: int, directory: Directory) -> dict[str, Any]:
        """Return a blueprint out of it, measured on later cases; raises InputInvalid where it shows no process.

        It is checked with the people of `directory`.
        """
        return suggesting.suggest(
            self.parts,
            self.seen,
            self.columns,
            name=self.name,
            owner=self.owner,
            min_occurrences=min_occurrences,
            cases=self.cases,
            directory=directory,
        )

    def discovered(self, min_occurrences: int, *, most: int = suggesting.MOST_CASES) -> Discovered:
        """Find its process; raises InputInvalid where it shows none."""
        return suggesting.discovered(
            self.parts,
            self.seen,
            self.columns,
            name=self.name,
            owner=self.owner,
            min_occurrences=min_occurrences,
            cases=self.cases,
            most=most,
        )


def content_of(connection: Connection, log_id: str, owner: str | None) -> LogContent:
    """Read a log; raises NotFound, and Conflict where it was not read."""
    row = event_logs.get(connection, log_id)
    if row.status != "completed":
        why = {"running": "is still being read; try again", "failed": "could not be read"}[row.status]
        raise Conflict(sentence("The event log {why}.", why=why))
    return LogContent(
        name=row.name,
        owner=owner,
        parts=event_logs.parts(connection, log_id),
        seen=importing.seen_of(row.seen or {}),
        columns=tuple(row.columns or ()),
        cases=row.cases or 0,
    )

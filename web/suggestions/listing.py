"""The list of suggestions, newest first: those to be decided, unless the address says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from service.suggestions import suggestions
from storage.queries import suggestions as stored
from storage.queries.definitions import definitions
from storage.tables.suggestions import WorkflowSuggestion
from web.languages import Wording
from web.paging import PAGE, address_of
from web.suggestions.wording import SOURCES, STATUSES, TONES, TYPES, least, people_of, told
from web.views.people import Names, names_of

_LONGEST_NAME = 200
_LONGEST_TYPE = 50
MOST_LISTED = 100
"""Processes that are listed to choose from; of more, the name is typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionFilter:
    """What of the list is shown; it is in the address. `status` may be `all`; the others are empty for any."""

    status: str = "pending"
    process: str = ""
    type: str = ""
    source: str = ""
    cursor: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> SuggestionFilter:
        """Return what an address chooses; what cannot be chosen is as usual."""
        status, source = given.get("status", ""), given.get("source", "")
        return cls(
            status=status if status in {*STATUSES, "all"} else "pending",
            process=given.get("process", "").replace("\0", "")[:_LONGEST_NAME],
            type=given.get("type", "").replace("\0", "")[:_LONGEST_TYPE],
            source=source if source in SOURCES else "",
            cursor=given.get("cursor") or None,
        )

    def address(self, cursor: str | None) -> str:
        """Return the address of another page of this list."""
        status = None if self.status == "pending" else self.status
        chosen = {"process": self.process, "type": self.type, "source": self.source}
        return address_of("/suggestions", status=status, **chosen, cursor=cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionRow:
    """One suggestion in a list."""

    id: str
    title: str
    process: str
    version: str
    type: str
    source: str
    by: str
    word: str
    tone: str
    confidence: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionList:
    """One page of suggestions, and what can be chosen: `published` are the processes that can be mined.

    Both are None where there are more than MOST_LISTED, of which the name is typed.
    """

    rows: tuple[SuggestionRow, ...]
    next_address: str | None
    names: tuple[tuple[str, str], ...] | None  # of processes, each with what is chosen by it
    published: tuple[str, ...] | None


def read_list(connection: Connection, chosen: SuggestionFilter, wording: Wording) -> SuggestionList:
    """Read a page of the list; raises InputInvalid for a cursor of another list."""
    equal = {
        "status": None if chosen.status == "all" else chosen.status,
        "template": chosen.process or None,
        "suggestion_type": chosen.type or None,
        "source": chosen.source or None,
    }
    page = suggestions.list_(connection, limit=PAGE, cursor=chosen.cursor, equal=equal)
    rows = [found.row for found in page.items]
    names = names_of(connection, (person for row in rows for person in people_of(row)))
    processes = stored.processes(connection)
    if chosen.process and chosen.process not in processes:
        processes.append(chosen.process)
    published = tuple(sorted(definitions.published_names(connection), key=str.casefold))
    return SuggestionList(
        rows=tuple(_row(row, names, wording) for row in rows),
        next_address=chosen.address(page.next_cursor) if page.next_cursor else None,
        names=tuple((name, name) for name in processes) if len(processes) <= MOST_LISTED else None,
        published=published if len(published) <= MOST_LISTED else None,
    )


def _row(row: WorkflowSuggestion, names: Names, wording: Wording) -> SuggestionRow:
    say = wording.say
    return SuggestionRow(
        id=row.id,
        title=told(row, "title", names, wording),
        process=row.template,
        version=row.version,
        type=say(TYPES.get(row.suggestion_type, row.suggestion_type)),
        source=say(SOURCES.get(row.source, row.source)),
        by=names(row.created_by),
        word=say(STATUSES.get(row.status, row.status)),
        tone=TONES.get(row.status, "open"),
        confidence=least(row, wording),
        created_at=row.created_at,
    )

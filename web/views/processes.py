"""The processes that somebody chooses from: a page of them by name, found by parts of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from storage.queries import cursor as cursors
from storage.queries.definitions import definitions
from storage.queries.definitions.definitions import Startable
from web.paging import LINES, address_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessList:
    """A page of the published processes; `asked` is the part of a name that they were searched by."""

    page: cursors.Page[Startable]
    asked: str

    def next_address(self, path: str) -> str:
        """Return the address of the next page."""
        return address_of(path, q=self.asked, cursor=self.page.next_cursor)


def read_processes(connection: Connection, given: Mapping[str, str]) -> ProcessList:
    """Read the processes that an address asks for; raises InputInvalid for an invalid cursor."""
    asked = given.get("q", "").replace("\0", "")[:200].strip()
    page = definitions.startable(connection, q=asked, limit=LINES, cursor=given.get("cursor") or None)
    return ProcessList(page=page, asked=asked)

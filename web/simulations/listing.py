"""The list of simulations: the reader's own, or for auditors and admins all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from service.principal import Principal
from service.visibility import viewer_of
from storage.queries.simulations import simulations
from storage.tables.simulations import WorkflowSimulation
from web.languages import Wording
from web.paging import PAGE, address_of
from web.simulations.wording import MODES, STATUSES, TONES
from web.views.people import Names, names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationFilter:
    """What of the list is shown; it is in the address."""

    whose: str = "me"
    mode: str = ""
    status: str = ""
    cursor: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str], principal: Principal) -> SimulationFilter:
        """Return what an address chooses; what cannot be chosen is as usual."""
        mode, status = given.get("mode", ""), given.get("status", "")
        return cls(
            whose="all" if given.get("whose") == "all" and viewer_of(principal) is None else "me",
            mode=mode if mode in MODES else "",
            status=status if status in STATUSES else "",
            cursor=given.get("cursor") or None,
        )

    def address(self, cursor: str | None) -> str:
        """Return the address of another page of this list."""
        whose = "all" if self.whose == "all" else None
        return address_of("/simulations", whose=whose, mode=self.mode, status=self.status, cursor=cursor)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationRow:
    """One simulation in a list."""

    id: str
    mode: str
    process: str
    version: str
    word: str
    tone: str
    by: str | None  # None for the reader's own
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationList:
    """One page of simulations."""

    rows: tuple[SimulationRow, ...]
    next_address: str | None
    sees_all: bool


def read_list(
    connection: Connection, principal: Principal, chosen: SimulationFilter, wording: Wording
) -> SimulationList:
    """Read a page of the list; raises InputInvalid for a cursor of another list."""
    page = simulations.page(
        connection,
        limit=PAGE,
        cursor=chosen.cursor,
        viewer=None if chosen.whose == "all" else principal.person,
        mode=chosen.mode or None,
        status=chosen.status or None,
        with_results=False,
    )
    names = names_of(connection, (row.created_by for row in page.items))
    return SimulationList(
        rows=tuple(_row(row, principal, names, wording) for row in page.items),
        next_address=chosen.address(page.next_cursor) if page.next_cursor else None,
        sees_all=viewer_of(principal) is None,
    )


def _row(row: WorkflowSimulation, principal: Principal, names: Names, wording: Wording) -> SimulationRow:
    return SimulationRow(
        id=row.id,
        mode=wording.say(MODES.get(row.mode, row.mode)),
        process=row.template or wording.say("the process of a request"),
        version=row.version or "",
        word=wording.say(STATUSES.get(row.status, row.status)),
        tone=TONES.get(row.status, "open"),
        by=None if row.created_by == principal.person else names(row.created_by),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )

"""The rows of a backtest or a shadow: one for each request, filtered by what changed, in pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from service.principal import Principal
from service.visibility import viewer_of
from storage.queries.simulations import simulation_rows, simulations
from web.languages import Wording
from web.paging import LINES, address_of
from web.simulations.wording import ASPECTS, SHOWN, ending, span
from web.views import words
from web.views.people import Names, names_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLine:
    """One side of a row in words."""

    outcome: str
    takes: str
    deadline: str
    approvers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLine:
    """One request as recorded and with the candidate; `unknown` says why something is not known."""

    title: str
    address: str | None  # of both timelines; None where the reader may no longer see the request
    before: SideLine
    after: SideLine | None
    changes: tuple[str, ...]
    unknown: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter of the rows with how many it shows."""

    word: str
    count: str
    address: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """One page of rows."""

    filters: tuple[Filter, ...]
    rows: tuple[RowLine, ...]
    next_address: str | None


def read_rows(  # noqa: PLR0917 - what is shown of which simulation
    connection: Connection,
    principal: Principal,
    simulation_id: str,
    shown: str,
    cursor: str | None,
    wording: Wording,
    *,
    counted: Mapping[str, int] | None = None,
) -> RowPage:
    """Read one page of rows; `shown` is a filter or empty. Raises InputInvalid for a cursor of another list.

    `counted` are the numbers of rows by filter, where the result has them.
    """
    page = simulation_rows.page(
        connection, simulation_id, limit=LINES, cursor=cursor, shown=shown if shown in SHOWN else None
    )
    # Counted once where they were compared; results from before that have no counts.
    counts = counted if counted is not None else simulation_rows.counts(connection, simulation_id)
    ids = [one.request_id for one in page.items]
    titles = simulations.titles(connection, ids, viewer=viewer_of(principal))
    rows = [one.row for one in page.items]
    names = names_of(connection, {person for row in rows for person in _people(row)})

    def address(name: str, cursor: str | None = None) -> str:
        return address_of(f"/simulations/{simulation_id}", shown=name, cursor=cursor) + "#rows"

    every = {"": wording.say("All"), **{name: wording.say(word) for name, word in SHOWN.items()}}
    return RowPage(
        filters=tuple(
            Filter(
                word=word,
                count=wording.number(counts.get(name or "all", 0)),
                address=address(name),
                chosen=name == (shown if shown in SHOWN else ""),
            )
            for name, word in every.items()
        ),
        rows=tuple(_row(simulation_id, row, titles, names, wording) for row in rows),
        next_address=address(shown, page.next_cursor) if page.next_cursor else None,
    )


def _people(row: Mapping[str, Any]) -> list[str]:
    return [person for side in (row["before"], row["after"]) if side for person in side["approvers"]]


def _row(
    simulation_id: str, row: Mapping[str, Any], titles: Mapping[str, str], names: Names, wording: Wording
) -> RowLine:
    request_id = row["request_id"]
    after = row["after"]
    return RowLine(
        title=titles.get(request_id) or wording.say("A request that you may not see any more"),
        address=f"/simulations/{simulation_id}/requests/{request_id}" if request_id in titles else None,
        before=side_line(row["before"], names, wording),
        after=None if after is None else side_line(after, names, wording),
        changes=tuple(changes_of(row, wording)),
        unknown=row["unknown"],
    )


def changes_of(row: Mapping[str, Any], wording: Wording) -> list[str]:
    """Return in words what a candidate changes in a request."""
    say, changed, after = wording.say, row["changed"], row["after"]
    found = [say(word) for name, word in ASPECTS.items() if name in changed]
    if "duration" in changed and after is not None:
        later = after["duration_ms"] - row["before"]["duration_ms"]
        text = say("{span} later") if later > 0 else say("{span} earlier")
        found.insert(0, text.format(span=span(abs(later), wording)))
    return found


def side_line(side: Mapping[str, Any], names: Names, wording: Wording) -> SideLine:
    """Return one side of a row in words."""
    say = wording.say
    return SideLine(
        outcome=ending(say, side["outcome"], None) if side["outcome"] else say("still open"),
        takes=span(side["duration_ms"], wording),
        deadline=say(words.SLA.get(side["sla_state"], side["sla_state"])),
        approvers=", ".join(names(person) for person in side["approvers"]) or say("nobody"),
    )

"""Breaches as pages show them: the list, those that nobody has acknowledged first, and one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from service.principal import Principal
from service.slas.breaches import count_own_waiting, may_acknowledge, seen_breach, waiting_first
from service.visibility import viewer_of
from storage.queries.simulations.simulations import titles
from storage.queries.slas import definitions
from storage.queries.slas.breaches import Chosen
from storage.tables.slas import SlaBreach
from web.languages import Wording
from web.paging import PAGE, address_of
from web.slas.listing import listed_processes
from web.slas.wording import SEVERITIES, SEVERITY_SHAPES, exact, length, percent
from web.views.inbox import COUNTED, counted
from web.views.people import Names, names_of

_LONGEST = 200
_MOST_SLAS = 100  # that can be chosen from


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachFilter:
    """Which breaches are shown; it is in the address. `acknowledged` is `yes`, `no`, or empty for both.

    `whose` is `mine` for those of processes that the reader owns, else empty.
    """

    sla: str = ""
    process: str = ""
    severity: str = ""
    acknowledged: str = ""
    whose: str = ""
    cursor: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> BreachFilter:
        """Return what an address chooses; what cannot be chosen is as usual."""
        severity, acknowledged = given.get("severity", ""), given.get("acknowledged", "")
        return cls(
            sla=given.get("sla", "").replace("\0", "")[:_LONGEST],
            process=given.get("process", "").replace("\0", "")[:_LONGEST],
            severity=severity if severity in SEVERITIES else "",
            acknowledged=acknowledged if acknowledged in {"yes", "no"} else "",
            whose="mine" if given.get("whose") == "mine" else "",
            cursor=given.get("cursor") or None,
        )

    def address(self, cursor: str | None) -> str:
        """Return the address of another page of this list."""
        chosen = {"sla": self.sla, "process": self.process, "severity": self.severity}
        return address_of("/breaches", **chosen, acknowledged=self.acknowledged, whose=self.whose, cursor=cursor)

    @property
    def narrowed(self) -> bool:
        """Whether anything is chosen."""
        return self != replace(BreachFilter(), cursor=self.cursor)

    def chosen(self, principal: Principal) -> Chosen:
        """Return what is asked of the store."""
        return Chosen(
            sla_id=self.sla or None,
            template=self.process or None,
            severity=self.severity or None,
            acknowledged={"yes": True, "no": False}.get(self.acknowledged),
            owners=principal.names if self.whose else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachLine:
    """A breach. `request` is the title of its request, empty where the reader may not see it.

    `why_not` says why the reader cannot acknowledge it; None where they can, or where somebody has.
    """

    id: str
    sla_id: str
    sla: str
    process: str
    stage: str | None
    request_id: str
    request: str
    task_id: str | None
    severity: str
    word: str
    shape: str
    target: str
    actual: str
    margin: str
    share: str
    exact_target: str
    exact_actual: str
    exact_margin: str
    breached_at: datetime
    acknowledged_by: str
    acknowledged_at: datetime | None
    notes: str
    why_not: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreachList:
    """A page of breaches, and what can be chosen."""

    lines: tuple[BreachLine, ...]
    next_address: str | None
    slas: tuple[tuple[str, str], ...]
    choices: tuple[tuple[str, str], ...]  # of processes


def read_breaches(connection: Connection, principal: Principal, chosen: BreachFilter, wording: Wording) -> BreachList:
    """Read a page of the breaches that the reader may see; raises InputInvalid for a cursor of another list."""
    page = waiting_first(connection, principal, chosen.chosen(principal), limit=PAGE, cursor=chosen.cursor)
    slas = definitions.page(connection, limit=_MOST_SLAS).items
    named = {row.id: row.name for row in slas}
    if chosen.sla and chosen.sla not in named:
        named[chosen.sla] = next((row.sla_name for row in page.items), chosen.sla)
    return BreachList(
        lines=_lines(connection, principal, page.items, wording),
        next_address=chosen.address(page.next_cursor) if page.next_cursor else None,
        slas=tuple(sorted(named.items(), key=lambda one: one[1].casefold())),
        choices=tuple((name, name) for name in listed_processes(connection, chosen.process)),
    )


def read_breach(connection: Connection, principal: Principal, breach_id: str, wording: Wording) -> BreachLine:
    """Read one breach; raises NotFound where there is none that is the reader's to see."""
    return _lines(connection, principal, [seen_breach(connection, principal, breach_id)], wording)[0]


def own_waiting(connection: Connection, principal: Principal) -> str | None:
    """Return how many breaches wait for the reader, as pages show it; None for none."""
    number = count_own_waiting(connection, principal, most=COUNTED + 1)
    return counted(number) if number else None


def _lines(
    connection: Connection, principal: Principal, rows: Iterable[SlaBreach], wording: Wording
) -> tuple[BreachLine, ...]:
    found = list(rows)
    named = names_of(connection, [row.acknowledged_by for row in found])
    known = titles(connection, [row.request_id for row in found], viewer=viewer_of(principal))
    return tuple(_line(row, principal, named, known.get(row.request_id, ""), wording) for row in found)


def _line(row: SlaBreach, principal: Principal, named: Names, title: str, wording: Wording) -> BreachLine:
    margin = row.actual_duration_seconds - row.target_duration_seconds
    why_not = None
    if row.acknowledged_at is None and not may_acknowledge(principal, row):
        why_not = wording.say("The owner of the process or an admin acknowledges it.")
    return BreachLine(
        id=row.id,
        sla_id=row.sla_id,
        sla=row.sla_name,
        process=row.template,
        stage=row.stage,
        request_id=row.request_id,
        request=title,
        task_id=row.task_id,
        severity=row.severity,
        word=wording.say(SEVERITIES[row.severity]),
        shape=SEVERITY_SHAPES[row.severity],
        target=length(row.target_duration_seconds, wording),
        actual=length(row.actual_duration_seconds, wording),
        margin=length(margin, wording),
        share=percent(100 * margin / row.target_duration_seconds, wording),
        exact_target=exact(row.target_duration_seconds),
        exact_actual=exact(row.actual_duration_seconds),
        exact_margin=exact(margin),
        breached_at=row.breached_at,
        acknowledged_by=named(row.acknowledged_by),
        acknowledged_at=row.acknowledged_at,
        notes=row.notes or "",
        why_not=why_not,
    )

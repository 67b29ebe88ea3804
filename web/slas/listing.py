"""SLAs as the dashboard shows them: what each asks for, and how the window that ends now has gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from insight.slas.window import LEAST_EXECUTIONS, Figures
from service.slas.monitoring import stored_window
from storage.queries.definitions import definitions as processes
from storage.queries.slas import definitions
from storage.tables.slas import WorkflowSla
from web.languages import Wording
from web.paging import PAGE, address_of
from web.slas.wording import MEANINGS, SHAPES, STATES, figure, length, percent

_LONGEST_NAME = 200
MOST_LISTED = 100
"""Processes that are listed to choose from; of more, the name is typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaFilter:
    """Which SLAs are shown; it is in the address. `state` is `on`, `off`, or empty for both."""

    process: str = ""
    state: str = ""
    cursor: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> SlaFilter:
        """Return what an address chooses; what cannot be chosen is as usual."""
        state = given.get("state", "")
        return cls(
            process=given.get("process", "").replace("\0", "")[:_LONGEST_NAME],
            state=state if state in {"on", "off"} else "",
            cursor=given.get("cursor") or None,
        )

    def address(self, cursor: str | None) -> str:
        """Return the address of another page of this list."""
        return address_of("/slas", process=self.process, state=self.state, cursor=cursor)

    @property
    def narrowed(self) -> bool:
        """Whether anything is chosen."""
        return bool(self.process or self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresView:
    """The figures of a window in words; empty without data. `left` is the rest of the budget for a meter, 0 to 1."""

    state: str
    word: str
    meaning: str
    shape: str
    current: str
    budget: str
    left: float | None
    burn: str
    total: int
    kept: int
    breached: int
    few: bool  # so few that no alert fires


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaLine:
    """An SLA; `figures` are None where it is switched off."""

    id: str
    name: str
    process: str
    stage: str | None
    enabled: bool
    within: str
    warning: str
    critical: str
    window: str
    target: str
    business_time: bool
    figures: FiguresView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaList:
    """A page of SLAs, and the processes that can be chosen; none where there are too many to list."""

    lines: tuple[SlaLine, ...]
    next_address: str | None
    choices: tuple[tuple[str, str], ...]


def read_list(connection: Connection, chosen: SlaFilter, now: datetime, wording: Wording) -> SlaList:
    """Read a page of the dashboard, as far as executions are judged; raises InputInvalid for a wrong cursor."""
    page = definitions.page(
        connection,
        limit=PAGE,
        cursor=chosen.cursor,
        template=chosen.process or None,
        enabled={"on": True, "off": False}.get(chosen.state),
    )
    lines = []
    for row in page.items:
        figures = stored_window(connection, row, now).figures if row.enabled else None
        lines.append(line_of(row, figures, wording))
    return SlaList(
        lines=tuple(lines),
        next_address=chosen.address(page.next_cursor) if page.next_cursor else None,
        choices=tuple((name, name) for name in listed_processes(connection, chosen.process)),
    )


def listed_processes(connection: Connection, chosen: str) -> tuple[str, ...]:
    """Return the names of processes that can be chosen, with the one that is; none where there are too many."""
    names = processes.released_names(connection, most=MOST_LISTED + 1)
    if len(names) > MOST_LISTED:
        return ()
    return tuple(sorted({*names, *([chosen] if chosen else [])}, key=str.casefold))


def line_of(row: WorkflowSla, figures: Figures | None, wording: Wording) -> SlaLine:
    """Return an SLA as it is shown."""
    warning, critical = row.warning_threshold_seconds, row.critical_threshold_seconds
    return SlaLine(
        id=row.id,
        name=row.name,
        process=row.template,
        stage=row.stage,
        enabled=row.enabled,
        within=length(row.target_duration_seconds, wording),
        warning="" if warning is None else length(warning, wording),
        critical="" if critical is None else length(critical, wording),
        window=length(row.slo_window_hours * 3600, wording),
        target=percent(row.slo_target_percentage, wording),
        business_time=row.business_time,
        figures=None if figures is None else figures_of(figures, wording),
    )


def figures_of(figures: Figures, wording: Wording) -> FiguresView:
    """Return the figures of a window in words."""
    say, remaining = wording.say, figures.error_budget_remaining
    burn = "" if figures.total == 0 else say("no limit: none may be late")
    return FiguresView(
        state=figures.state,
        word=say(STATES[figures.state]),
        meaning=say(MEANINGS[figures.state]),
        shape=SHAPES[figures.state],
        current="" if figures.current_slo is None else percent(figures.current_slo, wording),
        budget="" if remaining is None else percent(remaining * 100, wording),
        left=None if remaining is None else min(1.0, max(0.0, remaining)),
        burn=burn if figures.burn_rate is None else figure(figures.burn_rate, wording),
        total=figures.total,
        kept=figures.total - figures.breached,
        breached=figures.breached,
        few=0 < figures.total < LEAST_EXECUTIONS,
    )

"""The costs of a period: what delay and people's work cost, by process, stage and month.

Designers, auditors and admins see all processes; others see the requests whose process they own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from insight.costs import stored
from insight.costs.elapsed import Period
from insight.costs.ledger import CostRow, Grouping, Ledger, TooManyCells
from insight.costs.stored import MOST_PROCESSES, MOST_REQUESTS, Owners, TooLong, TooManyRequests
from placet.errors import InputInvalid, TooMuchWork
from placet.sentences import sentence
from service.costs.prices import PricesUsed, prices_of
from service.principal import Principal
from simulation.report.costs import Prices
from storage.database import Database

LONGEST_DAYS: Final = 3_660
LONGEST_SECONDS: Final = 20.0
"""How long requests are read for an answer that somebody waits for."""
_YEARS: Final = range(2000, 2200)
_USUAL_MONTHS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOrder:
    """What is asked for: a process or all of them, from a moment up to another, in rows by `group_by`.

    Months begin at midnight in `zone`.
    """

    since: datetime
    until: datetime
    zone: ZoneInfo
    prices: Prices
    template: str | None = None
    group_by: tuple[Grouping, ...] = ("template",)

    def __post_init__(self) -> None:
        """Refuse a period that is none, or longer than is read at once; raises InputInvalid."""
        if self.until <= self.since:
            raise InputInvalid.at("/to", sentence("the period ends before it begins; give a later end"))
        if self.until - self.since > timedelta(days=LONGEST_DAYS):
            raise InputInvalid.at("/to", sentence("the period is longer than {days} days", days=LONGEST_DAYS))
        for place, at in (("/from", self.since), ("/to", self.until)):
            if at.year not in _YEARS:
                raise InputInvalid.at(
                    place, sentence("write a year from {first} to {last}", first=_YEARS[0], last=_YEARS[-1])
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """The costs of a period in rows and in total; what was open is counted to `now`. `prices` are by process."""

    order: CostOrder
    now: datetime
    rows: tuple[CostRow, ...]
    totals: tuple[CostRow, ...]
    prices: Mapping[str, PricesUsed]


def usual_period(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the period that is usually looked at: twelve months in a time zone, the last of them the current one."""
    local = now.astimezone(zone)
    months = local.year * 12 + local.month
    first, last = divmod(months - _USUAL_MONTHS, 12), divmod(months, 12)
    since, until = (datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC) for year, month in (first, last))
    return since, until


async def cost_report(
    database: Database,
    principal: Principal | None,
    order: CostOrder,
    *,
    clock: Callable[[], datetime],
    seconds: float | None = LONGEST_SECONDS,
) -> CostReport:
    """Compute the costs of a period; `principal` None sees all.

    Of a process that is not there, or not theirs to see, there are no rows, as in every list. Raises TooMuchWork where
    more is to be read than one answer may take, or where reading takes longer than `seconds` (None: as long as it is).
    """
    owners: Owners = None if principal is None or principal.designs else principal.names
    names = await database.read(_names, order.template, owners)
    now = clock()
    period = Period(since=order.since, until=order.until, now=now, zone=order.zone)
    prices = {name: await database.read(prices_of, principal, name, order.prices) for name in names}
    ledger = Ledger(period=period, group_by=order.group_by, prices=lambda name: prices[name].prices)
    try:
        await stored.read_courses(database, names, period, owners, ledger.add, seconds=seconds)
        rows, totals = ledger.rows(), ledger.totals()
    except TooManyRequests:
        raise TooMuchWork(
            sentence("More than {most} requests were open in this period; choose a shorter one.", most=MOST_REQUESTS)
        ) from None
    except TooLong:
        raise TooMuchWork(
            sentence(
                "Reading took longer than {seconds} seconds; choose a shorter period, or a process.",
                seconds=round(seconds or 0),
            )
        ) from None
    except TooManyCells:
        raise TooMuchWork(
            sentence("This period has too many processes, stages and months; choose a shorter one, or a process.")
        ) from None
    return CostReport(order=order, now=now, rows=tuple(rows), totals=tuple(totals), prices=prices)


def _names(connection: Connection, template: str | None, owners: Owners) -> Sequence[str]:
    if template is not None:
        return [template] if stored.there(connection, template, owners) else []
    names = stored.processes(connection, owners)
    if len(names) > MOST_PROCESSES:
        raise TooMuchWork(sentence("There are more than {most} processes; choose one of them.", most=MOST_PROCESSES))
    return names

"""The costs of a period as a page shows them: what was asked for, rows with their bars, and where prices come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final

from insight.costs.ledger import CostRow, Grouping, Part
from placet.errors import PlacetError
from service.costs.asking import order_of
from service.costs.report import CostOrder, CostReport
from web.forms.reading import as_number
from web.languages import Wording
from web.views.people import Names
from web.views.words import marked

PRICED: Final = ("currency", "approver_hour", "minutes_per_decision", "delay_hour")
GROUPED: Final = {
    "template,month": marked("Process and month"),
    "template": marked("Process"),
    "template,stage": marked("Process and stage"),
    "month": marked("Month"),
    "template,stage,month": marked("Process, stage and month"),
}
_LABELS: Final = {
    "currency": marked("Currency"),
    "approver_hour": marked("An hour of an approver"),
    "minutes_per_decision": marked("Work for a decision"),
    "delay_hour": marked("An hour of delay"),
    "from": marked("First month"),
    "to": marked("Last month"),
}
MOST_SHOWN: Final = 500  # rows of the table
MOST_BARS: Final = 24  # rows of a chart
_LONGEST: Final = 200
_MONTH: Final = "%Y-%m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a form asks for, as it was entered; `until` is the last month, which is part of the period."""

    process: str = ""
    since: str = ""
    until: str = ""
    group_by: str = "template,month"
    currency: str = ""
    approver_hour: str = ""
    minutes_per_decision: str = ""
    delay_hour: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        """Return what an address asks for."""
        entered = {name: given.get(name, "").replace("\0", "").strip()[:_LONGEST] for name in cls.__slots__}
        if entered["group_by"] not in GROUPED:
            entered["group_by"] = "template,month"
        return cls(**entered)

    def order(self, now: datetime, wording: Wording) -> CostOrder:
        """Return the order; months are the reader's. Raises InputInvalid with what cannot be read."""
        usual = {} if not any(getattr(self, name) for name in PRICED[1:]) else {"currency": self.currency or "EUR"}
        given = {name: as_number(getattr(self, name), decimal_sign=wording.decimal_sign) for name in PRICED[1:]}
        return order_of(
            now,
            since=self.since or None,
            until=_next_month(self.until),
            zone=str(wording.zone),
            group_by=self.group_by,
            template=self.process or None,
            prices=given | usual,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a chart: two parts as shares of its width, 0 to 1000."""

    name: str
    people: int
    delay: int
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart: the amounts of one currency, or hours where nothing has a price."""

    title: str
    bars: tuple[Bar, ...]
    more: int  # rows that are only in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table, in words."""

    names: tuple[str, ...]
    requests: str
    decisions: str
    people_hours: str
    delay_hours: str
    people: str
    delay: str
    total: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """Where the prices of a process come from."""

    process: str
    prices: str
    simulation_id: str | None
    by: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPage:
    """A report in words."""

    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    totals: tuple[Line, ...]
    left_out: int
    charts: tuple[Chart, ...]
    prices: tuple[PriceLine, ...]
    since: str
    until: str
    open: int


def page_of(report: CostReport, names: Names, wording: Wording) -> CostPage:
    """Return what a page shows of a report."""
    order, say = report.order, wording.say
    columns = {"template": say("Process"), "stage": say("Stage"), "month": say("Month")}
    local = [at.astimezone(order.zone) for at in (order.since, order.until - timedelta(microseconds=1))]
    return CostPage(
        columns=tuple(columns[name] for name in order.group_by),
        lines=tuple(_line(row, order.group_by, wording) for row in report.rows[:MOST_SHOWN]),
        totals=tuple(_line(row, order.group_by, wording, total=True) for row in report.totals),
        left_out=max(0, len(report.rows) - MOST_SHOWN),
        charts=tuple(_charts(report, wording)),
        prices=tuple(_price_lines(report, names, wording)),
        since=wording.day(local[0].date()),
        until=wording.day(local[1].date()),
        open=sum(row.open_requests for row in report.totals),
    )


def reasons_of(error: PlacetError, wording: Wording) -> list[str]:
    """Return why nothing could be worked out, each reason with the field of the form that it is about."""
    found = []
    for one in error.problems:
        label, message = _LABELS.get(one.pointer.strip("/")), wording.tell(one.message)
        found.append(message if label is None else f"{wording.say(label)}: {message}")
    return found or [wording.tell(error.message)]


def _line(row: CostRow, group_by: Sequence[Grouping], wording: Wording, *, total: bool = False) -> Line:
    say, number = wording.say, wording.number
    names = tuple(say("Total") if not place else "" for place, _ in enumerate(group_by))
    requests = number(row.requests)
    if row.open_requests:
        requests = say("{number}, {open} of them open").format(number=requests, open=number(row.open_requests))
    return Line(
        names=names if total else tuple(_named(row, name, wording) for name in group_by),
        requests=requests,
        decisions=number(row.decisions),
        people_hours=number(row.people_hours.quantize(Decimal("0.01"))),
        delay_hours=number(row.delay_hours.quantize(Decimal("0.01"))),
        people=_amount(row, row.people_cost, wording, "people"),
        delay=_amount(row, row.delay_cost, wording, "delay"),
        total=_amount(row, row.total_cost, wording),
    )


def _named(row: CostRow, name: Grouping, wording: Wording) -> str:
    if name == "stage":
        return row.key.stage or wording.say("outside of stages")
    return str(getattr(row.key, name))


def _amount(row: CostRow, amount: Decimal | None, wording: Wording, part: Part | None = None) -> str:
    if amount is None:
        return wording.say("no price")
    text = wording.money(amount, row.currency or "EUR")
    if part in row.no_price:
        return wording.say("{amount}, the rest has no price").format(amount=text)
    return text


def _charts(report: CostReport, wording: Wording) -> list[Chart]:
    say = wording.say
    found: list[Chart] = []
    for currency in dict.fromkeys(row.currency for row in report.totals):
        rows = [row for row in report.rows if row.currency == currency]
        if currency is None:
            title = say("Hours for which requests were open, without a price")
            values = [(row, Decimal(0), row.delay_hours) for row in rows]
        else:
            title = say("Cost in {currency}").format(currency=currency)
            values = [(row, row.people_cost or Decimal(0), row.delay_cost or Decimal(0)) for row in rows]
        most = max((people + delay for _, people, delay in values), default=Decimal(0))
        bars = [_bar(report, row, people, delay, most, wording) for row, people, delay in values[:MOST_BARS]]
        if most:
            found.append(Chart(title=title, bars=tuple(bars), more=max(0, len(values) - MOST_BARS)))
    return found


def _bar(  # noqa: PLR0917 - called in one place
    report: CostReport, row: CostRow, people: Decimal, delay: Decimal, most: Decimal, wording: Wording
) -> Bar:
    say = wording.say
    if row.currency is None:
        word = say("{number} h").format(number=wording.number(delay.quantize(Decimal("0.1"))))
    else:
        word = say("people {people}, delay {delay}").format(
            people=_amount(row, row.people_cost, wording), delay=_amount(row, row.delay_cost, wording)
        )
    with localcontext(prec=50):
        widths = [int(part * 1000 / most) if most else 0 for part in (people, delay)]
    return Bar(
        name=" · ".join(_named(row, name, wording) for name in report.order.group_by),
        people=widths[0],
        delay=widths[1],
        word=word,
    )


def _price_lines(report: CostReport, names: Names, wording: Wording) -> list[PriceLine]:
    say = wording.say
    lines: list[PriceLine] = []
    shown = {row.key.template for row in report.rows} - {None}
    for process, used in report.prices.items():
        prices = used.prices
        if prices.currency is None or (shown and process not in shown):
            continue
        parts = [
            say("{number} minutes of work for a decision").format(number=wording.number(prices.minutes_per_decision))
        ]
        if prices.approver_hour is not None:
            amount = wording.money(prices.approver_hour, prices.currency)
            parts.append(say("{amount} for an hour of an approver").format(amount=amount))
        if prices.people:
            parts.append(say("rates of {number} people").format(number=wording.number(len(prices.people))))
        if prices.delay_hour is not None:
            amount = wording.money(prices.delay_hour, prices.currency)
            parts.append(say("{amount} for an hour of delay").format(amount=amount))
        lines.append(
            PriceLine(
                process=process,
                prices=", ".join(parts),
                simulation_id=used.simulation_id,
                by="" if used.simulated_by is None else names(used.simulated_by),
                at=used.simulated_at,
            )
        )
    return lines


def _next_month(text: str) -> str | None:
    """Return the month after one, such as `2026-04` after `2026-03`; what is no month stays, to be refused."""
    if not text:
        return None
    try:
        last = datetime.strptime(text, _MONTH)  # noqa: DTZ007 - a month of the reader's calendar, no moment
    except ValueError:
        return text
    year, month = (last.year + 1, 1) if last.month == 12 else (last.year, last.month + 1)
    return f"{year:04d}-{month:02d}"

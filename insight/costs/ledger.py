"""Add up what requests cost, exactly: hours and amounts by process, stage and month.

An amount is rounded once, to a hundredth of its currency, in each cell (a process, a stage, a month); hours are
rounded to the ten-thousandth. Every row and every total is a sum of cells, so that the rows of any grouping add up to
the total.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Final, Literal, NamedTuple

from insight.costs.elapsed import Course, Period, shares
from insight.costs.prices import PriceList

Grouping = Literal["template", "stage", "month"]
GROUPINGS: Final[tuple[Grouping, ...]] = ("template", "stage", "month")
Part = Literal["people", "delay"]
MOST_CELLS: Final = 20_000
_CENT: Final = Decimal("0.01")
_HOURS: Final = Decimal("0.0001")
_HOUR: Final = Decimal(3_600_000_000)  # microseconds
_DIGITS: Final = 80  # more than a price times all microseconds of a calendar has


class TooManyCells(Exception):
    """There are more processes, stages and months than are held at once."""


class Key(NamedTuple):
    """What a row is about; None for whatever is not told apart, and for time outside of stages."""

    template: str | None
    stage: str | None
    month: str | None


@dataclass(slots=True)
class _Cell:
    """What one stage of a process used in one month."""

    delay: int = 0  # microseconds
    decisions: int = 0
    without_price: int = 0
    automatic: int = 0
    rates: Decimal = Decimal(0)  # the hourly rates of those who decided, each as often as they did


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What requests used and what it cost. An amount is None where nothing in it has a price.

    `no_price` says which parts have no price, or not all of them: of `decisions`, `decisions_without_price` are in no
    amount, nor are `delay_hours_without_price`. `requests` are those that were open or decided in it, so that one may
    be in several rows; all other figures add up.
    """

    key: Key
    currency: str | None
    requests: int
    open_requests: int
    decisions: int
    decisions_without_price: int
    automatic_decisions: int
    people_hours: Decimal
    delay_hours: Decimal
    delay_hours_without_price: Decimal
    people_cost: Decimal | None
    delay_cost: Decimal | None
    no_price: tuple[Part, ...]

    @property
    def total_cost(self) -> Decimal | None:
        """What has a price, together."""
        known = [cost for cost in (self.people_cost, self.delay_cost) if cost is not None]
        return sum(known, Decimal(0)) if known else None


@dataclass(slots=True)
class Ledger:
    """Costs while requests are read; `prices` says what a process is priced by."""

    period: Period
    group_by: Collection[Grouping]
    prices: Callable[[str], PriceList]
    _cells: dict[Key, _Cell] = field(default_factory=dict)
    _counts: dict[tuple[Key, str | None], _Counts] = field(default_factory=dict)
    _totals: dict[str | None, _Counts] = field(default_factory=dict)

    def add(self, template: str, course: Course) -> None:
        """Add a request of a process; raises TooManyCells."""
        touched: set[Key] = set()
        rates = self.prices(template)
        for share in shares(course, self.period):
            key = Key(template, share.stage, share.month)
            self._cell(key).delay += share.microseconds
            touched.add(key)
        for decision in course.decisions:
            if not self.period.holds(decision.at):
                continue
            key = Key(template, decision.stage, self.period.month(decision.at))
            cell, rate = self._cell(key), rates.rate(decision.person)
            cell.decisions += 1
            if rate is None:
                cell.without_price += 1
            else:
                with localcontext(prec=_DIGITS):
                    cell.rates += rate
            touched.add(key)
        for stage, at in course.automatic:
            if self.period.holds(at):
                key = Key(template, stage, self.period.month(at))
                self._cell(key).automatic += 1
                touched.add(key)
        if not touched:  # it ended at the moment at which it began, or the period
            at = max(course.began_at, self.period.since)
            touched.add(Key(template, None, self.period.month(at)))
            self._cell(next(iter(touched)))
        is_open = course.ended_at is None or course.ended_at > self.period.now
        for group in {self._group(key) for key in touched}:
            _count(self._counts.setdefault((group, rates.currency), _Counts()), is_open=is_open)
        _count(self._totals.setdefault(rates.currency, _Counts()), is_open=is_open)

    def rows(self) -> list[CostRow]:
        """Return a row for each group and currency, in order."""
        grouped: dict[tuple[Key, str | None], list[_Priced]] = {}
        for key, priced in self._priced():
            grouped.setdefault((self._group(key), priced.currency), []).append(priced)
        found = [_row(group, self._counts[group], cells) for group, cells in grouped.items()]
        return sorted(found, key=lambda row: tuple((part is None, part or "") for part in (*row.key, row.currency)))

    def totals(self) -> list[CostRow]:
        """Return what everything used together: one row for each currency, and one for what has no price."""
        grouped: dict[str | None, list[_Priced]] = {}
        for _, priced in self._priced():
            grouped.setdefault(priced.currency, []).append(priced)
        everything = Key(None, None, None)
        found = [_row((everything, currency), self._totals[currency], cells) for currency, cells in grouped.items()]
        return sorted(found, key=lambda row: (row.currency is None, row.currency or ""))

    def _cell(self, key: Key) -> _Cell:
        found = self._cells.get(key)
        if found is None:
            if len(self._cells) >= MOST_CELLS:
                raise TooManyCells
            found = self._cells[key] = _Cell()
        return found

    def _group(self, key: Key) -> Key:
        return Key(*(getattr(key, name) if name in self.group_by else None for name in GROUPINGS))

    def _priced(self) -> Iterator[tuple[Key, _Priced]]:
        for key, cell in self._cells.items():
            assert key.template is not None  # noqa: S101 - every cell is of a process
            yield key, _price(cell, self.prices(key.template))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """A cell with its hours and amounts, rounded."""

    cell: _Cell
    currency: str | None
    people_hours: Decimal
    delay_hours: Decimal
    people_cost: Decimal | None
    delay_cost: Decimal | None


def _price(cell: _Cell, prices: PriceList) -> _Priced:
    with localcontext(prec=_DIGITS):
        each, hours = prices.minutes_per_decision / 60, cell.delay / _HOUR
        people = delay = None
        if prices.prices_people and (cell.decisions > cell.without_price or not cell.decisions):
            people = (cell.rates * prices.minutes_per_decision / 60).quantize(_CENT)
        if prices.delay_hour is not None:
            delay = (cell.delay * prices.delay_hour / _HOUR).quantize(_CENT)
        return _Priced(
            cell=cell,
            currency=prices.currency,
            people_hours=(each * cell.decisions).quantize(_HOURS),
            delay_hours=hours.quantize(_HOURS),
            people_cost=people,
            delay_cost=delay,
        )


def _row(group: tuple[Key, str | None], counts: _Counts, cells: Sequence[_Priced]) -> CostRow:
    with localcontext(prec=_DIGITS):
        unpriced = sum(one.cell.without_price for one in cells)
        missing: list[Part] = []
        people, delay = _sum([one.people_cost for one in cells]), _sum([one.delay_cost for one in cells])
        if people is None or unpriced:
            missing.append("people")
        if any(one.delay_cost is None for one in cells):
            missing.append("delay")
        return CostRow(
            key=group[0],
            currency=group[1],
            requests=counts.requests,
            open_requests=counts.open,
            decisions=sum(one.cell.decisions for one in cells),
            decisions_without_price=unpriced,
            automatic_decisions=sum(one.cell.automatic for one in cells),
            people_hours=sum((one.people_hours for one in cells), Decimal(0)),
            delay_hours=sum((one.delay_hours for one in cells), Decimal(0)),
            delay_hours_without_price=sum((one.delay_hours for one in cells if one.delay_cost is None), Decimal(0)),
            people_cost=people,
            delay_cost=delay,
            no_price=tuple(missing),
        )


def _sum(costs: Sequence[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if known else None


def _count(counts: _Counts, *, is_open: bool) -> None:
    counts.requests += 1
    counts.open += is_open

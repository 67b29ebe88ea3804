"""The models of the costs of a period."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Shown, View
from insight.costs.ledger import Grouping
from service.costs.document import document
from service.costs.report import CostReport

_ROW: dict[str, Any] = {
    "template": "Expense approval",
    "stage": None,
    "month": "2026-03",
    "requests": 120,
    "open_requests": 2,
    "decisions": 180,
    "decisions_without_price": 0,
    "automatic_decisions": 0,
    "people_hours": "30.0000",
    "delay_hours": "2880.5000",
    "delay_hours_without_price": "2880.5000",
    "currency": "EUR",
    "people_cost": "1800.00",
    "delay_cost": None,
    "total_cost": "1800.00",
    "no_price": ["delay"],
}


class CostRowView(View):
    """What requests used and what it cost, amounts and hours as text; an amount without a price is null, never 0.

    `template`, `stage` and `month` are null where rows are not grouped by them, and `stage` also for time outside of
    stages (returned, waiting, actions). `no_price` names what has no price at all or in part: the amounts leave out
    `decisions_without_price` and `delay_hours_without_price`. `requests` and `open_requests` may count in several rows;
    all other figures of the rows add up to those of `totals`.
    """

    model_config = ConfigDict(json_schema_extra={"example": _ROW})

    template: str | None
    stage: str | None
    month: str | None
    requests: int
    open_requests: int
    decisions: int
    decisions_without_price: int
    automatic_decisions: int
    people_hours: str
    delay_hours: str
    delay_hours_without_price: str
    currency: str | None
    people_cost: str | None
    delay_cost: str | None
    total_cost: str | None
    no_price: list[Literal["people", "delay"]]


class PricesView(View):
    """The prices that a process was computed by; null where there is none.

    They come from the simulation that is named, or were given with the call; `people` counts rates of single people.
    """

    template: str
    currency: str | None
    approver_hour: str | None
    people: int
    minutes_per_decision: str
    delay_hour: str | None
    simulation_id: str | None
    simulated_by: str | None
    simulated_at: Shown | None


class CostReportView(View):
    """The costs of a period: rows, totals (one for each currency), and the prices of each process.

    What is open is counted up to `now`; `to` is not part of the period.
    """

    since: Shown = Field(alias="from")
    until: Shown = Field(alias="to")
    now: Shown
    timezone: str
    group_by: list[Grouping]
    rows: list[CostRowView]
    totals: list[CostRowView]
    prices: list[PricesView]

    @classmethod
    def of(cls, report: CostReport) -> CostReportView:
        """Show a report."""
        return cls.model_validate(document(report))

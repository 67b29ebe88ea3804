"""Costs as JSON values, in the names that the API has for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from insight.costs.ledger import CostRow
from placet.audit.chain import moment
from service.costs.prices import PricesUsed
from service.costs.report import CostReport


def document(report: CostReport) -> dict[str, Any]:
    """Return a report: amounts and hours are exact, as text; an amount without a price is None."""
    order = report.order
    return {
        "from": moment(order.since),
        "to": moment(order.until),
        "now": moment(report.now),
        "timezone": order.zone.key,
        "group_by": list(order.group_by),
        "rows": [_row(row) for row in report.rows],
        "totals": [_row(row) for row in report.totals],
        "prices": [_prices(name, used) for name, used in report.prices.items()],
    }


def _row(row: CostRow) -> dict[str, Any]:
    return {
        **row.key._asdict(),
        "requests": row.requests,
        "open_requests": row.open_requests,
        "decisions": row.decisions,
        "decisions_without_price": row.decisions_without_price,
        "automatic_decisions": row.automatic_decisions,
        "people_hours": format(row.people_hours, "f"),
        "delay_hours": format(row.delay_hours, "f"),
        "delay_hours_without_price": format(row.delay_hours_without_price, "f"),
        "currency": row.currency,
        "people_cost": _text(row.people_cost),
        "delay_cost": _text(row.delay_cost),
        "total_cost": _text(row.total_cost),
        "no_price": list(row.no_price),
    }


def _prices(template: str, used: PricesUsed) -> dict[str, Any]:
    prices = used.prices
    return {
        "template": template,
        "currency": prices.currency,
        "approver_hour": _text(prices.approver_hour),
        "people": len(prices.people),
        "minutes_per_decision": format(prices.minutes_per_decision, "f"),
        "delay_hour": _text(prices.delay_hour),
        "simulation_id": used.simulation_id,
        "simulated_by": None if used.simulated_by is None else f"user:{used.simulated_by}",
        "simulated_at": None if used.simulated_at is None else moment(used.simulated_at),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")

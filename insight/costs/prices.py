"""Prices as costs are computed by them: what has none stays without an amount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Prices of one process in `currency`; None where none is known.

    `approver_hour` is an hour of an approver's work, `people` are the hourly rates of single people by id,
    `delay_hour` is an hour for which a request is open. `minutes_per_decision` is the work of one decision.
    """

    currency: str | None = None  # ISO 4217; None without any price
    approver_hour: Decimal | None = None
    people: Mapping[str, Decimal] = field(default_factory=dict)
    minutes_per_decision: Decimal = Decimal(10)
    delay_hour: Decimal | None = None

    @property
    def prices_people(self) -> bool:
        """Whether anybody's work has a price."""
        return self.approver_hour is not None or bool(self.people)

    def rate(self, person: str) -> Decimal | None:
        """Return the price of an hour of somebody's work."""
        return self.people.get(person, self.approver_hour)

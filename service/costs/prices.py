"""Which prices a report of costs uses: those that are given, else those of the newest simulation of the process.

The prices of a simulation count where the caller may see it, and where the caller or a designer or admin made it:
anybody may simulate with any prices.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from insight.costs.prices import PriceList
from placet.errors import InputInvalid
from service.principal import Principal
from service.visibility import viewer_of
from simulation.report.costs import Prices, parse_prices
from storage.queries.people import people
from storage.queries.simulations import simulations
from storage.queries.simulations.simulations import PricesOf

_LOOKED_AT: Final = 50  # simulations of one process, the newest, of which the first with prices counts
_TRUSTED: Final = frozenset({"designer", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesUsed:
    """The prices of one process, and the simulation that they come from; None where they were given, or are none."""

    prices: PriceList
    simulation_id: str | None = None
    simulated_by: str | None = None
    simulated_at: datetime | None = None


def price_list(given: Prices) -> PriceList:
    """Return prices as costs are computed by them: what was not given has no price."""
    named = given.model_fields_set
    approver = given.approver_hour if "approver_hour" in named else None
    delay = given.delay_hour if "delay_hour" in named else None
    priced = approver is not None or delay is not None or bool(given.people)
    return PriceList(
        currency=given.currency if priced else None,
        approver_hour=approver,
        people=given.people,
        minutes_per_decision=given.minutes_per_decision,
        delay_hour=delay,
    )


def prices_of(connection: Connection, principal: Principal | None, template: str, given: Prices) -> PricesUsed:
    """Return the prices of a process: what was given, else what its newest simulation had; `principal` None sees all.

    The minutes of a decision that are given count also beside prices of a simulation.
    """
    if (listed := price_list(given)).currency is not None:
        return PricesUsed(prices=listed)
    viewer = None if principal is None else viewer_of(principal)
    for found in simulations.prices_of(connection, template, viewer=viewer, limit=_LOOKED_AT):
        with suppress(InputInvalid):  # it was simulated by another version of Placet
            prices = parse_prices(found.prices)
            if "minutes_per_decision" in given.model_fields_set:
                prices = prices.model_copy(update={"minutes_per_decision": given.minutes_per_decision})
            if (taken := price_list(prices)).currency is not None and _trusted(connection, principal, found):
                return PricesUsed(
                    prices=taken,
                    simulation_id=found.simulation_id,
                    simulated_by=found.created_by,
                    simulated_at=found.created_at,
                )
    return PricesUsed(prices=listed)


def _trusted(connection: Connection, principal: Principal | None, found: PricesOf) -> bool:
    if principal is not None and found.created_by == principal.person:
        return True
    by = people.find(connection, found.created_by)
    return by is not None and bool(_TRUSTED & {*by.access})

"""Cost: the cost of one request by the given prices; without prices there are hours only, and no amounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, ValidationError

from placet.audit.chain import standing_decisions
from placet.definition.action_spec import ActionSpec
from placet.definition.fields import Model
from placet.definition.validation_messages import sentence_of
from placet.errors import InputInvalid, Problem
from simulation.report.comparison import TimelineEvent
from simulation.report.result import ExecutionCost
from simulation.run.driver import Trace

Amount = Annotated[Decimal, Field(ge=0, max_digits=20, allow_inf_nan=False)]
_CENT = Decimal("0.01")
_HOUR = Decimal(3600)


class Prices(Model):
    """Prices in `currency`: an hour of an approver's time, an hour of delay, a notification, an action.

    `minutes_per_decision` is the working time of one decision; it is given, not measured.
    `people` are hourly rates of single people, by id. `actions` are prices for one run, by the action's name.
    """

    currency: Annotated[str, Field(pattern=r"\A[A-Z]{3}\z")] = "EUR"
    approver_hour: Amount = Decimal(0)
    people: Annotated[dict[str, Amount], Field(max_length=1000)] = Field(default_factory=dict)
    minutes_per_decision: Amount = Decimal(10)
    delay_hour: Amount = Decimal(0)
    notice: Amount = Decimal(0)
    actions: Annotated[dict[str, Amount], Field(max_length=1000)] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one request used: decisions by person, notifications, runs by action, and the duration."""

    decisions: dict[str, int]
    notices: int
    duration: timedelta
    actions: dict[str, int] = field(default_factory=dict)


def parse_prices(raw: object) -> Prices:
    """Parse prices from JSON values; raises InputInvalid with the JSON Pointer of each problem."""
    try:
        return Prices.model_validate(raw)
    except ValidationError as error:
        problems = tuple(
            Problem(pointer="/prices" + "".join(f"/{p}" for p in fault["loc"]), message=sentence_of(fault))
            for fault in error.errors(include_url=False)
        )
        raise InputInvalid("The prices cannot be read.", problems=problems) from None


def cost_of(trace: Trace, prices: Prices) -> ExecutionCost:
    """Return the cost of a simulated request."""
    return price(usage_in(trace.entries, notices=len(trace.notifications), duration=trace.duration), prices)


def actions_of(entries: Iterable[TimelineEvent]) -> list[str]:
    """List the actions that a request started, each as often as it did."""
    return [str(entry.detail.get("action")) for entry in entries if entry.kind == "action_started"]


def usage_in(entries: Sequence[TimelineEvent], *, notices: int, duration: timedelta) -> Usage:
    """Return what a request used, from its timeline; decisions that were carried over or undone do not count."""
    decided = [e for e in standing_decisions(entries).values() if e.detail.get("via") is not None]
    return Usage(
        decisions=dict(Counter(entry.actor.removeprefix("user:") for entry in decided)),
        notices=notices,
        duration=duration,
        actions=dict(Counter(actions_of(entries))),
    )


def with_catalog(prices: Prices, actions: Mapping[str, ActionSpec]) -> Prices:
    """Return the prices, with those of the catalog for actions without a given price."""
    listed = {name: Decimal(spec.cost) for name, spec in actions.items() if spec.cost}
    return prices.model_copy(update={"actions": {**listed, **prices.actions}})


def price(used: Usage, prices: Prices) -> ExecutionCost:
    """Return the cost of a usage."""
    each = prices.minutes_per_decision / 60
    approvers = sum(
        (prices.people.get(who, prices.approver_hour) * each * n for who, n in used.decisions.items()), Decimal(0)
    )
    runs = sum((prices.actions.get(name, Decimal(0)) * n for name, n in used.actions.items()), Decimal(0))
    actions = runs + prices.notice * used.notices
    hours = _decimal(used.duration)
    delay = prices.delay_hour * hours
    return ExecutionCost(
        currency=prices.currency,
        total=(approvers + actions + delay).quantize(_CENT),
        approvers=approvers.quantize(_CENT),
        actions=actions.quantize(_CENT),
        delay=delay.quantize(_CENT),
        approver_hours=(each * sum(used.decisions.values())).quantize(_CENT),
        delay_hours=hours.quantize(_CENT),
    )


def _decimal(span: timedelta) -> Decimal:
    return (Decimal(span.days * 86_400 + span.seconds) + Decimal(span.microseconds) / 1_000_000) / _HOUR


def described(prices: Prices) -> dict[str, Any]:
    """Return the prices as JSON values."""
    return prices.model_dump(mode="json")

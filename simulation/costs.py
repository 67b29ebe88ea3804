"""Cost: what one execution costs by the prices that it is given; without prices there is no amount, only hours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, ValidationError

from placet.blueprint import Model
from placet.errors import InputInvalid, Problem
from placet.state import State
from simulation.driver import Course
from simulation.result import Cost

Amount = Annotated[Decimal, Field(ge=0, max_digits=20, allow_inf_nan=False)]
_CENT = Decimal("0.01")
_HOUR = Decimal(3600)


class Prices(Model):
    """What things cost, in `currency`: an hour of an approver's time, an hour of waiting, a notice, an action.

    `minutes_per_decision` is the time that a decision takes of an approver's day; it is stated, not measured.
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
class Used:
    """What one execution used: decisions by person, notices, runs by action, and the time it took."""

    decisions: dict[str, int]
    notices: int
    duration: timedelta
    actions: dict[str, int] = field(default_factory=dict)


def parse_prices(raw: object) -> Prices:
    """Read prices from JSON values; raises InputInvalid with every fault by JSON Pointer."""
    try:
        return Prices.model_validate(raw)
    except ValidationError as error:
        problems = tuple(
            Problem(pointer="/prices" + "".join(f"/{p}" for p in fault["loc"]), message=fault["msg"])
            for fault in error.errors(include_url=False, include_context=False)
        )
        raise InputInvalid("The prices cannot be read.", problems=problems) from None


def cost_of(course: Course, prices: Prices) -> Cost:
    """Return what a simulated request costs."""
    used = used_by(course.state, notices=len(course.notices), duration=course.duration)
    return price(replace(used, actions=dict(Counter(actions_of(course)))), prices)


def actions_of(course: Course) -> list[str]:
    """List the actions that a course began, each as often as it was."""
    return [str(entry.detail.get("action")) for entry in course.entries if entry.kind == "action_started"]


def used_by(state: State, *, notices: int, duration: timedelta) -> Used:
    """Return what a request used, from its state."""
    decisions: dict[str, int] = {}
    for task in state.tasks:
        if task.decided_by:
            decisions[task.decided_by] = decisions.get(task.decided_by, 0) + 1
    return Used(decisions=decisions, notices=notices, duration=duration)


def price(used: Used, prices: Prices) -> Cost:
    """Return what an execution costs that used so much."""
    each = prices.minutes_per_decision / 60
    approvers = sum(
        (prices.people.get(who, prices.approver_hour) * each * n for who, n in used.decisions.items()), Decimal(0)
    )
    runs = sum((prices.actions.get(name, Decimal(0)) * n for name, n in used.actions.items()), Decimal(0))
    actions = runs + prices.notice * used.notices
    hours = _decimal(used.duration)
    delay = prices.delay_hour * hours
    return Cost(
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
    """Return the prices as JSON values, as a simulation states them."""
    return prices.model_dump(mode="json")

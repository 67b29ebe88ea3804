"""The figures of a simulation, each with what it is based on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from web.languages import Wording
from web.simulations.wording import ending, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure, and in small what it is based on."""

    label: str
    value: str
    basis: str = ""


def figures_of(mode: str, result: Mapping[str, Any], wording: Wording) -> list[Figure]:
    """Return the figures of a result, the outcome first."""
    say = wording.say
    if mode in {"backtest", "shadow"}:
        return _totals(result.get("totals") or {}, wording)
    if not result.get("execution_path"):
        return []
    found = [Figure(label=say("Ends"), value=ending(say, result.get("outcome"), result.get("stopped")))]
    predicted = result.get("predicted_duration") or {}
    if predicted:
        found.append(
            Figure(
                label=say("Takes, in the median"),
                value=span(predicted.get("p50_ms"), wording),
                basis=_basis(predicted, wording),
            )
        )
        if predicted.get("p90_ms") is not None and predicted.get("samples", 1) > 1:
            found.append(Figure(label=say("Nine in ten take at most"), value=span(predicted["p90_ms"], wording)))
    cost = result.get("cost")
    if cost and _positive(cost.get("total")):
        value = f"{cost['total']} {cost['currency']}"
        found.append(Figure(label=say("Costs"), value=value, basis=say("by the prices that were given")))
    branches = result.get("branch_explorations")
    if branches:
        found.append(Figure(label=say("Branches"), value=wording.number(len(branches))))
    if "timelines_differ" in result:
        of = say("of {number}").format(number=wording.number(len(result.get("timelines") or ())))
        found.append(
            Figure(label=say("Steps that differ"), value=wording.number(int(result["timelines_differ"])), basis=of)
        )
    withheld = sum((result.get("withheld") or {}).values())
    if withheld:
        found.append(
            Figure(
                label=say("Withheld"),
                value=wording.number(withheld),
                basis=say("messages and actions, none of them sent"),
            )
        )
    return found


def _basis(predicted: Mapping[str, Any], wording: Wording) -> str:
    say = wording.say
    number = wording.number(int(predicted.get("samples") or 1))
    match predicted.get("source"):
        case "history":
            return say("from past response times, over {number} runs").format(number=number)
        case "sampled":
            return say("over {number} runs with sampled approvers").format(number=number)
        case _:
            return say("one run by a stated rule, not a forecast")


def _totals(totals: Mapping[str, Any], wording: Wording) -> list[Figure]:
    if not totals:
        return []
    say = wording.say
    known, requests = int(totals["known"]), int(totals["requests"])
    of_known = say("of {number} that are known").format(number=wording.number(known))
    found = [
        Figure(label=say("Requests compared"), value=wording.number(requests)),
        Figure(
            label=say("Unknown"),
            value=wording.number(int(totals["unknown"])),
            basis=say("of {number}; the record does not tell").format(number=wording.number(requests)),
        ),
    ]
    if not known:  # of none, nothing would change, and nothing is known by that
        return found
    found += [
        Figure(label=say("Would change"), value=wording.number(int(totals["changed"]["count"])), basis=of_known),
        Figure(
            label=say("Would end differently"),
            value=wording.number(int(totals["outcome_changed"]["count"])),
            basis=of_known,
        ),
    ]
    hours = totals["hours"]
    median = [hours_of(hours[name], wording) for name in ("median_before", "median_after")]
    found.append(Figure(label=say("Median duration, before → after"), value=" → ".join(median), basis=of_known))
    breached = totals["breached"]
    found.append(
        Figure(
            label=say("Overdue, before → after"),
            value=f"{wording.number(int(breached['before']))} → {wording.number(int(breached['after']))}",
            basis=of_known,
        )
    )
    return found


def hours_of(hours: float | None, wording: Wording) -> str:
    """Write a number of hours as a span; that it is unknown where it is."""
    return span(None if hours is None else round(hours * 3_600_000), wording)


def _positive(value: Any) -> bool:
    try:
        return Decimal(str(value)) > 0
    except InvalidOperation:
        return False

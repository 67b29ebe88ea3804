"""What is declared when a canary begins, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from insight.canary.assignment import chance_of_new
from insight.canary.comparison import ALPHA, Measure
from placet.errors import InputInvalid, Problem
from placet.sentences import sentence
from simulation.report.costs import parse_prices
from storage.tables.canaries import WorkflowCanary

HORIZON_SECONDS: Final = 7 * 86_400.0
"""How long a request is measured, where nothing else is declared."""
LONGEST_HORIZON: Final = 366 * 86_400.0
PEOPLE_SAMPLE: Final = 0.1
"""The part of the share that people still decide, where the new version decides what people decided before."""
LEAST_CHANCE: Final = 0.01
MOST_CHANCE: Final = 0.95
"""The chances of the new version, at least and at most: beyond them, one side is never known well enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """The differences from which on a new version does harm, each None where it is not guarded.

    Durations and costs are means, in seconds and in the currency of the prices; `outcome` (either way) and `sla` are
    shares from 0 to 1.
    """

    duration_seconds: float | None = None
    outcome: float | None = None
    sla: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is declared; `people_sample` None means none, or PEOPLE_SAMPLE where people are passed over.

    Of an SLA, its verdict is what counts as missed; without one, the deadlines of stages. Cost is compared where there
    are `prices`, up to `most_cost` for a request.
    """

    template: str
    version: str
    share: float
    margins: Margins
    people_sample: float | None = None
    horizon_seconds: float = HORIZON_SECONDS
    alpha: float = ALPHA
    sla_id: str | None = None
    prices: Mapping[str, Any] | None = None
    most_cost: float | None = None
    notes: str | None = None

    def check(self) -> None:
        """Raise InputInvalid with everything that is wrong whatever the versions are."""
        if self.prices is not None:
            parse_prices(dict(self.prices))
        refuse(tuple(self._problems()))

    def _problems(self) -> Iterator[Problem]:
        margins = self.margins
        given = {"duration_seconds": self.horizon_seconds, "outcome": 1.0, "sla": 1.0, "cost": self.most_cost}
        if all(getattr(margins, name) is None for name in given):
            yield Problem(
                pointer="/margins",
                message="declare at least one margin, so that the canary can revert itself where it does harm",
            )
        for name, most in given.items():
            value = getattr(margins, name)
            if value is not None and most is not None and not 0 <= value < most:
                yield Problem(
                    pointer=f"/margins/{name}",
                    message=sentence("write a number from 0 to below {most}", most=f"{most:g}"),
                )
        if self.prices is not None and self.most_cost is None:
            yield Problem(pointer="/most_cost", message="write up to which cost of a request costs are compared")
        if self.prices is None and (self.most_cost is not None or margins.cost is not None):
            yield Problem(pointer="/prices", message="write the prices that costs are computed by")

    def check_chance(self, people_sample: float) -> None:
        """Raise InputInvalid where one of the versions is given too few requests to be compared."""
        chance = chance_of_new(self.share, people_sample)
        if LEAST_CHANCE <= chance <= MOST_CHANCE:
            return
        raise InputInvalid.at(
            "/share",
            sentence(
                "with this share and sample, the new version is given {percent} % of the requests; choose them so "
                "that it is 1 % to 95 %",
                percent=f"{100 * chance:g}",
            ),
        )


def measures_of(row: WorkflowCanary) -> tuple[Measure, ...]:
    """Return what a canary compares, with the margins that were declared."""
    margins = margins_of(row)
    found = [
        Measure(name="duration_seconds", most=row.horizon_seconds, margin=margins.duration_seconds),
        Measure(name="outcome", most=1.0, margin=margins.outcome, either=True),
        Measure(name="sla", most=1.0, margin=margins.sla),
    ]
    if row.most_cost is not None:
        found.append(Measure(name="cost", most=row.most_cost, margin=margins.cost))
    return tuple(found)


def margins_of(row: WorkflowCanary) -> Margins:
    """Return the margins that were declared."""
    return Margins(
        duration_seconds=row.duration_margin_seconds,
        outcome=row.outcome_margin,
        sla=row.sla_margin,
        cost=row.cost_margin,
    )


def refuse(problems: tuple[Problem, ...]) -> None:
    """Raise InputInvalid with these problems, if there are any."""
    if problems:
        first = problems[0]
        raise InputInvalid(
            sentence("{pointer}: {message}", pointer=first.pointer, message=first.message), problems=problems
        )

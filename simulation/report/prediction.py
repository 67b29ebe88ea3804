"""Prediction: how long a request takes, from past response times where there are any, or else by a stated rule.

What is known of past ones was learned where forecasts are (`simulation.scenario.past`); here it is drawn from.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Literal

from placet.engine.state import Task
from placet.plan.graph import Stage
from placet.quantile import quantile
from simulation.report.result import Prediction, milliseconds
from simulation.run.driver import Trace
from simulation.scenario.approver_model import RULE, ApproverModel, Sample
from simulation.scenario.past import ResponseTime

DRAWS = 100  # runs from which the distribution is taken


def predicted_from_rule(trace: Trace, rule: str) -> Prediction:
    """Predict from one run whose response times follow a stated rule."""
    took = milliseconds(trace.duration) if trace.state.status != "pending" else None
    return Prediction(p50_ms=took, p90_ms=took, source="declared", rule=rule)


def predicted_from_history(
    run: Callable[[ApproverModel], Trace], known: Mapping[str, ResponseTime], *, seconds: float, before: str = ""
) -> Prediction:
    """Predict from many runs with response times drawn from `known`, those of the stages that have a past.

    `seconds` of real time bound it; `before` is the start of the text of the rule.
    """
    draw = random.Random(0)  # noqa: S311 - a simulation, and the same result for the same scenario
    once: dict[tuple[str, str], float | None] = {}

    def steady(stage: Stage, task: Task) -> float | None:
        key = (task.id, stage.name)
        if key not in once:
            past = known.get(stage.name)
            once[key] = past.quantile(draw.random()) if past is not None else None
        return once[key]

    def anew(_: int) -> ApproverModel:
        once.clear()
        return ApproverModel(delay=steady)

    decisions = sum(past.ended for past in known.values())
    rule = f"{before}drawn from {decisions} past decisions in {len(known)} stages; elsewhere {RULE}"
    return _distribution(run, anew, source="history", rule=rule, seconds=seconds)


def predicted_from_samples(
    run: Callable[[ApproverModel], Trace],
    sample: Sample,
    approver_model: Callable[[Sample], ApproverModel],
    *,
    seconds: float,
) -> Prediction:
    """Predict from many runs with sampled approvers, with consecutive seeds from that of `sample` on."""

    def next_seed(number: int) -> ApproverModel:
        return approver_model(Sample(seed=sample.seed + number, approve=sample.approve))

    rule = f"{sample.approve:.0%} of decisions approve; times are drawn from the past, elsewhere around this: {RULE}"
    return _distribution(run, next_seed, source="sampled", rule=rule, seconds=seconds)


def _distribution(
    run: Callable[[ApproverModel], Trace],
    approver_model: Callable[[int], ApproverModel],
    *,
    source: Literal["history", "sampled"],
    rule: str,
    seconds: float,
) -> Prediction:
    took: list[int] = []
    end = perf_counter() + seconds
    for number in range(DRAWS):
        if perf_counter() > end:
            break
        trace = run(approver_model(number))
        if trace.state.status != "pending":
            took.append(milliseconds(trace.duration))
    took.sort()
    return Prediction(
        p50_ms=round(quantile(took, 0.5)) if took else None,
        p90_ms=round(quantile(took, 0.9)) if took else None,
        source=source,
        rule=rule,
        samples=len(took),
        distribution_ms=tuple(took),
    )

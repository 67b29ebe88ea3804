"""Sampled approvers: people whose decisions and response times are drawn, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from placet.definition.fields import Model
from placet.engine.state import Decision, Task
from placet.plan.calendar import add_hours
from placet.plan.graph import Stage
from placet.plan.plan import Plan

# What somebody takes to act where neither a script, nor history, nor a deadline says so; in working hours.
WITHOUT_DEADLINE = 1.0
RULE = "an approver takes half of the stage's SLA in working time, or one working hour where it has none"


class Sample(Model):
    """How to draw: the share of tasks that are approved (the others are rejected), and where the draws begin."""

    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    approve: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledApprovers:
    """One set of draws. `known` are past response times by stage name, in seconds; `place` tells requests apart.

    Each draw depends on its task alone, not on what was drawn before, so that every driver draws the same.
    """

    sample: Sample
    known: Mapping[str, Sequence[float]] = field(default_factory=dict)
    place: str = ""

    def decision(self, task: Task) -> Decision:
        """Draw what somebody decides."""
        return "approve" if self._of("decision", task).random() < self.sample.approve else "reject"

    def delay(self, stage: Stage, task: Task) -> timedelta | None:
        """Draw how long it takes from the past of the stage; None where it has none."""
        past = self.known.get(stage.name)
        return timedelta(seconds=self._of("time", task).choice(past)) if past else None

    def pace(self, task: Task) -> float:
        """Draw how many times the usual it takes where there is no past: exponential, 1 on average."""
        return self._of("time", task).expovariate(1.0)

    def _of(self, what: str, task: Task) -> random.Random:
        where = f"{self.sample.seed}|{self.place}|{what}|{task.node}|{task.round}|{task.seat}"
        return random.Random(where)  # noqa: S311 - a simulation, and the same answer for the same question


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverModel:
    """What people do where no script speaks of it.

    `decision` None leaves tasks alone. `after` is the time a decision takes, `delay` a function of (stage, task) that
    gives it instead (drawn from history); without either the rule in RULE holds. `draws` are of sampled approvers: what
    they decide, and how long it takes them.
    """

    decision: Decision | None = "approve"
    after: timedelta | None = None
    delay: Callable[[Stage, Task], timedelta | None] | None = None
    sampled_approvers: SampledApprovers | None = None

    def decision_on(self, task: Task) -> Decision | None:
        """Return what somebody decides, or None where the task is left alone."""
        return self.decision if self.sampled_approvers is None else self.sampled_approvers.decision(task)

    def decision_time(self, plan: Plan, stage: Stage, task: Task) -> datetime:
        """Return when somebody decides this task."""
        if self.after is not None:
            return task.opened_at + self.after
        delay = self.delay if self.sampled_approvers is None else self.sampled_approvers.delay
        drawn = delay(stage, task) if delay is not None else None
        if drawn is not None:
            return task.opened_at + drawn
        seconds = stage.sla.total_seconds() / 2 if stage.sla is not None else WITHOUT_DEADLINE * 3600
        if self.sampled_approvers is not None:
            seconds *= self.sampled_approvers.pace(task)
        return add_hours(plan.calendar, task.opened_at, seconds)

"""The approver model: what approvers decide, and how long they take, where no script says so."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from placet.definition.fields import Model
from placet.engine.state import Decision, Task
from placet.plan.calendar import add_hours
from placet.plan.graph import Stage
from placet.plan.plan import Plan
from simulation.scenario.past import ResponseTime

# Working hours that a person takes where neither a script, nor history, nor a deadline says so.
WITHOUT_DEADLINE = 1.0
RULE = "an approver takes half of the stage's SLA in working time, or one working hour without an SLA"


class Sample(Model):
    """Settings of sampled approvers: the share of tasks they approve (they reject the others), and the random seed."""

    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    approve: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledApprovers:
    """Draw decisions and response times at random, the same ones for the same seed.

    `known` are past response times by stage name; `place` distinguishes requests. Each draw depends on its
    task alone and not on earlier draws, so that explore and rehearse draw the same.
    """

    sample: Sample
    known: Mapping[str, ResponseTime] = field(default_factory=dict)
    place: str = ""

    def decision(self, task: Task) -> Decision:
        """Draw a decision on a task."""
        return "approve" if self._of("decision", task).random() < self.sample.approve else "reject"

    def delay(self, stage: Stage, task: Task) -> float | None:
        """Draw a response time from past ones of the stage, in seconds of working time; None where there are none."""
        past = self.known.get(stage.name)
        return past.quantile(self._of("time", task).random()) if past is not None else None

    def pace(self, task: Task) -> float:
        """Draw a factor on the default response time, for stages without a past: exponential, 1 on average."""
        return self._of("time", task).expovariate(1.0)

    def _of(self, what: str, task: Task) -> random.Random:
        where = f"{self.sample.seed}|{self.place}|{what}|{task.node}|{task.round}|{task.seat}"
        return random.Random(where)  # noqa: S311 - a simulation, and the same result for the same scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproverModel:
    """What approvers decide and how long they take.

    With `decision` None they leave tasks alone. `after` is a fixed response time; `delay` computes it from the stage
    and the task, in seconds of working time (drawn from history). Without either, RULE applies. `sampled_approvers`
    replace all of these.
    """

    decision: Decision | None = "approve"
    after: timedelta | None = None
    delay: Callable[[Stage, Task], float | None] | None = None
    sampled_approvers: SampledApprovers | None = None

    def decision_on(self, task: Task) -> Decision | None:
        """Return the decision on a task, or None where the task is left alone."""
        return self.decision if self.sampled_approvers is None else self.sampled_approvers.decision(task)

    def decision_time(self, plan: Plan, stage: Stage, task: Task) -> datetime:
        """Return when a task is decided."""
        if self.after is not None:
            return task.opened_at + self.after
        delay = self.delay if self.sampled_approvers is None else self.sampled_approvers.delay
        drawn = delay(stage, task) if delay is not None else None
        if drawn is not None:
            return add_hours(plan.calendar, task.opened_at, drawn)
        seconds = stage.sla.total_seconds() / 2 if stage.sla is not None else WITHOUT_DEADLINE * 3600
        if self.sampled_approvers is not None:
            seconds *= self.sampled_approvers.pace(task)
        return add_hours(plan.calendar, task.opened_at, seconds)

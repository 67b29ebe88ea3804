"""Response times of a process, whatever its version: what simulations draw the waits of tasks from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from insight.forecast.delays import Delays, waits_of
from insight.forecast.past_task import PastTask
from insight.forecast.survival import Survival
from placet.plan.calendar import Calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTasks:
    """Tasks of a process as they were known at a moment."""

    tasks: Sequence[PastTask]
    moment: datetime

    def response_times(self, calendar: Calendar) -> Mapping[str, Survival]:
        """Return how long tasks of the stages with enough decisions wait, in seconds of working time."""
        waits = list(waits_of(self.tasks, self.moment, calendar))
        return Delays.of(waits).stages if any(wait.decision is not None for wait in waits) else {}

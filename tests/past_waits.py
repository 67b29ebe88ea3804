"""A past that simulations draw response times from, given by how long the tasks of each stage waited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from insight.forecast.past_task import PastTask
from insight.forecast.response_times import PastTasks
from tests.unit.core import START


def waits(seconds: Mapping[str, Sequence[float]]) -> PastTasks:
    """Return a past whose decisions were made after these seconds, and that is known as of the tests' start."""
    opened = START - timedelta(days=30)
    tasks = [
        PastTask(
            stage=stage,
            person="past",
            opened_at=opened,
            closed_at=opened + timedelta(seconds=each),
            decision="approve",
        )
        for stage, several in seconds.items()
        for each in several
    ]
    return PastTasks(tasks=tasks, moment=START)

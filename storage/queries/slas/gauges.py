"""The gauges of SLOs, counted when they are read, so that windows roll by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from storage.queries.slas.definitions import window_counts

PERCENTAGE: Final = "workflow_sla_percentage"
EXECUTIONS: Final = "workflow_slo_executions"
BREACHED: Final = "workflow_slo_breached_executions"
TARGET: Final = "workflow_slo_target_percentage"


def slo_gauges(connection: Connection, now: datetime) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the gauges of every SLA that is switched on, by their labels.

    The percentage of a process is the lowest of those of its SLAs; without an execution in their windows it has none.
    """
    found: dict[str, dict[tuple[str, ...], float]] = {PERCENTAGE: {}, EXECUTIONS: {}, BREACHED: {}, TARGET: {}}
    for sla, counted in window_counts(connection, now):
        labels = (sla.template, sla.name, sla.id)
        found[EXECUTIONS][labels] = counted.total
        found[BREACHED][labels] = counted.breached
        found[TARGET][labels] = sla.slo_target_percentage
        if counted.total:
            met = 100 * (counted.total - counted.breached) / counted.total
            lowest = found[PERCENTAGE]
            lowest[sla.template,] = min(met, lowest.get((sla.template,), met))
    return found

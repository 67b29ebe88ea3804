"""The figures of each stage: decisions, approvals with Wilson's lower bound, waits, and whether a machine decides."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, Final

from insight.event_logs.course import Course
from insight.mining.statistics import wilson
from placet.quantile import quantile

QUANTILES: Final = (0.5, 0.9, 0.99)
MACHINE_SECONDS: Final = 120.0  # at the median: nobody looks at a request for less, from the event before
_HOUR = 3_600_000  # milliseconds


class StageFigures:
    """Collects the visits of every stage."""

    def __init__(self) -> None:
        self._waits: dict[str, array[float]] = {}
        self._approved: dict[str, int] = {}
        self._returned: dict[str, int] = {}

    def add(self, course: Course) -> None:
        """Count the visits of a case."""
        for visit in course.visits:
            self._waits.setdefault(visit.stage, array("d")).append((visit.at - visit.opened) / _HOUR)
            self._approved[visit.stage] = self._approved.get(visit.stage, 0) + (visit.decision == "approve")
            self._returned[visit.stage] = self._returned.get(visit.stage, 0) + (visit.decision == "request_changes")

    def described(self) -> list[dict[str, Any]]:
        """Return the figures as JSON values, the stage with most decisions first; waits are in hours."""
        found = []
        for stage, waits in sorted(self._waits.items(), key=lambda item: -len(item[1])):
            ordered = sorted(waits)
            approved, count = self._approved[stage], len(ordered)
            p50, p90, p99 = (quantile(ordered, q) for q in QUANTILES)
            found.append(
                {
                    "stage": stage,
                    "decisions": count,
                    "approved": approved,
                    "returned": self._returned[stage],
                    "approval_rate": round(approved / count, 4),
                    "approval_rate_low": round(wilson(approved, count)[0], 4),
                    "wait_hours": {"p50": round(p50, 3), "p90": round(p90, 3), "p99": round(p99, 3)},
                    "machine": p50 * 3600 < MACHINE_SECONDS,
                }
            )
        return found


def figures_of(courses: Iterable[Course]) -> list[dict[str, Any]]:
    """Return the figures of the stages of these cases."""
    figures = StageFigures()
    for course in courses:
        figures.add(course)
    return figures.described()

"""The course of an SLO's window: how its executions fared, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from insight.slas.window import figures
from service.slas.monitoring import Window, unjudged
from storage.queries.slas import definitions
from storage.tables.slas import WorkflowSla

PARTS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a window: executions of which it became known in it how they fared, and those that missed."""

    begin: datetime
    end: datetime
    total: int
    breached: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A window and its parts of equal length, the earliest first."""

    window: Window
    parts: tuple[Part, ...]


def course_of(connection: Connection, sla: WorkflowSla, now: datetime) -> Course:
    """Return the course of the window that ends now, with what has not been judged yet."""
    start = now - timedelta(hours=sla.slo_window_hours)
    length = (now - start) / PARTS
    bounds = [start + length * number for number in range(PARTS)] + [now]
    totals, missed = [0] * PARTS, [0] * PARTS
    for number in range(PARTS):
        counted = definitions.counts(connection, sla.id, bounds[number], bounds[number + 1])
        totals[number], missed[number] = counted.total, counted.breached
    for one in unjudged(connection, sla, now):
        if start < one.known_at <= now:
            number = next(number for number in range(PARTS) if one.known_at <= bounds[number + 1])
            totals[number] += one.by
            missed[number] += one.by * one.breached
    return Course(
        window=Window(start=start, end=now, figures=figures(sum(totals), sum(missed), sla.slo_target_percentage)),
        parts=tuple(
            Part(begin=bounds[number], end=bounds[number + 1], total=totals[number], breached=missed[number])
            for number in range(PARTS)
        ),
    )

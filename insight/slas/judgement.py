"""The verdict of an SLA on one execution: how long it has taken, which thresholds it has exceeded, and when.

A threshold is exceeded by more than its seconds; exactly as many keep it. What is known early is known early: an
execution that is open beyond its target has missed it, whatever comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from insight.slas.executions import Execution
from placet.plan.calendar import Calendar, add_hours, next_working, working_seconds

Severity = Literal["warning", "critical"]
"""Of a breach: `warning` where the target is exceeded, `critical` where the critical threshold is."""
AROUND_THE_CLOCK: Final = Calendar(timezone="UTC", always=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The thresholds of an SLA in seconds; `warn` ≤ `target` ≤ `critical`."""

    target: float
    warn: float | None = None
    critical: float | None = None

    @property
    def breached_beyond(self) -> tuple[tuple[Severity, float], ...]:
        """Which breach there is beyond which threshold."""
        target: tuple[Severity, float] = ("warning", self.target)
        return (target,) if self.critical is None else (target, ("critical", self.critical))


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A threshold that was exceeded from a moment on."""

    severity: Severity
    threshold: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an SLA says of an execution.

    `met` is None as long as nothing is known, and where the execution was broken off in time; else it is known since
    `known_at`. `seconds` are those until its end, or until now. `look_at` is when an open one exceeds the next
    threshold.
    """

    seconds: float
    met: bool | None
    known_at: datetime | None
    warned: bool
    breaches: tuple[Breach, ...]
    look_at: datetime | None


def judge(terms: Terms, execution: Execution, now: datetime, calendar: Calendar = AROUND_THE_CLOCK) -> Verdict:
    """Judge an execution as it is known at a moment; `calendar` says which time counts."""
    began, ended = execution.began_at, execution.ended_at
    seconds = max(0.0, working_seconds(calendar, began, ended or now))
    breaches = [
        Breach(severity=severity, threshold=threshold, at=exceeded_at(calendar, began, threshold))
        for severity, threshold in terms.breached_beyond
        if seconds > threshold
    ]
    late = bool(breaches)
    ahead = [t for t in (terms.warn, terms.target, terms.critical) if t is not None and seconds <= t]
    in_time = ended is not None and execution.settled and not late
    return Verdict(
        seconds=seconds,
        met=False if late else True if in_time else None,
        known_at=breaches[0].at if late else ended if in_time else None,
        warned=terms.warn is not None and seconds > terms.warn,
        breaches=tuple(breaches),
        look_at=exceeded_at(calendar, began, min(ahead)) if ended is None and ahead else None,
    )


def exceeded_at(calendar: Calendar, began: datetime, threshold: float) -> datetime:
    """Return from when on an execution has taken longer than a threshold, if it is still open then."""
    return next_working(calendar, add_hours(calendar, began, threshold))

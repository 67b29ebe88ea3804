"""Waits: for a time, until a date or moment, or for something that happens outside."""

from __future__ import annotations

from datetime import date, datetime

from placet.conditions import evaluate
from placet.errors import EvaluationFailed
from placet.facts import values_at
from placet.points import Pause, Point
from placet.reasons import because
from placet.run import Run
from placet.sealed import Sealed
from placet.state import Waiting
from placet.zones import midnight


def begin_wait(run: Run, point: Point) -> str | None:
    """Begin to wait; returns the result at once where there is nothing to wait for, None while it waits.

    Raises EvaluationFailed where the moment cannot be computed.
    """
    pause = pause_of(point)
    until = until_of(run, pause, run.now)
    if pause.event is None and until is not None and until <= run.now:
        run.record("waited", node=point.id, until=until, why=because("moment_passed"), result="elapsed")
        return "elapsed"
    visit = run.visit(point.id)
    run.waits[point.id] = Waiting(point=point.id, visit=visit, since=run.now, until=until, event=pause.event)
    run.record("waiting", node=point.id, until=until, event=pause.event)
    return None


def end_wait(run: Run, point: Point, result: str) -> None:
    """End a wait that has come to its result: `elapsed`, `event` or `timeout`."""
    wait = run.waits.pop(point.id)
    run.record("waited", node=point.id, due=wait.until if result != "event" else None, event=wait.event, result=result)


def pause_of(point: Point) -> Pause:
    """Return what a wait node waits for."""
    assert point.pause is not None, f"{point.id} is a wait"  # noqa: S101
    return point.pause


def until_of(run: Run, pause: Pause, since: datetime) -> datetime | None:
    """Return until when a wait that began `since` lasts; raises EvaluationFailed where it cannot be computed."""
    if pause.hours is not None:
        return run.after(since, pause.hours)
    if pause.until is None:
        return run.after(since, pause.timeout) if pause.timeout is not None else None
    value = evaluate(pause.until, values_at(run, since), run.allowance)
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        try:
            return midnight(value, pause.offsets)
        except OverflowError:
            raise EvaluationFailed(because("no_day", value=Sealed(str(value)))) from None
    raise EvaluationFailed(because("no_moment"))

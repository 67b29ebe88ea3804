"""The wait for a moment that a timer woke a workflow for: by the engine's clock, which this process's only shortens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from activities import due_moment
from activities.due_moment import LONGEST_WAIT, wait_until
from activities.messages import DueMoment
from workflows.interface import TIMER_LEAD

LEAD = timedelta(seconds=TIMER_LEAD)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class _Clock(datetime):
    here = NOW  # what this process takes for the time

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # the clock of a test knows only UTC
        return cls.here


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the seconds that are waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(due_moment.asyncio, "sleep", sleep)
    monkeypatch.setattr(due_moment, "datetime", _Clock)
    return waited


@pytest.mark.parametrize(
    ("at", "due", "here", "expected", "waited"),
    [
        # the rest of the lead passes, and it is the moment
        (NOW, NOW + LEAD, NOW, NOW + LEAD, [TIMER_LEAD]),
        # a busy engine took most of the lead before this began
        (NOW, NOW + LEAD, NOW + 0.75 * LEAD, NOW + LEAD, [TIMER_LEAD / 4]),
        # it took more than the lead
        (NOW, NOW + LEAD, NOW + 2 * LEAD, NOW + LEAD, []),
        # the moment is past: what is late happens when it happens
        (NOW + LEAD, NOW, NOW, NOW + LEAD, []),
        # the engine's clock is ahead by a year, as in virtual time, or this process's is behind by one
        (
            NOW + timedelta(days=365),
            NOW + timedelta(days=365) + LEAD,
            NOW,
            NOW + timedelta(days=365) + LEAD,
            [TIMER_LEAD],
        ),
        # this process's clock is ahead by an hour, or it was stopped for longer than a moment is waited for
        (NOW, NOW + LEAD, NOW + timedelta(hours=1), NOW + LEAD, [TIMER_LEAD]),
        # a deadline was moved while this waited for its turn: nothing is due yet
        (NOW, NOW + 2 * LONGEST_WAIT, NOW, NOW, []),
    ],
)
async def test_a_moment_is_waited_for_and_told(
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    at: datetime,
    due: datetime,
    here: datetime,
    expected: datetime,
    waited: list[float],
) -> None:
    monkeypatch.setattr(_Clock, "here", here)
    assert await wait_until(DueMoment(at=at, due=due)) == expected
    assert waits == pytest.approx(waited)


def test_the_lead_is_one_that_is_waited_for() -> None:
    assert LEAD < LONGEST_WAIT

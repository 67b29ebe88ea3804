"""The database's clock is asked now and then, and nobody else reads a machine's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage import clock
from storage.clock import ASKED_AGAIN_AFTER, SharedClock

ROOT = Path(clock.__file__).parents[1]
STANDSTILL = 120.0  # seconds of a database
THERE = datetime(2026, 3, 2, 9, tzinfo=UTC)


class _Asked:
    """A connection to PostgreSQL that has one answer, and counts the questions."""

    dialect = SimpleNamespace(name="postgresql")

    def __init__(self) -> None:
        self.times = 0

    def execute(self, _statement: object) -> Any:
        self.times += 1
        return SimpleNamespace(scalar_one=lambda: THERE)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the seconds that have passed, in a list of one, for a test to change."""
    seconds = [1_000.0]
    monkeypatch.setattr(clock, "_passed", lambda: seconds[0])
    return seconds


@pytest.fixture
def ours(passed: list[float]) -> SharedClock:
    """Give a clock that PostgreSQL was asked for once."""
    asked: Any = _Asked()
    ours = SharedClock("postgresql")
    ours.follow(asked)
    assert passed == [1_000.0]
    return ours


def test_it_goes_on_by_a_clock_that_nobody_sets_until_it_asks_again(passed: list[float], ours: SharedClock) -> None:
    connection: Any = _Asked()
    assert ours.now() == THERE
    passed[0] += ASKED_AGAIN_AFTER - 1
    ours.follow(connection)
    assert (connection.times, ours.now()) == (0, THERE + timedelta(seconds=ASKED_AGAIN_AFTER - 1))
    passed[0] += 2
    ours.follow(connection)
    assert (connection.times, ours.now()) == (1, THERE)


def test_an_answer_that_took_long_does_not_count(passed: list[float], ours: SharedClock) -> None:
    connection: Any = _Asked()
    passed[0] += ASKED_AGAIN_AFTER + 1
    slow: Any = SimpleNamespace(dialect=connection.dialect, execute=lambda _: _slow(passed))
    ours.follow(slow)
    assert ours.now() == THERE + timedelta(seconds=ASKED_AGAIN_AFTER + 1 + STANDSTILL)
    ours.follow(connection)
    assert ours.now() == THERE, "it asks again at the next transaction"


def _slow(passed: list[float]) -> Any:
    passed[0] += STANDSTILL
    return SimpleNamespace(scalar_one=lambda: THERE + timedelta(days=1))


def test_sqlite_is_not_asked() -> None:
    connection: Any = None
    SharedClock("sqlite").follow(connection)
    assert abs(SharedClock("sqlite").now() - datetime.now(UTC)) < timedelta(minutes=5)


def test_what_processes_share_is_told_by_no_other_clock() -> None:
    shared = ("storage", "activities", "service", "worker", "api", "web", "cli/commands")
    read = sorted(
        str(file.relative_to(ROOT))
        for folder in shared
        for file in (ROOT / folder).rglob("*.py")
        if any(reads in file.read_text() for reads in ("datetime.now(", "time.time(", "TimedSerializer("))
    )
    assert read == [
        "activities/due_moment.py",  # asks whether its own machine is ahead of the engine
        "activities/notifications/channels/mailbox.py",  # when a mail arrived
        "activities/notifications/channels/mime.py",  # a mail's date
        "activities/timed_signatures.py",  # is told the time
        "cli/commands/keys.py",  # when a key came into a file
        "service/context.py",  # the default of contexts, which processes that serve somebody replace
        "storage/clock.py",
    ]

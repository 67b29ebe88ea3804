"""Waits double up to a limit; a channel that fails is left alone for a while, then looked at with one message."""

from __future__ import annotations

from datetime import timedelta

from activities.notifications.delivery.retry import FAILURES_IN_A_ROW, Backoff, CircuitBreaker

BACKOFF = Backoff(first=timedelta(seconds=1), most=timedelta(seconds=10))


def test_waits_double_with_jitter_up_to_the_most() -> None:
    for attempts, whole in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (500, 10)):
        waits = [BACKOFF.after(attempts).total_seconds() for _ in range(50)]
        assert whole / 2 <= min(waits)
        assert max(waits) <= whole
        assert len(set(waits)) > 1


def test_a_channel_that_fails_in_a_row_is_left_alone_then_tried_with_one() -> None:
    breaker = CircuitBreaker(BACKOFF)
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.failed(0.0)
    assert breaker.allows(0.0) is None
    breaker.failed(0.0)
    assert breaker.allows(0.0) == 0
    assert breaker.allows(1.0) == 1
    breaker.failed(1.0)
    assert breaker.allows(1.9) == 0
    breaker.succeeded()
    assert breaker.allows(1.9) is None


def test_a_success_between_failures_begins_the_count_anew() -> None:
    breaker = CircuitBreaker(BACKOFF)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.allows(0.0) is None

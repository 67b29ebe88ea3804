"""Shrinking: from a schedule that violates something to a short one with few faults that violates the same."""

from __future__ import annotations

import re

from tests.faults.schedule import Outcome, play


def kind_of(violation: str) -> str:
    """Return what a violation is about, without names and numbers."""
    return re.sub(r"\[.*|\d+|\S*[0-9:]\S*", "", violation)[:40]


def shrink(seed: int, found: Outcome, *, attempts: int = 400) -> Outcome:
    """Return the simplest schedule that was found in so many attempts; it is replayed from its choices."""
    assert found.violation is not None
    wanted, best, left = kind_of(found.violation), found, attempts

    def accepted(made: list[int]) -> bool:
        nonlocal best, left
        if left <= 0 or tuple(made) == best.made:
            return False
        left -= 1
        outcome = play(seed, played=made)
        if outcome.violation is None or kind_of(outcome.violation) != wanted:
            return False
        if _size(outcome) >= _size(best):
            return False
        best = outcome
        return True

    # What comes after the violation is not needed; nor, perhaps, is what comes shortly before it.
    length = len(best.made)
    while length > 8 and accepted(list(best.made[: length * 3 // 4])):
        length = len(best.made)
    size = max(1, len(best.made) // 4)
    while size and left > 0:
        start = 0
        while start < len(best.made) and left > 0:
            end = min(len(best.made), start + size)
            made = list(best.made)
            if any(made[start:end]):
                calm = [*made[:start], *([0] * (end - start)), *made[end:]]
                if not accepted(calm):
                    accepted([*made[:start], *made[end:]])
            start = end
        size //= 2
    return best


def _size(outcome: Outcome) -> tuple[int, int, int]:
    """Order schedules: by faults, then by choices that are not the simplest, then by their number."""
    return outcome.faults, sum(1 for one in outcome.made if one), outcome.steps

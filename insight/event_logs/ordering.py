"""The order of the stages of a log: which comes before which, and which run side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

Rounds = Sequence[Sequence[str]]
"""The stages of each round, in the order in which they decided."""
_BOTH_WAYS = 0.25  # the share of the rarer order from which two stages count as side by side


class Precedence:
    """How often each stage decided before each other one."""

    def __init__(self, rounds: Rounds) -> None:
        self.before: Counter[tuple[str, str]] = Counter()
        self._places: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        for stages in rounds:
            once = list(dict.fromkeys(stages))
            for place, stage in enumerate(once):
                self._places[stage] += place
                self._counts[stage] += 1
                for later in once[place + 1 :]:
                    self.before[stage, later] += 1

    def ordered(self, stages: Sequence[str]) -> list[str]:
        """Return the stages so that what mostly comes first stands first; a circle begins at the earliest."""
        left = sorted(stages, key=lambda one: (self._places[one] / max(1, self._counts[one]), one))
        found: list[str] = []
        while left:
            free = (
                one
                for one in left
                if not any(self.before[other, one] > self.before[one, other] for other in left if other != one)
            )
            following = next(free, left[0])
            left.remove(following)
            found.append(following)
        return found

    def side_by_side(self, one: str, other: str, least: int) -> bool:
        """Say whether two stages decide in either order so often that neither waits for the other."""
        first, second = self.before[one, other], self.before[other, one]
        return min(first, second) >= max(least, _BOTH_WAYS * (first + second))

    def groups(self, ordered: Sequence[str], least: int) -> list[list[str]]:
        """Divide ordered stages into those that are asked together, each group in its order."""
        found: list[list[str]] = []
        for stage in ordered:
            if found and all(self.side_by_side(stage, other, least) for other in found[-1]):
                found[-1].append(stage)
            else:
                found.append([stage])
        return found

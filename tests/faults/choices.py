"""Choices: everything that a schedule leaves open is drawn here, so that a seed or a list of numbers repeats it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Draws numbers from a seed, or plays a list of them back; after its end every choice is 0.

    0 is the choice in which nothing goes wrong and the oldest action comes first. So a list with more zeros, or a
    shorter one, is a simpler schedule.
    """

    def __init__(self, seed: int, *, played: Sequence[int] | None = None) -> None:
        self._random = random.Random(seed)
        self._played = played
        self.made: list[int] = []

    @property
    def replays(self) -> bool:
        """Whether a list is played back."""
        return self._played is not None

    def number(self, options: int, *, calm: float = 0.0) -> int:
        """Draw a number below `options`; with probability `calm` it is 0, whatever the others."""
        if options <= 1:
            return 0
        if self._played is not None:
            at = len(self.made)
            drawn = min(self._played[at], options - 1) if at < len(self._played) else 0
        elif calm and self._random.random() < calm:
            drawn = 0
        else:
            drawn = self._random.randrange(options)
        self.made.append(drawn)
        return drawn

    def one(self, options: Sequence[T], *, calm: float = 0.0) -> T:
        """Draw one of several; the first is the simplest."""
        return options[self.number(len(options), calm=calm)]

    def happens(self, probability: float) -> bool:
        """Draw whether something unusual happens."""
        if self._played is not None:
            return self.number(2) == 1
        calm = 1 - 2 * probability
        usual = probability <= 0 or (calm > 0 and self._random.random() < calm)
        unusual = not usual and self._random.randrange(2) == 1
        self.made.append(int(unusual))
        return unusual

"""Survival: how long a wait lasts, by waits that ended and those of which only a least length is known.

The estimate is that of Kaplan and Meier: a wait that is not over yet counts among those that lasted at least so long,
so that slow waits, which are the ones still going on, are not left out. Times are seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log
from operator import neg

_ROUNDING = 1e-12  # of a product of many shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """The share of waits that last longer than a time: `surviving[i]` of them outlast `times[i]`, which ascend.

    Beyond the last time it falls exponentially; `tail` is how long a wait then lasts on average: all the time that was
    waited for each wait that ended.
    """

    times: tuple[float, ...]
    surviving: tuple[float, ...]
    tail: float
    ended: int
    censored: int

    @classmethod
    def of(cls, ended: Iterable[float], censored: Iterable[float] = ()) -> Survival:
        """Estimate it from waits that ended, and from how long others have lasted at least; none may be negative.

        Raises ValueError where no wait ended.
        """
        ends, left = Counter(ended), Counter(censored)
        if not ends:
            raise ValueError("no wait has ended")
        count = ends.total()
        waiting = count + left.total()
        total = sum(time * times for time, times in (ends + left).items())
        times: list[float] = []
        surviving: list[float] = []
        share = 1.0
        # Of waits of the same length, those that ended come before those that only lasted so long.
        for time in sorted(ends.keys() | left.keys()):
            if ends[time]:
                share *= 1 - ends[time] / waiting
                times.append(time)
                surviving.append(max(share, 0.0))
            waiting -= ends[time] + left[time]
        return cls(
            times=tuple(times),
            surviving=tuple(surviving),
            tail=max(total / count, 1.0),
            ended=count,
            censored=left.total(),
        )

    def beyond(self, time: float) -> float:
        """Return the share of waits that last longer than this."""
        at = bisect_right(self.times, time)
        if at == 0:
            return 1.0
        share = self.surviving[at - 1]
        return share * exp(-(time - self.times[-1]) / self.tail) if at == len(self.times) else share

    def remaining(self, waited: float, share: float) -> float:
        """Return how much longer it takes until this share of those that have lasted `waited` have ended.

        `share` lies between 0 and 1, both excluded; a share drawn evenly gives a wait drawn from those that are left.
        """
        if not 0 < share < 1:
            raise ValueError(f"a share lies between 0 and 1, and {share} does not")
        if waited >= self.times[-1]:
            return -self.tail * log(1 - share)
        # What was waited lies before the last time, so that somebody outlasted it, or it is the very share that ended.
        return max(self._time_of(self.beyond(waited) * (1 - share)) - waited, 0.0)

    def quantile(self, share: float) -> float:
        """Return the time by which this share of all waits have ended; `share` lies between 0 and 1, both excluded."""
        return self._time_of(1 - share)

    def _time_of(self, surviving: float) -> float:
        """Return the first time that no more than this share outlasts."""
        at = bisect_left(self.surviving, -surviving - _ROUNDING, key=neg)
        if at < len(self.times):
            return self.times[at]
        return self.times[-1] + self.tail * log(self.surviving[-1] / surviving)

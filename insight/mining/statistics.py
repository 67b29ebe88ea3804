"""Statistics: exact tails, bounds of shares and quantiles, and what is significant among many tests.

Sources: Wilson (1927) for the interval of a share; Benjamini and Yekutieli (2001) for many tests that depend on each
other. Tails are summed term by term from `math.lgamma`, exact to about eight digits up to a million occurrences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Z95 = 1.959963984540054  # of a two-sided interval of 95 %
FALSE_DISCOVERIES = 0.05  # the expected share of false findings among those of one run
_NEGLIGIBLE = 1e-17


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson interval of a share; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, z * z
    middle = share + square / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    below, above = (middle - half) / (1 + square / trials), (middle + half) / (1 + square / trials)
    return max(0.0, below), min(1.0, above)


def at_least(successes: int, trials: int, share: float) -> float:
    """Return the chance of so many successes or more where each trial succeeds with this chance (binomial)."""
    if successes <= 0:
        return 1.0
    if successes > trials or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    if successes <= trials * share:
        return 1 - at_least(trials - successes + 1, trials, 1 - share)
    odds = share / (1 - share)
    first = (
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(share)
        + (trials - successes) * math.log1p(-share)
    )
    return _tail(first, successes, trials, lambda k: (trials - k) / (k + 1) * odds)


def at_most(successes: int, trials: int, share: float) -> float:
    """Return the chance of so many successes or fewer."""
    return at_least(trials - successes, trials, 1 - share)


def drawn_at_least(marked_drawn: int, drawn: int, marked: int, total: int) -> float:
    """Return the chance that so many or more of the drawn ones are marked, drawn blindly from all (hypergeometric)."""
    if marked_drawn <= max(0, drawn + marked - total):
        return 1.0
    if marked_drawn > min(drawn, marked):
        return 0.0
    if marked_drawn <= drawn * marked / total:  # sum the other, shorter side: unmarked ones that are drawn
        return 1 - drawn_at_least(drawn - marked_drawn + 1, drawn, total - marked, total)
    first = _choices(marked, marked_drawn) + _choices(total - marked, drawn - marked_drawn) - _choices(total, drawn)
    rest = total - marked - drawn
    return _tail(
        first, marked_drawn, min(drawn, marked), lambda k: (marked - k) * (drawn - k) / ((k + 1) * (rest + k + 1))
    )


def _choices(total: int, chosen: int) -> float:
    """Return the logarithm of the binomial coefficient."""
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _tail(log_first: float, begin: int, end: int, ratio: Callable[[int], float]) -> float:
    """Sum terms from `begin` to `end` of which the logarithm of the first and each one's share of the next are known.

    It stops where the rest, which falls at least geometrically behind the mean, changes nothing.
    """
    term = total = 1.0
    for k in range(begin, end):
        factor = ratio(k)
        term *= factor
        total += term
        if factor < 1 and term < _NEGLIGIBLE * total * (1 - factor):
            break
    return min(1.0, math.exp(log_first + math.log(total)))


def quantile_above(ordered: Sequence[float], share: float, doubt: float = 0.025) -> float | None:
    """Return a value that the quantile of this share does not exceed, but for a doubt; None where there are too few.

    The rank is that of the binomial bound of order statistics, for values in rising order.
    """
    count = len(ordered)
    low, high = 0, count + 1
    while low < high:  # the least rank for which fewer values than it lie below the quantile, but for the doubt
        middle = (low + high) // 2
        if at_least(middle, count, share) <= doubt:
            high = middle
        else:
            low = middle + 1
    return ordered[low - 1] if 1 <= low <= count else None


def significant(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[bool]:
    """Say which of these tests are significant among all of them (Benjamini-Yekutieli).

    Whatever depends on what, at most `FALSE_DISCOVERIES` of what is called significant is expected to be false. The
    weaker procedure of Benjamini and Hochberg promises that for tests that rise and fall together; those of one stage's
    people do not, since one person's long waits make the others' shorter by comparison. Weights, which have to be fixed
    before the p-values are seen, give some tests more of the share than others (Genovese, Roeder and Wasserman, 2006).
    """
    count = len(p_values)
    given = list(weights) if weights is not None else [1.0] * count
    mean = math.fsum(given) / count if count else 1.0
    weighted = [p_value * mean / weight for p_value, weight in zip(p_values, given, strict=True)]
    harmonic = math.fsum(1 / k for k in range(1, count + 1))
    limit = -1.0
    for rank, p_value in enumerate(sorted(weighted), 1):
        if p_value <= FALSE_DISCOVERIES * rank / (count * harmonic):
            limit = p_value
    return [p_value <= limit for p_value in weighted]

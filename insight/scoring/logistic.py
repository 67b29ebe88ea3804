"""Logistic regression with a ridge penalty, by Newton's method: small, exact, and the same in every run.

Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2nd ed.), 4.4.1 and 3.4.1. A few hundred
rows of some twenty features take less than a second, so no library is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_STEPS = 30  # of Newton's method, which needs fewer than ten
_CLOSE = 1e-9
_FARTHEST = 30.0  # of a linear predictor: beyond, a chance is 0 or 1 to all digits


def chance_of(predictor: float) -> float:
    """Return the logistic function."""
    return 1 / (1 + math.exp(-max(-_FARTHEST, min(_FARTHEST, predictor))))


def fit(rows: Sequence[Sequence[float]], labels: Sequence[float], *, ridge: float = 1.0) -> list[float]:
    """Return the coefficients, the intercept first, that fit labels from 0 to 1; the intercept is not penalised.

    With a penalty they exist also where the labels can be told apart without a fault.
    """
    table = [(1.0, *row) for row in rows]
    size = len(table[0])
    found = [0.0] * size
    for _ in range(_STEPS):
        slope = [0.0] + [-ridge * one for one in found[1:]]
        curve = [[ridge if i == k and i else 0.0 for k in range(i + 1)] for i in range(size)]  # the lower triangle
        curve[0][0] = _CLOSE
        for row, label in zip(table, labels, strict=True):
            chance = chance_of(math.fsum(a * b for a, b in zip(found, row, strict=True)))
            weight, miss = chance * (1 - chance), label - chance
            for i, value in enumerate(row):
                if value:
                    slope[i] += miss * value
                    scaled, line = weight * value, curve[i]
                    for k in range(i + 1):
                        line[k] += scaled * row[k]
        step = _solved(curve, slope)
        found = [one + more for one, more in zip(found, step, strict=True)]
        if max(map(abs, step)) < _CLOSE:
            break
    return found


def _solved(lower: list[list[float]], right: Sequence[float]) -> list[float]:
    """Solve a symmetric, positive definite system, of which the lower triangle is given (Cholesky)."""
    size = len(lower)
    root: list[list[float]] = []
    for i in range(size):
        line: list[float] = []
        for k in range(i + 1):
            rest = lower[i][k] - math.fsum(line[n] * (line if i == k else root[k])[n] for n in range(k))
            line.append(math.sqrt(max(rest, _CLOSE)) if i == k else rest / root[k][k])
        root.append(line)
    halfway: list[float] = []
    for i in range(size):
        halfway.append((right[i] - math.fsum(root[i][k] * halfway[k] for k in range(i))) / root[i][i])
    found = [0.0] * size
    for i in reversed(range(size)):
        found[i] = (halfway[i] - math.fsum(root[k][i] * found[k] for k in range(i + 1, size))) / root[i][i]
    return found

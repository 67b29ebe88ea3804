"""A shallow tree: the rule of at most two tests that explains best whether something happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, TypeAlias

from insight.event_logs.fields import Field, Value

Row = Sequence[Value | None]
DEEPEST: Final = 2
_LEAST = 10  # rows of a leaf
_MOST_THRESHOLDS = 400  # of one field that are tried, evenly spread over its values
_MOST_TEXTS = 30  # different texts of one field that are tried, the most frequent first


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A test of one field: above a number, or equal to a text or truth value. What is absent fails it."""

    field: Field
    place: int
    above: Decimal | None = None
    equals: str | bool | None = None

    def holds(self, row: Row) -> bool:
        """Say whether a row passes."""
        value = row[self.place]
        if value is None:
            return False
        if self.above is not None:
            return not isinstance(value, str | bool) and value > self.above
        return value == self.equals

    def written(self, *, negated: bool = False) -> str:
        """Write it as a condition."""
        name = self.field.name
        if self.above is not None:
            test = f"{name} {'<=' if negated else '>'} {self.above:f}"
        elif isinstance(self.equals, bool):
            test = f"{name} == {str(self.equals is not negated).lower()}"
        else:
            test = f"{name} {'!=' if negated else '=='} {_text(str(self.equals))}"
        if self.field.always:
            return test
        return f"({name} == null || {test})" if negated else f"({name} != null && {test})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """What a tree comes to."""

    happens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A test with what follows where it holds, and where it does not."""

    test: Test
    yes: Tree
    no: Tree


Tree: TypeAlias = Leaf | Split


def happens(tree: Tree, row: Row) -> bool:
    """Say what a tree predicts."""
    while isinstance(tree, Split):
        tree = tree.yes if tree.test.holds(row) else tree.no
    return tree.happens


def accuracy(tree: Tree, rows: Sequence[Row], labels: Sequence[bool]) -> float:
    """Return the share of rows that a tree predicts."""
    return sum(happens(tree, row) == label for row, label in zip(rows, labels, strict=True)) / max(1, len(rows))


def condition(tree: Tree) -> str:
    """Write a tree as one condition; it is a split."""
    ways = [" && ".join(way) for way in _ways(tree)]
    return ways[0] if len(ways) == 1 else " || ".join(f"({way})" if " && " in way else way for way in ways)


def grow(fields: Sequence[Field], rows: Sequence[Row], labels: Sequence[bool], *, deep: int = DEEPEST) -> Tree:
    """Grow a tree greedily by Gini impurity; a split whose sides say the same is left out."""
    ones = sum(labels)
    leaf = Leaf(happens=2 * ones > len(labels))
    if not deep or ones in {0, len(labels)} or len(labels) < 2 * _LEAST:
        return leaf
    test = _best(fields, rows, labels)
    if test is None:
        return leaf
    held = [test.holds(row) for row in rows]
    sides = []
    for side in (True, False):
        there = [n for n, one in enumerate(held) if one is side]
        sides.append(grow(fields, [rows[n] for n in there], [labels[n] for n in there], deep=deep - 1))
    yes, no = sides
    return yes if yes == no and isinstance(yes, Leaf) else Split(test=test, yes=yes, no=no)


def _ways(tree: Tree) -> list[list[str]]:
    """Return the tests of each way to where it happens."""
    if isinstance(tree, Leaf):
        return [[]] if tree.happens else []
    both = [[tree.test.written(), *way] for way in _ways(tree.yes)]
    return both + [[tree.test.written(negated=True), *way] for way in _ways(tree.no)]


def _best(fields: Sequence[Field], rows: Sequence[Row], labels: Sequence[bool]) -> Test | None:
    total, ones = len(labels), sum(labels)
    best, found = _impurity(total, ones) - 1e-9 * total, None
    for place, field in enumerate(fields):
        if field.type in {"decimal", "integer"}:
            candidate = _best_threshold(field, place, rows, labels)
        else:
            candidate = _best_text(field, place, rows, labels)
        if candidate is not None and candidate[0] < best:
            best, found = candidate
    return found


def _best_threshold(field: Field, place: int, rows: Sequence[Row], labels: Sequence[bool]) -> tuple[float, Test] | None:
    """Return the threshold between two values that leaves the least impurity; absent values are below all."""
    total, all_ones = len(labels), sum(labels)
    there = sorted(
        (value, label)
        for row, label in zip(rows, labels, strict=True)
        if (value := row[place]) is not None and not isinstance(value, str | bool)
    )
    absent = total - len(there)
    below = absent
    ones = all_ones - sum(label for _, label in there)
    step = max(1, len({value for value, _ in there}) // _MOST_THRESHOLDS)
    best: tuple[float, int] | None = None
    distinct = 0
    for n in range(len(there) - 1):
        below += 1
        ones += there[n][1]
        if there[n][0] == there[n + 1][0]:
            continue
        distinct += 1
        # Every change of what happens is looked at, and else every few values.
        if distinct % step and there[n][1] == there[n + 1][1]:
            continue
        if below < _LEAST or total - below < _LEAST:
            continue
        left = _impurity(below, ones) + _impurity(total - below, all_ones - ones)
        if best is None or left < best[0]:
            best = (left, n)
    if best is None:
        return None
    low, high = there[best[1]][0], there[best[1] + 1][0]
    return best[0], Test(field=field, place=place, above=roundest(Decimal(low), Decimal(high)))


def _best_text(field: Field, place: int, rows: Sequence[Row], labels: Sequence[bool]) -> tuple[float, Test] | None:
    total, all_ones = len(labels), sum(labels)
    counts: Counter[str | bool] = Counter()
    ones: Counter[str | bool] = Counter()
    for row, label in zip(rows, labels, strict=True):
        value = row[place]
        if isinstance(value, str | bool):
            counts[value] += 1
            ones[value] += label
    best: tuple[float, Test] | None = None
    for value, count in counts.most_common(_MOST_TEXTS):
        if count < _LEAST or total - count < _LEAST:
            continue
        left = _impurity(count, ones[value]) + _impurity(total - count, all_ones - ones[value])
        if best is None or left < best[0]:
            best = (left, Test(field=field, place=place, equals=value))
    return best


def _impurity(count: int, ones: int) -> float:
    return 2 * ones * (count - ones) / count if count else 0.0


def roundest(low: Decimal, high: Decimal) -> Decimal:
    """Return the number with the fewest digits in [low, high): the threshold that a person would have written."""
    for exponent in range(15, -7, -1):
        unit = Decimal(1).scaleb(exponent)
        candidate = (low / unit).to_integral_value(ROUND_CEILING) * unit
        if low <= candidate < high:
            return candidate.normalize()
    return low


def _text(value: str) -> str:
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f'"{escaped}"'

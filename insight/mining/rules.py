"""Rules over the fields of requests that a person can read: thresholds of numbers, equality of texts and truth values.

The search is shallow and bounded: one condition or two that both hold, over at most so many fields, values and visits.
The visits of a condition are the bits of a whole number, so that a pair costs one `&` and two counts of bits.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from insight.mining.history import FieldColumn
from insight.mining.process import Process
from insight.mining.visits import APPROVED, Visits
from placet.definition.variables import Variable

MOST_FIELDS, MOST_VALUES, THRESHOLDS, MOST_VISITS = 30, 15, 15, 20_000
MOST_PAIRED = 80  # conditions that pairs are made of: those that alone have the highest approval rate
LONGEST_TEXT = 60  # characters of a value that a rule names
NEARLY_EVERYTHING = 0.95  # of the visits: a rule that covers more is none
WORTH_A_SECOND = 1.2  # times the score of one condition, for two to be better


@dataclass(frozen=True)
class Condition:
    """One condition: what it says in the expression language, and the field and values that it reads."""

    expression: str
    column: FieldColumn
    text: int = -1  # the number of the text that is equal
    bound: float = math.nan
    below: bool = True  # at most the bound, else more than it

    def holds(self, case: int) -> bool:
        """Whether a case fulfils it; a missing value never does."""
        if self.text >= 0:
            return self.column.texts[case] == self.text
        number = self.column.numbers[case]
        return number <= self.bound if self.below else number > self.bound


@dataclass(frozen=True)
class Rule:
    """One or two conditions, all of which have to hold."""

    conditions: tuple[Condition, ...]

    @property
    def condition(self) -> str:
        """Return the rule in the expression language; tests for values that may be missing come first."""
        return " && ".join(one.expression for one in self.conditions)

    @property
    def words(self) -> str:
        """Return the rule as a person reads it."""
        return " && ".join(one.expression.rpartition(" != null && ")[2] for one in self.conditions)

    def holds(self, case: int) -> bool:
        """Whether it holds for a case."""
        return all(one.holds(case) for one in self.conditions)


def search(
    process: Process, visits: Visits, chosen: Sequence[int], min_occurrences: int, least_rate: float
) -> Rule | None:
    """Find the rule whose approval rate among the chosen visits is most certainly above the least one, if any is.

    Certain is what covers many visits at a high rate. The best of many looks better than it is, so what is found here
    is only a proposal: other visits have to confirm it.
    """
    chosen = chosen[-MOST_VISITS:]
    cases = [visits.case[n] for n in chosen]
    approved = _bits(visits.result[n] == APPROVED for n in chosen)
    if not cases:
        return None
    found = [(one, bits) for one, bits in _conditions(process, visits, cases) if bits.bit_count() >= min_occurrences]
    found.sort(key=lambda item: (item[1] & approved).bit_count() / item[1].bit_count(), reverse=True)

    def score(bits: int) -> float:
        """Return by how many standard errors the rate is above the least one; 0 for nearly everything or too few."""
        count = bits.bit_count()
        if count < min_occurrences or count > NEARLY_EVERYTHING * len(cases):
            return 0.0
        above = (bits & approved).bit_count() - least_rate * count
        return max(0.0, above / math.sqrt(count * least_rate * (1 - least_rate)))

    alone = max(((score(bits), -n) for n, (_, bits) in enumerate(found)), default=(0.0, 0))
    pairs = (
        (score(one & other), -i, -k)
        for (i, (_, one)), (k, (_, other)) in combinations(enumerate(found[:MOST_PAIRED]), 2)
    )
    both = max(pairs, default=(0.0, 0, 0))
    if both[0] > alone[0] * WORTH_A_SECOND:
        return Rule((found[-both[1]][0], found[-both[2]][0]))
    return Rule((found[-alone[1]][0],)) if alone[0] else None


def _conditions(process: Process, visits: Visits, cases: Sequence[int]) -> Iterable[tuple[Condition, int]]:
    fields = visits.history.cases.fields
    usable = [variable for variable in process.inputs if variable.name in fields][:MOST_FIELDS]
    for variable in usable:
        column = fields[variable.name]
        if variable.type in {"integer", "decimal"}:
            yield from _thresholds(variable, column, cases)
        elif variable.type in {"string", "boolean"} and not column.has_too_many_texts:
            yield from _equalities(variable, column, cases)


def _thresholds(variable: Variable, column: FieldColumn, cases: Sequence[int]) -> Iterable[tuple[Condition, int]]:
    numbers = [column.numbers[case] for case in cases]
    ordered = sorted(number for number in numbers if not math.isnan(number))
    if not ordered:
        return
    places = (len(ordered) * k // (THRESHOLDS + 1) for k in range(1, THRESHOLDS + 1))
    for bound in sorted({_readable(ordered[place], variable.type == "integer") for place in places}):
        for below, sign in ((True, "<="), (False, ">")):
            expression = f"{_present(variable)}{variable.name} {sign} {_literal(bound)}"
            condition = Condition(expression, column, bound=bound, below=below)
            yield condition, _bits(number <= bound if below else number > bound for number in numbers)


def _equalities(variable: Variable, column: FieldColumn, cases: Sequence[int]) -> Iterable[tuple[Condition, int]]:
    texts = [column.texts[case] for case in cases]
    for number, _ in Counter(text for text in texts if text >= 0).most_common(MOST_VALUES):
        value = column.names.known[number]
        if isinstance(value, bool) != (variable.type == "boolean") or not _is_readable(value):
            continue
        expression = f"{_present(variable)}{variable.name} == {json.dumps(value, ensure_ascii=False)}"
        yield Condition(expression, column, text=number), _bits(text == number for text in texts)


def _present(variable: Variable) -> str:
    """Return the test that an optional value is there, as the expression language asks for."""
    return f"{variable.name} != null && " if variable.optional else ""


def _is_readable(value: Any) -> bool:
    return isinstance(value, bool) or (value.isprintable() and 0 < len(value) <= LONGEST_TEXT)


def _readable(number: float, whole: bool) -> float:
    """Return the number with two digits, rounded down: people remember 2,500 and not 2,537.18."""
    if number == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(number))) - 1)
    if whole:
        unit = max(1.0, unit)
    return float(f"{math.floor(number / unit) * unit:.12g}")


def _literal(number: float) -> str:
    """Write a number as the expression language has it, without an exponent."""
    return f"{number:.12f}".rstrip("0").rstrip(".") if abs(number) < 1e15 else f"{number:.0f}"


def _bits(flags: Iterable[bool]) -> int:
    """Return a whole number that has a bit for each flag."""
    return int("".join("1" if flag else "0" for flag in flags) or "0", 2)

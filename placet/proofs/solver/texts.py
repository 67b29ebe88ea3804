"""Texts: what the solver knows of patterns, small letters and numbers in texts, from samples.

Each is a function that the solver knows nothing of but its value on sample texts: so an input that is found among these
is one, and that there is none remains unproven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import z3

from placet.audit.reasons import InvalidValue
from placet.definition.variables.shapes import Shape
from placet.expressions.functions import implementation
from placet.expressions.number import write_decimal
from placet.expressions.patterns import compile_pattern
from placet.expressions.types import STRING
from placet.proofs.solver.samples import varied
from placet.proofs.solver.symbols import Term, constant, is_expressible, text_of

_MOST_TEXTS = 60  # sample texts for each unknown one
_MOST_CHARACTERS = 20_000  # of all texts that conditions mention
_MOST_PATTERNS = 4  # that samples tell apart
_MOST_NUMBERS = 8  # that conditions mention, each with its neighbours as a text


class Texts:
    """Know texts by samples, in one z3 context."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self._literals: dict[str, None] = {}  # that conditions mention, in order
        self._characters = 0  # of these
        self._numbers: dict[Decimal, None] = {}
        self._lower: Any = None
        self._patterns: dict[str, Any] = {}
        self._read: dict[str, tuple[Any, Any]] = {}  # by function: its value, and whether it fails

    def mention(self, value: str) -> bool:
        """Take note of a text that a condition mentions; False where the solver is not told which one it is."""
        if value not in self._literals:
            if not is_expressible(value) or self._characters + len(value) > _MOST_CHARACTERS:
                return False
            self._characters += len(value)
            self._literals[value] = None
        return True

    def mention_number(self, value: int | Decimal) -> None:
        """Take note of a number that a condition mentions."""
        if len(self._numbers) < _MOST_NUMBERS:
            self._numbers.setdefault(Decimal(value))

    def text(self, text: str) -> Term:
        """Return a constant text."""
        return constant("string", text, self.context)

    def matches(self, term: Term, pattern: str) -> Term:
        """Return whether a text matches a pattern."""
        if pattern not in self._patterns:
            sorts = (z3.StringSort(self.context), z3.BoolSort(self.context))
            self._patterns[pattern] = z3.Function(f"matches!{len(self._patterns)}", *sorts)
        return self._patterns[pattern](term)

    def lowered(self, term: Term) -> Term:
        """Return a text in small letters."""
        if z3.is_string_value(term):
            return self.text(text_of(term).lower())
        if self._lower is None:
            sort = z3.StringSort(self.context)
            self._lower = z3.Function("lower", sort, sort)
        return self._lower(term)

    def read(self, function: str, term: Term) -> tuple[Term, Term]:
        """Return the number that `int` or `decimal` reads from a text, and whether it reads none."""
        if function not in self._read:
            text, number = z3.StringSort(self.context), z3.IntSort(self.context)
            number = number if function == "int" else z3.RealSort(self.context)
            fails = z3.Function(f"{function}!fails", text, z3.BoolSort(self.context))
            self._read[function] = z3.Function(f"{function}!", text, number), fails
        value, fails = self._read[function]
        return value(term), fails(term)

    def samples(self, shape: Shape) -> list[str]:
        """Return texts for an unknown one of that shape, on which everything about texts is known."""
        least, own = shape.min_length or 0, [shape.pattern] if shape.pattern is not None else []
        patterns = [*own, *(p for p in self._patterns if p not in own)][:_MOST_PATTERNS]
        found: dict[str, None] = {}
        if patterns:
            alphabet = "".join(self._literals)[:8]
            most = shape.max_length if shape.max_length is not None else least + 60
            varied_texts = varied(patterns, least=least, most=most, alphabet=alphabet)
            found |= dict.fromkeys(text for text, matched in varied_texts if matched[0] or not own)
        if self._read:
            numbers = (number + step for number in self._numbers for step in (0, 1, -1))
            found |= dict.fromkeys([*map(write_decimal, numbers), "0", "x"])
        found |= dict.fromkeys([*("abc"[n] * max(least, 1) for n in range(3)), ""])
        for text in self._literals:
            found |= dict.fromkeys([text, text + "a", "a" + text])
        texts = list(self._literals)
        found |= dict.fromkeys(one + other for one in texts[:4] for other in texts[:4])
        return [text for text in found if is_expressible(text)][:_MOST_TEXTS]

    def facts(self, samples: Iterable[str]) -> list[Term]:
        """Return what is known of these texts, and of those that conditions mention."""
        texts = tuple(dict.fromkeys([*self._literals, *samples]))
        return [*self._matched(texts), *self._lowered(texts), *self._numbers_in(texts)]

    def _matched(self, texts: Sequence[str]) -> list[Term]:
        return [
            function(self.text(text)) == compile_pattern(pattern).search(text)
            for pattern, function in self._patterns.items()
            for text in texts
        ]

    def _lowered(self, texts: Sequence[str]) -> list[Term]:
        if self._lower is None:
            return []
        return [self._lower(self.text(text)) == self.text(text.lower()) for text in texts]

    def _numbers_in(self, texts: Sequence[str]) -> list[Term]:
        found: list[Term] = []
        for function, (value, fails) in self._read.items():
            compute: Callable[..., Any] = implementation(function, [STRING])
            kind = "int" if function == "int" else "decimal"
            for text in texts:
                try:
                    number = constant(kind, compute({}, text), self.context)
                except InvalidValue:
                    found.append(fails(self.text(text)))
                else:
                    found += [z3.Not(fails(self.text(text))), value(self.text(text)) == number]
        return found

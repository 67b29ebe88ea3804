"""Samples: a valid value for a declared shape, and texts that match a pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from placet.definition.variables import Variable, normalise_input
from placet.definition.variables.shapes import Shape
from placet.errors import InputInvalid
from placet.expressions import moments
from placet.expressions.number import write_decimal
from placet.expressions.patterns import Pattern, PatternInvalid, compile_pattern

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
_LONGEST = 200  # characters of a sample text
_MOST_VALUES = 20_000  # inside one sample
_MOST_CHARS = 24  # different ones in samples
_MOST_STATES = 3_000  # of several patterns together
_TRIED = ("a", "A", "0", "-", " ", "é")  # for characters that are described by what they are not

_States: TypeAlias = frozenset[int]


def sample_input(variables: Sequence[Variable], given: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Return a normalised input with these values and ordinary ones for the rest; None where they do not fit."""
    raw: dict[str, Any] = {}
    for variable in variables:
        value = (given or {}).get(variable.name)
        if value is None and variable.required:
            value = sample(variable)
        if value is not None:
            raw[variable.name] = value
    try:
        return normalise_input(variables, raw)
    except InputInvalid:
        return None


def sample(shape: Shape, moment: datetime = _MOMENT) -> Any:
    """Return a value that the shape allows, in JSON values; for an unusual pattern it may not fit.

    Nor does it where the shape asks for more than some ten thousand values: then there are fewer. Dates and moments are
    those of `moment` where the shape allows it.
    """
    return _sample(shape, iter(range(_MOST_VALUES)), moment)


def _sample(shape: Shape, room: Iterator[int], moment: datetime) -> Any:
    """Make a value up; each of those inside takes one of `room`."""
    if shape.default is not None:
        return shape.default
    if shape.enum is not None:
        return shape.enum[0]
    if shape.type == "list" and shape.items is not None:
        found: list[Any] = []
        while len(found) < (shape.min_length or 0) and next(room, None) is not None:
            found.append(_sample(shape.items, room, moment))
        return found
    if shape.type == "list":
        return []
    if shape.type == "object":
        inside = (shape.properties or {}).items()
        return {
            name: _sample(inner, room, moment)
            for name, inner in inside
            if inner.required and next(room, None) is not None
        }
    if shape.type == "string":
        return text_sample(shape)
    if shape.type == "boolean":
        return False
    ordinary: dict[str, Any] = {
        "integer": 1,
        "decimal": Decimal(1),
        "date": moment.date(),
        "datetime": moment.astimezone(UTC),
    }
    value = ordinary[shape.type]
    if shape.lowest is not None and value < shape.lowest:
        value = shape.lowest
    if shape.highest is not None and value > shape.highest:
        value = shape.highest
    if isinstance(value, Decimal):
        return write_decimal(value)
    return moments.write(value) if isinstance(value, date) else value


def text_sample(shape: Shape) -> str:
    """Return a short text of the shape's length that matches its pattern, where one is found."""
    least, most = shape.min_length or 0, _LONGEST if shape.max_length is None else shape.max_length
    if shape.pattern is not None:
        return next(matching(shape.pattern, least=least, most=most), "")
    return "a" * min(max(least, 1), most)


def matching(text: str, *, least: int = 0, most: int = _LONGEST) -> Iterator[str]:
    """Generate texts of that many characters that match a pattern, the shortest ones first."""
    return (found for found, matched in varied((text,), least=least, most=most) if matched[0])


def varied(
    patterns: Sequence[str], *, least: int = 0, most: int = _LONGEST, alphabet: str = ""
) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """Generate texts that tell patterns apart: for each combination of matching and not, the first that is found.

    The patterns walk side by side over the same characters, so a combination that no text shows is not made up.
    """
    try:
        walkers = [_Walker(compile_pattern(text)) for text in patterns]
    except PatternInvalid:
        return
    most = min(most, max(least, _LONGEST))
    chars = sorted({char for walker in walkers for char in walker.chars()} | {*_TRIED, *alphabet})[:_MOST_CHARS]
    start = tuple(walker.start for walker in walkers)
    seen = {(start, 0)}
    told: set[tuple[bool, ...]] = set()
    layer = [(start, "")]
    for length in range(most + 1):
        for states, text in layer:
            matched = tuple(w.ends(state, text) for w, state in zip(walkers, states, strict=True))
            if length >= least and matched not in told:
                told.add(matched)
                yield text, matched
        following: list[tuple[tuple[_States, ...], str]] = []
        for states, text in layer:
            for char in chars:
                reached = tuple(w.step(state, char) for w, state in zip(walkers, states, strict=True))
                key = (reached, min(length + 1, least))
                if key not in seen and len(seen) < _MOST_STATES:
                    seen.add(key)
                    following.append((reached, text + char))
        if not following:
            return
        layer = following


class _Walker:
    """Walk one pattern over a text, a character at a time; the automaton is the pattern's own."""

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.start: _States = pattern._closure([pattern._entry], start=True)
        self._anew = pattern._closure([pattern._entry])
        self._matched: _States = frozenset([pattern._accept])
        self._steps: dict[tuple[_States, str], _States] = {}

    def chars(self) -> set[str]:
        """Return the characters at which the pattern's classes begin and end."""
        classes = [state.chars for state in self.pattern._states if state.chars is not None]
        return {char for chars in classes for pair in chars.ranges for char in pair}

    def step(self, states: _States, char: str) -> _States:
        """Return the states after one more character; once matched, the pattern stays matched."""
        if self.pattern._accept in states:
            return self._matched
        if (states, char) not in self._steps:
            self._steps[states, char] = self.pattern._step(states, char) | self._anew
        return self._steps[states, char]

    def ends(self, states: _States, text: str) -> bool:
        """Say whether a text that led to these states matches where it ends here."""
        return self.pattern._accept in self.pattern._closure(states, start=not text, end=True)

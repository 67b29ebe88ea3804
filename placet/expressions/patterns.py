r"""Patterns: their meaning, matching, and the automaton that the solver uses.

Python's `re` backtracks: a pattern such as `(a+)+$` can keep it busy for years, and patterns here come from blueprints
and run inside workflows. Texts are matched by a library that never does (Rust's `regex`, as pydantic has it), in time
that is linear in the text. What a pattern means is read here and told to the library without any of its own classes, so
that no release of it can give a pattern another meaning.

Supported, with the meaning that RE2 and JSON Schema share: literals, `.` (no line feed), `[a-z]`, `[^...]`, `\d \w \s`
and `\D \W \S` (ASCII), `\n \t \r`, escaped punctuation, `( )`, `(?: )`, `|`, `* + ?`, `{m}`, `{m,}`, `{m,n}`, `^`
and `$` (ends of the whole text). A pattern matches anywhere in a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

from pydantic_core import SchemaError, SchemaValidator, core_schema

from placet.sentences import sentence

MAX_PATTERN = 500  # characters
MAX_STATES = 1_000  # after {m,n} is written out
_MAX_NESTING = 20
_MAX_COMPILED = 16  # patterns that the library keeps; each may take its limit of 10 MB

_DIGIT = (("0", "9"),)
_WORD = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_TOO_LARGE = sentence("the pattern is too large once its repetitions are written out")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}

Ranges: TypeAlias = tuple[tuple[str, str], ...]


class PatternInvalid(ValueError):
    """The pattern is invalid; the message says where and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chars:
    """Hold a set of characters as ranges that are in it or, `negated`, that are not."""

    ranges: Ranges
    negated: bool = False
    also: tuple[_Chars, ...] = ()  # such as the \D in [\D1]

    def holds(self, char: str) -> bool:
        # A plain loop: this is the innermost step, and a generator would double its cost.
        for low, high in self.ranges:
            if low <= char <= high:
                return not self.negated
        return any(other.holds(char) for other in self.also) != self.negated

    @property
    def ranges_by_number(self) -> list[Any]:
        """Return the set with each character by its number: its ranges, whether they are left out, what else is in."""
        ranges = [[ord(low), ord(high)] for low, high in self.ranges]
        return [ranges, self.negated, [other.ranges_by_number for other in self.also]]

    @property
    def library_text(self) -> str:
        """Write the set as the library reads it, each character by its number."""
        ranges = (f"\\x{{{ord(low):X}}}-\\x{{{ord(high):X}}}" for low, high in self.ranges)
        return f"[{'^' if self.negated else ''}{''.join(ranges)}{''.join(other.library_text for other in self.also)}]"


@dataclass(slots=True)
class _State:
    """Hold a state: it eats one of `chars`, or is bound to an end of the text (`edge`), or is a free step to `next`."""

    next: tuple[int, ...] = ()
    chars: _Chars | None = None
    edge: str = ""


_Set: TypeAlias = frozenset[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """Hold a compiled pattern. `size` is its number of states, and `spelt` the pattern as the library reads it."""

    text: str
    library_text: str
    _states: tuple[_State, ...]
    _entry: int
    _accept: int

    @property
    def size(self) -> int:
        """Return the number of states: the work per character is at most in proportion to it."""
        return len(self._states)

    def search(self, text: str) -> bool:
        """Say whether the pattern matches anywhere in the text."""
        return _library(self.library_text).isinstance_python(text)

    @property
    def automaton(self) -> dict[str, Any]:
        """Return the states as JSON, for programs that match texts elsewhere.

        A state is a list: the states that follow, and what leads there: a set of characters, `^`, `$`, or nothing.
        """
        states = [
            [list(state.next), state.chars.ranges_by_number if state.chars is not None else state.edge or None]
            for state in self._states
        ]
        return {"states": states, "entry": self._entry, "accept": self._accept}

    def _step(self, current: _Set, char: str) -> _Set:
        moved: list[int] = []
        for number in current:
            state = self._states[number]
            if state.chars is not None and state.chars.holds(char):
                moved.extend(state.next)
        return self._closure(moved)

    def _closure(self, numbers: Iterable[int], *, start: bool = False, end: bool = False) -> _Set:
        """Follow every step that eats nothing."""
        seen: set[int] = set()
        pending = list(numbers)
        while pending:
            number = pending.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            if state.chars is None and (not state.edge or (state.edge == "^" and start) or (state.edge == "$" and end)):
                pending.extend(state.next)
        return frozenset(seen)


@lru_cache(maxsize=64)
def compile_pattern(text: str) -> Pattern:
    """Return the compiled pattern. Raises PatternInvalid."""
    if len(text) > MAX_PATTERN:
        raise PatternInvalid(sentence("the pattern has more than {max_pattern} characters", max_pattern=MAX_PATTERN))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PatternInvalid(
            sentence("pattern, character {number}: half of a surrogate pair is no text", number=error.start + 1)
        ) from None
    pattern = _Compiler(text).compile()
    try:
        _library(pattern.library_text)
    except SchemaError:
        raise PatternInvalid(_TOO_LARGE) from None
    return pattern


@lru_cache(maxsize=_MAX_COMPILED)
def _library(spelt: str) -> SchemaValidator:
    """Return the library's pattern; raises SchemaError where it takes more memory than the library allows."""
    return SchemaValidator(core_schema.str_schema(pattern=spelt, regex_engine="rust-regex"))


# A fragment is (entry, exits): states whose `next` is still to be extended.
_Fragment: TypeAlias = tuple[int, list[int]]


class _Compiler:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.states: list[_State] = []
        self.library_text: list[str] = []  # the pattern so far, as the library reads it

    def compile(self) -> Pattern:
        entry, exits = self.alternatives(0)
        if self.at < len(self.text):
            self.refuse("this ) closes nothing")
        accept = self.state()
        self.join(exits, accept)
        return Pattern(
            text=self.text,
            library_text="".join(self.library_text),
            _states=tuple(self.states),
            _entry=entry,
            _accept=accept,
        )

    def refuse(self, message: str) -> NoReturn:
        raise PatternInvalid(sentence("pattern, character {number}: {message}", number=self.at + 1, message=message))

    def state(self, chars: _Chars | None = None, edge: str = "") -> int:
        if len(self.states) >= MAX_STATES:
            self.refuse(
                sentence("{too_large} (more than {max_states} states)", too_large=_TOO_LARGE, max_states=MAX_STATES)
            )
        self.states.append(_State(chars=chars, edge=edge))
        return len(self.states) - 1

    def join(self, exits: Iterable[int], target: int) -> None:
        for number in exits:
            self.states[number].next += (target,)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            self.refuse("the pattern ends too early")
        self.at += 1
        return char

    def alternatives(self, depth: int) -> _Fragment:
        if depth > _MAX_NESTING:
            self.refuse(sentence("more than {max_nesting} groups inside each other", max_nesting=_MAX_NESTING))
        entry = self.state()
        exits: list[int] = []
        while True:
            first, last = self.sequence(depth)
            self.join([entry], first)
            exits += last
            if self.peek() != "|":
                return entry, exits
            self.at += 1
            self.library_text.append("|")

    def sequence(self, depth: int) -> _Fragment:
        entry = self.state()
        exits = [entry]
        while self.peek() not in {"", "|", ")"}:
            first, last = self.repeated(depth)
            self.join(exits, first)
            exits = last
        return entry, exits

    def repeated(self, depth: int) -> _Fragment:
        begin = self.at
        fragment = self.atom(depth)
        end = self.at
        least, most = self.counts()
        if (least, most) == (1, 1):
            return fragment
        if self.peek() and self.peek() in "*+?{":
            self.refuse("a repetition cannot be repeated; use a group")
        entry = self.state()
        exits = [entry]
        after = self.at
        self.library_text.append(f"{{{least},{'' if most is None else most}}}")
        spelt = len(self.library_text)
        skips: list[int] = []
        # Written out by compiling the atom's text again, as often as it may occur; without an upper end the last loops.
        for number in range(max(least, 1) if most is None else most):
            if number > 0:
                self.at = begin
                fragment = self.atom(depth)
                if self.at != end:
                    self.refuse("this repetition cannot be read")
            first, last = fragment
            if number >= least:
                skips += exits
            self.join(exits, first)
            exits = last
        if most is None:
            again = self.state()
            self.join(exits, again)
            self.join([again], fragment[0])
            exits = [again]
        self.at = after
        del self.library_text[spelt:]
        return entry, exits + skips

    def counts(self) -> tuple[int, int | None]:
        """Read a repetition, if there is one. A lazy one (`*?`) matches the same texts."""
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        char = self.peek()
        if char in simple:
            self.at += 1
            found = simple[char]
        elif char == "{":
            self.at += 1
            least = self.number()
            most: int | None = least
            if self.peek() == ",":
                self.at += 1
                most = None if self.peek() == "}" else self.number()
            if self.take() != "}" or (most is not None and most < least):
                self.refuse("write a repetition as {2}, {2,} or {2,5}; a literal brace as \\{")
            found = (least, most)
        else:
            return 1, 1
        if self.peek() == "?":
            self.at += 1
        return found

    def number(self) -> int:
        begin = self.at
        while self.peek() and self.peek() in "0123456789":
            self.at += 1
        if not 0 < self.at - begin <= 4:
            self.refuse("write a repetition as {2}, {2,} or {2,5}; a literal brace as \\{")
        return int(self.text[begin : self.at])

    def atom(self, depth: int) -> _Fragment:
        char = self.take()
        if char == "(":
            if self.peek() == "?":
                self.at += 1
                if self.take() != ":":
                    self.refuse("of the (?...) groups only (?:...) is supported")
            self.library_text.append("(?:")
            fragment = self.alternatives(depth + 1)
            if self.peek() != ")":
                self.refuse("a ) is missing")
            self.at += 1
            self.library_text.append(")")
            return fragment
        if char in "*+?{":
            self.refuse(sentence("{char} has nothing to repeat; a literal one is \\{char}", char=char))
        if char in "^$":
            self.library_text.append(f"(?:{char})")
            number = self.state(edge=char)
        else:
            chars = self.chars(char)
            self.library_text.append(chars.library_text)
            number = self.state(chars=chars)
        return number, [number]

    def chars(self, char: str) -> _Chars:
        if char == ".":
            return _Chars(ranges=(("\n", "\n"),), negated=True)
        if char == "[":
            return self.bracket()
        return self.escape() if char == "\\" else _Chars(ranges=((char, char),))

    def escape(self) -> _Chars:
        char = self.take()
        if char.lower() in _CLASSES:
            return _Chars(ranges=_CLASSES[char.lower()], negated=char.isupper())
        char = _CONTROLS.get(char, char)
        if char.isalnum():
            self.refuse(
                sentence(
                    "\\{char} is not supported; there are \\d \\w \\s \\D \\W \\S \\n \\t \\r and escaped punctuation",
                    char=char,
                )
            )
        return _Chars(ranges=((char, char),))

    def bracket(self) -> _Chars:
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        ranges: list[tuple[str, str]] = []
        also: list[_Chars] = []
        first = True
        while first or self.peek() != "]":
            first = False
            low = self.member()
            if low.negated or len(low.ranges) > 1 or low.ranges == _DIGIT:
                also.append(low)
                continue
            begin = end = low.ranges[0][0]
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in {"]", ""}:
                self.at += 1
                high = self.member()
                end = high.ranges[0][0]
                if high.negated or len(high.ranges) > 1 or high.ranges == _DIGIT or end < begin:
                    self.refuse("this range of characters runs backwards or has no end")
            ranges.append((begin, end))
        self.at += 1
        return _Chars(ranges=tuple(ranges), negated=negated, also=tuple(also))

    def member(self) -> _Chars:
        char = self.take()
        return self.escape() if char == "\\" else _Chars(ranges=((char, char),))

"""Sentences: texts for people with the values in them apart, so that they can be said in another language.

A sentence is the English text itself, wherever a text is needed. Who speaks to somebody in another language translates
its source, and puts the values into that. What the code says without values is translated as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

Say = Callable[[str], str]
"""A function that translates a source text; the core itself speaks English."""
# A source that reaches into no value: it comes from elsewhere where a sentence is read.
_PLAIN = re.compile(r"(?:[^{}]|\{\{|\}\}|\{\w+(?:![rs])?(?::[^{}]*)?\})*")
_WORDS = {"decision", "outcome", "status", "message", "why", "says"}
_DEEPEST = 20  # sentences inside each other


class Sentence(str):
    """An English text that was made of a source and values. Values may be sentences themselves."""

    source: str
    values: Mapping[str, Any]

    def __new__(cls, source: str, values: Mapping[str, Any], text: str | None = None) -> Sentence:
        """`text` is the English where it is not made of source and values, such as that of a library."""
        made = super().__new__(cls, source.format_map(_Values(values)) if text is None else text)
        made.source, made.values = source, values
        return made

    def __add__(self, more: str) -> Sentence:
        """Return both texts together, each of which can still be said in another language."""
        return Sentence("{said}{more}", {"said": self, "more": more})

    def __getnewargs__(self) -> tuple[str, Mapping[str, Any], str]:  # type: ignore[override]  # a text takes one
        """Return what a copy is made of, also in another process."""
        return self.source, self.values, str(self)


def sentence(source: str, /, **values: Any) -> str:
    """Return the sentence that `source` makes of these values, in places such as `{name}`."""
    return Sentence(source, values)


def as_sentence(text: str) -> str:
    """Return a text of the product as a sentence, also one without values, so that it can stand inside another."""
    return text if isinstance(text, Sentence) else Sentence(text, {})


def joined(separator: str, texts: Sequence[str]) -> str:
    """Return texts in one, each of which can still be said in another language."""
    places = {f"part_{number}": text for number, text in enumerate(texts)}
    return Sentence(separator.join(f"{{{name}}}" for name in places), places)


def either(texts: Sequence[str]) -> str:
    """Return texts in one, of which any one is meant."""
    return reduce(lambda some, other: sentence("{some} or {other}", some=some, other=other), texts)


def every(texts: Sequence[str]) -> str:
    """Return texts in one, which are all meant."""
    return reduce(lambda some, other: sentence("{some} and {other}", some=some, other=other), texts)


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters; one that is cut can no longer be said in another language."""
    return text if len(text) <= length else text[:length]


def share(part: float, *, exact: bool = True) -> str:
    """Return a part of a whole as a percentage, to a tenth where it is exact; each language writes it in its way."""
    return sentence("{share:.1%}", share=part) if exact else sentence("{share:.0%}", share=part)


def figure(value: float) -> str:
    """Return a number to a tenth, which each language writes in its way."""
    return sentence("{figure:.1f}", figure=value)


def translated(text: str, say: Say, *, deep: int = 0) -> str:
    """Return a text of the product in another language; what has no translation stays in English."""
    if not text or deep > _DEEPEST:
        return text
    if not isinstance(text, Sentence):
        return say(text)
    values = {
        name: translated(value, say, deep=deep + 1) if isinstance(value, Sentence) or _is_word(name, value) else value
        for name, value in text.values.items()
    }
    said = say(text.source)
    if said is text.source and values == text.values:
        return str(text)
    return said.format_map(_Values({name: _in_words_of(value, say) for name, value in values.items()}))


def _in_words_of(value: Any, say: Say) -> Any:
    return _Number(value, say(_NUMBER)) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_word(name: str, value: Any) -> bool:
    """Whether a value is a word of the product, such as a decision or an outcome, or what it says about another."""
    return name in _WORDS and isinstance(value, str)


def described(text: str) -> dict[str, Any] | None:
    """Return what a sentence is made of as JSON values, or None for a plain text."""
    if not isinstance(text, Sentence):
        return None
    values = {name: described(value) or _plain(value) for name, value in text.values.items()}
    return {"source": text.source, "values": values, "text": str(text)}


def read_sentence(given: Any, text: str) -> str:
    """Return the sentence of which `given` says what it is made of; the plain text where it says nothing usable."""
    if not isinstance(given, Mapping) or not isinstance(given.get("values"), Mapping):
        return text
    if not _PLAIN.fullmatch(str(given.get("source"))):
        return text
    values = {
        str(name): read_sentence(value, str(value.get("text"))) if isinstance(value, Mapping) else value
        for name, value in given["values"].items()
    }
    return Sentence(str(given.get("source")), values, text)


def sentences_in(texts: Iterable[str]) -> dict[str, Any]:
    """Return what those of these texts that are sentences are made of, by the text itself, to be stored beside them."""
    return {str(text): made for text in texts if (made := described(text)) is not None}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


class _Number:
    """A number that is formatted as `sample` writes 1,234.5%; where nothing says how, it is as it is."""

    def __init__(self, value: float, sample: str) -> None:
        self._value = value
        self._signs = str.maketrans({",": sample[1], ".": sample[5], "%": sample[7:]})

    def __format__(self, how: str) -> str:
        text = format(self._value, how)
        return text.translate(self._signs) if how else text

    def __repr__(self) -> str:
        return repr(self._value)


class _Values(dict[str, Any]):
    """Values of a sentence; a missing one is shown as a question mark."""

    def __missing__(self, name: str) -> str:
        return "?"


_NUMBER = sentence("1,234.5%")  # by which a language says how it writes numbers

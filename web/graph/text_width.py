"""How wide a text is in a drawing, and the lines that fit a box: computed, for nobody knows the reader's font here.

The widths are those of wide fonts (DejaVu Sans Bold, and Liberation Sans Bold where that is wider), so that a text in
another usual font leaves room and does not stick out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_HUNDREDTHS: Final = {
    28: "'",
    35: " ",
    40: "il|",
    46: "!(),-./:;I[\\]`",
    52: '"_rt*f\N{EN DASH}',
    60: "J?csz",
    68: "Lvxy",
    74: "0123456789$EFTaeko",
    80: "CSYZbdghnpquPß{}",
    86: "#+<=>ADGHKNOQRUVXB^~&",
    94: "w",
    102: "%…—",
    106: "@mM",
    112: "W",
}
_WIDTHS: Final = {letter: width / 100 for width, letters in _HUNDREDTHS.items() for letter in letters} | {"j": 0.4}
_REGULAR = 0.92  # of the width of a bold letter or figure, that of the same one in regular weight at most
_CAPITAL, _LETTER, _IDEOGRAPH, _PICTURE = 1.35, 1.12, 1.05, 1.4  # of those that are not listed, in the font's size


@dataclass(frozen=True, slots=True, kw_only=True)
class Font:
    """The size of a font, and whether it is bold."""

    size: float
    bold: bool = False


def text_width(text: str, font: Font) -> float:
    """Return how wide a text is at most, in the unit of the font's size."""
    return sum(_of_letter(letter, bold=font.bold) for letter in text) * font.size


def shortened(text: str, font: Font, room: float) -> str:
    """Return a text as it is where it fits, else as much of it as fits, and an ellipsis."""
    if text_width(text, font) <= room:
        return text
    return text[: _fitting(text, font, room - text_width("…", font))].rstrip() + "…"


def wrapped(text: str, font: Font, room: float, most: int) -> list[str]:
    """Break a text into at most so many lines that fit, at spaces where it can be; the last is shortened."""
    lines = [""]
    for word in _pieces(text, font, room):
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, font) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [shortened(line, font, room) for line in lines]


def _pieces(text: str, font: Font, room: float) -> Iterator[str]:
    """Yield the words of a text; one that fits no line in parts that do."""
    for word in text.split():
        rest = word
        while text_width(rest, font) > room:
            most = max(1, _fitting(rest, font, room))
            yield rest[:most]
            rest = rest[most:]
        if rest:
            yield rest


def _fitting(text: str, font: Font, room: float) -> int:
    """Return how many letters of a text fit, with the accents of the last one."""
    taken = 0.0
    for number, letter in enumerate(text):
        taken += _of_letter(letter, bold=font.bold) * font.size
        if taken > room:
            return number
    return len(text)


@lru_cache(maxsize=8192)
def _of_letter(letter: str, *, bold: bool) -> float:
    return _bold(letter) * (_REGULAR if letter.isalnum() and not bold else 1)


def _bold(letter: str) -> float:
    if letter in _WIDTHS:
        return _WIDTHS[letter]
    kind = unicodedata.category(letter)
    if kind in {"Mn", "Me", "Cf", "Cc"}:
        return 0.0
    base = unicodedata.normalize("NFD", letter)[0]
    if base != letter:
        return _bold(base)
    if kind == "So":
        return _PICTURE
    if unicodedata.east_asian_width(letter) in {"W", "F"}:
        return _IDEOGRAPH
    return _CAPITAL if kind == "Lu" else _LETTER

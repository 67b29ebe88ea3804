"""Codes that a page shows to people instead of words: the values of the types of the code, found in a German page.

In English a code may be the word as well (`open`). In German none of them is.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from placet.audit import admin_acts, chain

_ROOMS = ("placet", "activities", "storage", "simulation", "insight", "service", "api")
_CODE = re.compile(r"[a-z]{3,}(_[a-z]+)*")
_BETWEEN = re.compile(r"[,;:·()→|/]")
_UNSEEN = {"script", "style", "template"}
# What stands in these is meant as code.
_AS_CODE = {"code", "pre", "textarea", "kbd"}
# They are the same in German, or what somebody has written: the variable of a process, and an order of lists as well.
_WORDS = {"text", "amount"}


@cache
def codes() -> frozenset[str]:
    """Return the kinds of entries and acts, and the values of every Literal type, as far as they look like codes."""
    found: set[str] = {*chain.KINDS, *admin_acts.KINDS}
    root = Path(__file__).parents[1]
    for file in (one for room in _ROOMS for one in (root / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                found |= {str(one.value) for one in inner if isinstance(one, ast.Constant)}
    return frozenset(one for one in found if _CODE.fullmatch(one)) - _WORDS


def raw_codes(page: str) -> list[str]:
    """Return the codes that a German page shows where words should stand."""
    texts = _Texts()
    texts.feed(page)
    parts = (part.strip() for text in texts.found for part in _BETWEEN.split(text))
    return sorted({part for part in parts if part in codes()})


class _Texts(HTMLParser):
    """The texts that a page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN | _AS_CODE:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.found.append(data)

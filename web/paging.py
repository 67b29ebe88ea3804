"""Lists in pages: how many rows a page has, and the address of another one."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

PAGE: Final = 25
"""Rows of a list that somebody works through: each has a title and a line about it, so that three screens hold them."""
LINES: Final = 50
"""Rows of a list that somebody looks something up in: each is one line, on a wide screen."""


def address_of(path: str, **chosen: str | None) -> str:
    """Return the address of a list with what was chosen; what is empty is left out."""
    query = {name: value for name, value in chosen.items() if value}
    return path + (f"?{urlencode(query)}" if query else "")

"""Markdown of generated pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from docs.site.pages import outside_of_code


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, or nothing where there are no rows; a cell may hold Markdown on several lines."""
    lines = ["| " + " | ".join(_cell(each) for each in row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]) + "\n"


def code(text: object) -> str:
    """Return text as inline code; an empty one with its quotes."""
    shown = str(text) or '""'
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def plain(text: str) -> str:
    """Return text of a docstring as Markdown that shows it as it is: `<` and `*` are no markup outside of code."""
    unwrapped = re.sub(r"(?<!\n)\n(?!\n|[ ]*[-*] )", " ", text.strip())
    return outside_of_code(unwrapped, lambda part: re.sub(r"([<*_\[\]])", r"\\\1", part))


def _cell(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", "\\|") or " "

"""Files that are handed out: what one is called, how large it is, and its bytes piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file to hand out: its name, its bytes in all, and piece by piece."""

    name: str
    size: int
    pieces: AsyncIterator[bytes]


def in_file_name(text: str, *, most: int) -> str:
    """Return a text as it can stand in the name of a file anywhere, in at most so many characters."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in text)[:most]

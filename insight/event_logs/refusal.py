"""Refusals of event logs: each names the place in the file, or in the map, and says what to do."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from placet.errors import InputInvalid
from placet.sentences import sentence

FILE: Final = "/file"
_NEAR = 0.4  # the similarity from which a name is proposed
_MOST_NAMED = 30


class BeyondBound(InputInvalid):
    """The file unpacks to more bytes than are read of it."""


def in_file(message: str) -> InputInvalid:
    """Return the refusal of a file."""
    return InputInvalid.at(FILE, message)


def unknown_column(pointer: str, name: str, columns: Collection[str]) -> InputInvalid:
    """Return the refusal of a map that names a column which the file does not have; names the nearest one."""
    lowered = {column.lower(): column for column in columns}
    near = get_close_matches(name.lower(), lowered, 1, _NEAR)
    if near:
        message = sentence(
            "the file has no column {name!r}; did you mean {near!r}?", name=name[:100], near=lowered[near[0]]
        )
    else:
        listed = ", ".join(sorted(columns)[:_MOST_NAMED])
        message = sentence("the file has no column {name!r}; it has: {listed}", name=name[:100], listed=listed)
    return InputInvalid.at(pointer, message)

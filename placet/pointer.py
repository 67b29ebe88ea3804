"""JSON Pointers (RFC 6901): the places that problems name."""

from __future__ import annotations

from collections.abc import Iterable


def pointer_to(parent: str, key: str | int) -> str:
    """Return the pointer of a member."""
    return f"{parent}/{str(key).replace('~', '~0').replace('/', '~1')}"


def pointer_of(parts: Iterable[str | int]) -> str:
    """Return the pointer that goes through these members, one after the other; of none, the whole document's."""
    pointer = ""
    for part in parts:
        pointer = pointer_to(pointer, part)
    return pointer


def parts_of(pointer: str) -> list[str]:
    """Return the members that a pointer goes through."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]

"""JSON Pointers (RFC 6901): the places that problems name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


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


def value_at(raw: object, pointer: str) -> Any:
    """Return what a JSON Pointer points at, None where there is nothing."""
    value: Any = raw
    for key in parts_of(pointer):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list | tuple) and key.isdigit() and len(key) < 10 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value

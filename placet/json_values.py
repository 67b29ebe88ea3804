"""Walk through JSON values from outside within bounds, and refuse those that cannot be stored or hashed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from placet.errors import InputInvalid
from placet.json_pointer import pointer_of
from placet.sentences import sentence

DEEPEST = 32
MOST_VALUES = 10_000
LONGEST_NAME = 500  # characters: whoever tells of faults tells where they are, each time anew

# Where a value is: the place of what holds it, and its key there. Written out only for what is refused: the pointers of
# a hundred thousand values under one long name would take more memory than there is.
Place: TypeAlias = "tuple[Place, str | int] | None"


def walk(value: Any) -> Iterator[tuple[Any, Place, int]]:
    """Generate a value and every value inside it, each with its place and depth; stop once a bound is exceeded."""
    pending: list[Iterator[tuple[Any, Place, int]]] = [iter([(value, None, 0)])]
    while pending:
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
            continue
        yield found
        pending.append(_inside(*found))


def _inside(value: Any, place: Place, depth: int) -> Iterator[tuple[Any, Place, int]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield inner, (place, key), depth + 1
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield inner, (place, index), depth + 1


def pointer_at(place: Place, base: str = "") -> str:
    """Return the JSON Pointer of a place, behind `base`."""
    keys: list[str | int] = []
    while place is not None:
        place, key = place
        keys.append(key)
    return base + pointer_of(reversed(keys))


def check_json(value: Any, pointer: str) -> None:
    """Raise InputInvalid for a value that is not JSON or cannot be stored or hashed, such as NaN or NUL."""
    for seen, (one, place, depth) in enumerate(walk(value), 1):
        if depth > DEEPEST or seen > MOST_VALUES:
            message = sentence(
                "this is nested deeper than {deepest} levels or has over {most_values} values",
                deepest=DEEPEST,
                most_values=MOST_VALUES,
            )
            raise InputInvalid.at(pointer, message)
        if place is not None and not isinstance(place[1], int):
            if not isinstance(place[1], str):
                raise InputInvalid.at(
                    pointer_at(place[0], pointer),
                    sentence("{place!r} is no name of a field; write text", place=place[1]),
                )
            if not storable(place[1]):
                raise InputInvalid.at(pointer_at(place[0], pointer), UNSTORABLE)
        if isinstance(one, str):
            if not storable(one):
                raise InputInvalid.at(pointer_at(place, pointer), UNSTORABLE)
        elif isinstance(one, float):
            if one - one != 0:  # infinite, or not a number
                raise InputInvalid.at(pointer_at(place, pointer), "write a finite number")
        elif one is not None and not isinstance(one, bool | int | dict | list | tuple):
            raise InputInvalid.at(
                pointer_at(place, pointer), sentence("{kind} is no JSON value", kind=type(one).__name__)
            )


UNSTORABLE = "this text holds a NUL or half a character; send whole Unicode characters"


def storable(text: str) -> bool:
    """Say whether a text can be stored: PostgreSQL refuses U+0000, and UTF-8 halves of surrogate pairs."""
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text

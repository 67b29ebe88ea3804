"""The arguments of a call as the parameters of an action: JSON that means the same wherever it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from placet.client.wire import plain

LARGEST_INTEGER = 2**53
"""Beyond it, readers of JSON differ; an amount is given as text or as a Decimal."""
DEEPEST = 20

_FAR = "a whole number beyond 2^53 is read differently by different programs; give a Decimal or text"


def as_parameters(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as JSON; raises TypeError that names one that is none, such as an open file."""
    return {name: _json(value, name) for name, value in arguments.items()}


def _json(value: Any, place: str, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise TypeError(f"{place}: this is nested more than {DEEPEST} deep")
    if isinstance(value, Enum):
        return _json(value.value, place, depth + 1)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise TypeError(f"{place}: {_FAR}")
        return int(value)
    if isinstance(value, float):
        if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN differs from itself
            raise TypeError(f"{place}: {value} is no number that JSON has")
        return float(value)
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise TypeError(f"{place}: the keys of a dict have to be text")
        return {name: _json(one, f"{place}.{name}", depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one, f"{place}[{number}]", depth + 1) for number, one in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _json(getattr(value, f.name), f"{place}.{f.name}", depth + 1) for f in fields(value)}
    try:
        return plain(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{place}: {error}") from None

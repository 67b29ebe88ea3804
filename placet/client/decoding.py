"""JSON to dataclasses: fields that a newer server adds are ignored, and one that is missing is a fault."""

from __future__ import annotations

import types
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Undecodable(ValueError):
    """JSON does not have the shape of a document; the text names the place."""


def decode(kind: type[T], raw: object, place: str = "") -> T:
    """Return a document of this dataclass; raises Undecodable."""
    if not isinstance(raw, Mapping):
        raise Undecodable(f"{place or '/'}: an object was expected")
    hints = _hints(cast(Any, kind))
    given: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # documents are dataclasses
        here = f"{place}/{field.name}"
        if field.name in raw:
            given[field.name] = _value(hints[field.name], raw[field.name], here)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Undecodable(f"{here}: the field is missing")
    return kind(**given)


@cache
def _hints(kind: Hashable) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, raw: Any, place: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return raw
    if origin in {Union, types.UnionType}:
        if raw is None:
            return None
        [hint] = [one for one in get_args(hint) if one is not type(None)]
        return _value(hint, raw, place)
    if origin is tuple:
        if not isinstance(raw, list):
            raise Undecodable(f"{place}: a list was expected")
        return tuple(_value(get_args(hint)[0], one, f"{place}/{index}") for index, one in enumerate(raw))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(raw, Mapping):
            raise Undecodable(f"{place}: an object was expected")
        return dict(raw)
    if hint is datetime:
        try:
            return datetime.fromisoformat(raw)
        except (TypeError, ValueError):
            raise Undecodable(f"{place}: a time was expected") from None
    if is_dataclass(hint):
        return decode(hint, raw, place)  # type: ignore[arg-type]  # a class, as hints are
    expected = (int, float) if hint is float else hint
    if not isinstance(raw, expected) or (isinstance(raw, bool) and hint is not bool):
        raise Undecodable(f"{place}: {hint.__name__} was expected")
    return raw

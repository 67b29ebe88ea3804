"""Read a variable's Python value as its static type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from placet.audit.reasons import because, words
from placet.expressions.number import INT_MAX, INT_MIN
from placet.expressions.types import Type

MAX_DIGITS = 100  # of a decimal that comes in: what sums and products keep exactly
MAX_EXPONENT = 999


class Absent(Exception):
    """The value is absent."""


class WrongType(Exception):
    """The value has another type; the message says which."""

    def __init__(self, code: str, **parameters: Any) -> None:
        self.reason = because(code, **parameters)
        super().__init__(words(self.reason))


def reader(of: Type) -> Callable[[Any], Any]:
    """Return a function that gives a value as type `of` and raises Absent for None, Unfit for another type."""
    if of.kind == "list" and of.item is not None:
        return _list_reader(reader(of.item))
    return _READERS[of.kind]


def _refuse(value: object) -> NoReturn:
    if value is None:
        raise Absent
    raise WrongType("python_type", type=type(value).__name__)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    _refuse(value)


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    _refuse(value)


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(value)
    if not INT_MIN <= value <= INT_MAX:
        raise WrongType("exceeds_64_bits")
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Decimal):
        # The cheap test of the common case comes first: short and finite (an infinity's adjusted exponent is 0).
        if -MAX_EXPONENT < value.adjusted() < MAX_EXPONENT and value.is_finite():
            return value
        raise WrongType("not_finite")
    if not isinstance(value, int) or isinstance(value, bool):
        _refuse(value)
    if value.bit_length() > 3 * MAX_DIGITS:
        raise WrongType("too_large")
    return Decimal(value)


def _date(value: Any) -> date:
    # A datetime is a date to Python, never here: its day depends on the time zone.
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    _refuse(value)


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, datetime):
        _refuse(value)
    if value.tzinfo is None:
        raise WrongType("no_time_zone")
    return value.astimezone(UTC)


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    _refuse(value)


def _list_reader(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def items(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            _refuse(value)
        try:
            return tuple([read(item) for item in value])
        except Absent:
            raise WrongType("absent_item") from None

    return items


_READERS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "bool": _bool,
    "int": _int,
    "decimal": _decimal,
    "date": _date,
    "timestamp": _timestamp,
    "object": _object,
}

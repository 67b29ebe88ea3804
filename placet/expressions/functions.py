"""The functions of the expression language: argument types, result type, and computation of each.

`f(x)` and `x.f()` are the same. Some need the moment or the time zone: these are in the frame, under the names in
`placet.expressions.types`.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from placet.audit.reasons import InvalidValue
from placet.expressions import moments
from placet.expressions.number import EXACT, INT_MAX, INT_MIN, QUOTIENT, read_decimal, write_decimal
from placet.expressions.types import BOOL, DATE, DECIMAL, INT, STRING, TIMESTAMP, ZONE, Type, list_of

MOST_DIGITS = 12  # after the point, that a number is rounded to
_MICROSECONDS = 3_600_000_000  # of an hour
_WHOLE = frozenset("0123456789")

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One way to call a function: the types that it takes, the type that it gives, and what it does with the values.

    `run` gets the frame and the values; it raises Misfit for values that it cannot work with.
    """

    takes: tuple[Type, ...]
    gives: Type
    run: Callable[..., Any]
    zoned: bool = False  # it needs the time zone


def _local(frame: Frame, moment: datetime) -> datetime:
    try:
        return moments.local(moment, frame.get(ZONE, ()))
    except OverflowError:
        raise InvalidValue("no_such_moment") from None


def _midnight(frame: Frame, day: date) -> datetime:
    try:
        return moments.midnight(day, frame.get(ZONE, ()))
    except OverflowError:
        raise InvalidValue("no_such_moment") from None


def _whole(text: str) -> int:
    digits = text.removeprefix("-")
    if not digits or len(digits) > len(str(INT_MAX)) or not set(digits) <= _WHOLE:
        raise InvalidValue("no_whole_number")
    return _bounded(int(text))


def _truncated(number: Decimal) -> int:
    if number != number.to_integral_value():
        raise InvalidValue("not_whole")
    return _bounded(int(number))


def _bounded(number: int) -> int:
    if not INT_MIN <= number <= INT_MAX:
        raise InvalidValue("exceeds_64_bits")
    return number


def _rounded(number: Decimal, digits: int = 0) -> Decimal:
    """Round half away from zero, as invoices do."""
    if not 0 <= digits <= MOST_DIGITS:
        raise InvalidValue("round_digits", most=MOST_DIGITS)
    try:
        return number.quantize(Decimal(1).scaleb(-digits), rounding=decimal.ROUND_HALF_UP, context=_ROUNDING)
    except decimal.DecimalException:
        raise InvalidValue("too_large") from None


_ROUNDING = decimal.Context(prec=EXACT.prec + MOST_DIGITS, Emin=EXACT.Emin, Emax=EXACT.Emax)


def _sum_of_whole(items: Sequence[int]) -> int:
    return _bounded(sum(items))


def _sum_of_decimals(items: Sequence[Decimal]) -> Decimal:
    total = Decimal(0)
    try:
        for item in items:
            total = EXACT.add(total, item)
    except decimal.DecimalException:
        raise InvalidValue("too_large") from None
    return total


def _of_some(choose: Callable[[Sequence[Any]], Any]) -> Callable[..., Any]:
    def run(_frame: Frame, items: Sequence[Any]) -> Any:
        if not items:
            raise InvalidValue("empty_list")
        return choose(items)

    return run


def _days_later(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise InvalidValue("no_such_day") from None


def _hours_later(moment: datetime, hours: Decimal) -> datetime:
    try:
        return moment + timedelta(microseconds=int(_rounded(EXACT.multiply(hours, Decimal(_MICROSECONDS)))))
    except (OverflowError, decimal.DecimalException):
        raise InvalidValue("no_such_moment") from None


def _days_between(earlier: date, later: date) -> int:
    return (later - earlier).days


def _hours_between(earlier: datetime, later: datetime) -> Decimal:
    return QUOTIENT.divide(Decimal((later - earlier) // timedelta(microseconds=1)), Decimal(_MICROSECONDS))


def _plain(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that needs only its arguments."""
    return lambda _frame, *values: read(*values)


def _on_days(part: Callable[[date], int]) -> tuple[Function, ...]:
    return (
        Function(takes=(DATE,), gives=INT, run=_plain(part)),
        Function(takes=(TIMESTAMP,), gives=INT, run=lambda frame, at: part(_local(frame, at)), zoned=True),
    )


def _clock(part: Callable[[datetime], int]) -> tuple[Function, ...]:
    return (Function(takes=(TIMESTAMP,), gives=INT, run=lambda frame, at: part(_local(frame, at)), zoned=True),)


_ORDERED = (INT, DECIMAL, STRING, DATE, TIMESTAMP)
_MOST_COMPARED = 8  # values that min and max take one by one


def _choosing(choose: Callable[..., Any]) -> tuple[Function, ...]:
    of_list = [Function(takes=(list_of(of),), gives=of, run=_of_some(choose)) for of in _ORDERED]
    of_values = [
        Function(takes=(of,) * count, gives=of, run=_plain(choose))
        for count in range(2, _MOST_COMPARED + 1)
        for of in _ORDERED
    ]
    return (*of_list, *of_values)


FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "lower": (Function(takes=(STRING,), gives=STRING, run=_plain(str.lower)),),
    "string": (
        Function(takes=(STRING,), gives=STRING, run=_plain(str)),
        Function(takes=(INT,), gives=STRING, run=_plain(str)),
        Function(takes=(DECIMAL,), gives=STRING, run=_plain(write_decimal)),
        Function(takes=(BOOL,), gives=STRING, run=_plain(lambda value: "true" if value else "false")),
        Function(takes=(DATE,), gives=STRING, run=_plain(moments.write)),
        Function(takes=(TIMESTAMP,), gives=STRING, run=_plain(moments.write)),
    ),
    "int": (
        Function(takes=(INT,), gives=INT, run=_plain(int)),
        Function(takes=(DECIMAL,), gives=INT, run=_plain(_truncated)),
        Function(takes=(STRING,), gives=INT, run=_plain(_whole)),
    ),
    "decimal": (
        Function(takes=(DECIMAL,), gives=DECIMAL, run=_plain(Decimal)),
        Function(takes=(STRING,), gives=DECIMAL, run=_plain(read_decimal)),
    ),
    "date": (
        Function(takes=(DATE,), gives=DATE, run=_plain(lambda day: day)),
        Function(takes=(TIMESTAMP,), gives=DATE, run=lambda frame, at: _local(frame, at).date(), zoned=True),
    ),
    "timestamp": (
        Function(takes=(TIMESTAMP,), gives=TIMESTAMP, run=_plain(lambda at: at)),
        Function(takes=(DATE,), gives=TIMESTAMP, run=_midnight, zoned=True),
    ),
    "round": (
        Function(takes=(DECIMAL,), gives=DECIMAL, run=_plain(_rounded)),
        Function(takes=(DECIMAL, INT), gives=DECIMAL, run=_plain(_rounded)),
    ),
    "sum": (
        Function(takes=(list_of(INT),), gives=INT, run=_plain(_sum_of_whole)),
        Function(takes=(list_of(DECIMAL),), gives=DECIMAL, run=_plain(_sum_of_decimals)),
    ),
    "daysBetween": (
        Function(takes=(DATE, DATE), gives=INT, run=_plain(lambda earlier, later: (later - earlier).days)),
    ),
    "hoursBetween": (Function(takes=(TIMESTAMP, TIMESTAMP), gives=DECIMAL, run=_plain(_hours_between)),),
    "min": _choosing(min),
    "max": _choosing(max),
    "weekday": _on_days(lambda day: day.isoweekday()),
    "day": _on_days(lambda day: day.day),
    "month": _on_days(lambda day: day.month),
    "year": _on_days(lambda day: day.year),
    "hour": _clock(lambda at: at.hour),
    "minute": _clock(lambda at: at.minute),
}

# Arithmetic on dates (in days) and moments (in hours): operator and types, and the name of what is done.
ARITHMETIC: dict[tuple[str, str, str], tuple[str, Type]] = {
    ("sub", "date", "date"): ("days_between", INT),
    ("add", "date", "int"): ("days_later", DATE),
    ("sub", "date", "int"): ("days_earlier", DATE),
    ("add", "timestamp", "decimal"): ("hours_later", TIMESTAMP),
    ("sub", "timestamp", "decimal"): ("hours_earlier", TIMESTAMP),
}
_COMPUTED: dict[str, Callable[..., Any]] = {
    "days_between": lambda _frame, later, earlier: (later - earlier).days,
    "days_later": lambda _frame, day, days: _days_later(day, days),
    "days_earlier": lambda _frame, day, days: _days_later(day, -days),
    "hours_later": lambda _frame, at, hours: _hours_later(at, hours),
    "hours_earlier": lambda _frame, at, hours: _hours_later(at, -hours),
}


def overload(name: str, takes: Sequence[Type]) -> Function | None:
    """Return the overload of a function for arguments of these types; None where there is none."""
    wanted = tuple(of.present for of in takes)
    return next((one for one in FUNCTIONS[name] if one.takes == wanted), None)


def implementation(name: str, takes: Sequence[Type]) -> Callable[..., Any]:
    """Return what computes a call; raises KeyError where there is no such function for these types."""
    if name in _COMPUTED:
        return _COMPUTED[name]
    found = overload(name, takes)
    if found is None:
        raise KeyError(name)
    return found.run


def needs_zone(name: str, takes: Sequence[Type]) -> bool:
    """Whether a call depends on the time zone."""
    found = overload(name, takes) if name in FUNCTIONS else None
    return found is not None and found.zoned

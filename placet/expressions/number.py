"""Exact numbers: how they are read, computed and written."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal

from placet.audit.reasons import InvalidValue

DIGITS = 38  # of a number that somebody writes: in a condition, a blueprint or a request
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)

# Sums and products: exact or an error. Contexts are only ever read here; their flags are of no interest.
EXACT = decimal.Context(
    prec=100,
    Emin=-999,
    Emax=999,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.Inexact, decimal.Overflow, decimal.InvalidOperation, decimal.DivisionByZero],
)
# A quotient is rarely finite: decimal128's precision, always the same.
QUOTIENT = decimal.Context(
    prec=34,
    Emin=-999,
    Emax=999,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.Overflow, decimal.Underflow, decimal.InvalidOperation, decimal.DivisionByZero],
)


def read_decimal(text: str) -> Decimal:
    """Return the number that the text writes, exactly. Raises ValueError with the reason."""
    if len(text) > 3 * DIGITS or not _NUMBER.fullmatch(text):
        raise InvalidValue("no_decimal")
    return bounded(Decimal(text))


def bounded(number: Decimal) -> Decimal:
    """Return the number if its plain notation has at most 38 digits on each side of the point. Raises ValueError."""
    if not number.is_finite():
        raise InvalidValue("no_finite_number")
    _, digits, exponent = number.as_tuple()
    if len(digits) > DIGITS or number.adjusted() >= DIGITS or int(exponent) < -DIGITS or int(exponent) > DIGITS:
        raise InvalidValue("too_many_digits", digits=DIGITS)
    return number


def write_decimal(number: Decimal) -> str:
    """Write the one plain notation of a number: no exponent, no trailing zeros, no negative zero."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text

"""Read and write dates and moments as ISO text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from placet.audit.reasons import Misfit

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def read_date(text: str) -> date:
    """Return the day that `2026-01-31` names. Raises ValueError with the reason."""
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise Misfit("no_such_day") from None
    raise Misfit("no_date")


def read_timestamp(text: str) -> datetime:
    """Return the moment in UTC that RFC 3339 text names; it needs an offset. Raises ValueError with the reason."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise Misfit("no_timestamp")
    day, clock, fraction, offset = found.groups()
    offset = "+00:00" if offset in "Zz" else offset
    try:
        # Microseconds are what a moment here holds; the rest of a longer fraction is cut off.
        return datetime.fromisoformat(
            f"{day}T{clock}{(fraction or '')[:7].ljust(7, '0') if fraction else ''}{offset}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Misfit("no_such_moment") from None


def write(value: date) -> str:
    """Write a date as `2026-01-31`, a moment in UTC with a `Z`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
    return value.isoformat()

"""What states of SLOs and severities of breaches are called, and how durations and shares are written and read."""

from __future__ import annotations

import math
import re
from typing import Final

from babel.numbers import format_decimal
from babel.units import format_unit

from web.forms.reading import uncertain
from web.languages import Wording
from web.simulations.wording import span
from web.views.words import marked

STATES: Final = {
    "ok": marked("Kept"),
    "at_risk": marked("At risk"),
    "breached": marked("Missed"),
    "unknown": marked("No data"),
}
SHAPES: Final = {"ok": "ok", "at_risk": "warning", "breached": "breached", "unknown": "none"}
"""The shape and colour of each state, as the deadlines of tasks have them."""
MEANINGS: Final = {
    "ok": marked("The target share is kept."),
    "at_risk": marked("The target share is kept, and a quarter of the error budget or less is left."),
    "breached": marked("Less than the target share is kept."),
    "unknown": marked("Nothing has ended in this window, so nothing is known."),
}
SEVERITIES: Final = {"warning": marked("Target missed"), "critical": marked("Critically late")}
SEVERITY_SHAPES: Final = {"warning": "warning", "critical": "breached"}
_SHORT: Final = 10  # seconds, below which fractions are written
_MOST_SHOWN: Final = 100_000  # per cent
_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}
_NAMES: Final = {
    **_UNITS,
    "week": 604_800, "weeks": 604_800, "woche": 604_800, "wochen": 604_800,
    "day": 86_400, "days": 86_400, "t": 86_400, "tag": 86_400, "tage": 86_400, "tagen": 86_400,
    "hour": 3_600, "hours": 3_600, "hr": 3_600, "hrs": 3_600, "std": 3_600, "stunde": 3_600, "stunden": 3_600,
    "m": 60, "mins": 60, "minute": 60, "minutes": 60, "minuten": 60,
    "sec": 1, "second": 1, "seconds": 1, "sek": 1, "sekunde": 1, "sekunden": 1,
}  # fmt: skip
_PART: Final = re.compile(r"\s*([0-9]{1,9}(?:[.,][0-9]{1,9})?)\s*([a-z]{1,10})\.?", re.IGNORECASE)


def length(seconds: float, wording: Wording) -> str:
    """Write a duration in its two largest units, such as `1 day 6 hrs`; a short one with its fraction."""
    if abs(seconds) < _SHORT:
        return str(format_unit(round(abs(seconds), 2), "duration-second", "short", locale=wording.locale))
    return span(round(seconds * 1000), wording)


def exact(seconds: float, decimal_sign: str = ".") -> str:
    """Write a duration as a field has it, exactly, such as `1 d 12 h`."""
    left, parts = seconds, []
    for unit, size in list(_UNITS.items())[1:-1]:
        number = int(left // size)
        left -= number * size
        if number:
            parts.append(f"{number} {unit}")
    left = round(left, 6)
    if left or not parts:
        parts.append(f"{left:.6f}".rstrip("0").rstrip(".").replace(".", decimal_sign) + " s")
    return " ".join(parts)


def seconds_of(text: str, decimal_sign: str = ".") -> float | None:
    """Read a duration as somebody entered it, such as `8 h`, `1 d 12 h` or `1,5 Std`.

    None where it is none, or has a number that may mean two in the reader's language.
    """
    total, at = 0.0, 0
    text = text.strip()
    while at < len(text):
        found = _PART.match(text, at)
        size = _NAMES.get(found[2].lower()) if found is not None else None
        if found is None or size is None or uncertain(found[1], decimal_sign):
            return None
        total += float(found[1].replace(",", ".")) * size
        at = found.end()
    return round(total, 6) if text else None


def percent(value: float, wording: Wording) -> str:
    """Write a percentage, rounded down to hundredths, so that 99.999 is not written as all."""
    if abs(value) >= _MOST_SHOWN:
        value = math.copysign(_MOST_SHOWN, value)
    floored = math.floor(value * 100 + 1e-6) / 100
    return f"{format_decimal(floored, format='#,##0.##', locale=wording.locale)} %"


def figure(value: float, wording: Wording) -> str:
    """Write a number with up to two decimals."""
    return str(format_decimal(value, format="#,##0.##", locale=wording.locale))

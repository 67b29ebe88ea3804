"""What measures, verdicts and states of canaries are called, and how their values are written."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from babel.numbers import format_percent

from web.languages import Wording
from web.simulations.wording import span
from web.views.words import marked

MEASURES: Final = {
    "duration_seconds": marked("Duration"),
    "outcome": marked("Share that is approved"),
    "sla": marked("Share that misses a deadline"),
    "cost": marked("Cost of a request"),
}
HARMS: Final = {
    "duration_seconds": marked("Requests take longer."),
    "outcome": marked("Another share of the requests is approved."),
    "sla": marked("More requests miss a deadline."),
    "cost": marked("Requests cost more."),
}
VERDICTS: Final = {
    "harm": (marked("Harm"), "bad"),
    "no_harm": (marked("No harm"), "good"),
    "open": (marked("Not known yet"), "open"),
    "not_guarded": (marked("Not guarded"), "open"),
}
STATUSES: Final = {
    "running": (marked("Running"), "open"),
    "promoted": (marked("Promoted"), "good"),
    "reverted": (marked("Reverted"), "bad"),
}
_SHARES: Final = {"outcome", "sla"}


def percent(share: float, wording: Wording) -> str:
    """Write a share as a percentage."""
    return str(format_percent(share, format="#,##0.# %", locale=wording.locale))


def amount(measure: str, value: float | None, wording: Wording, *, signed: bool = False) -> str:
    """Write a value of a measure; a dash without one. `signed` is for differences."""
    if value is None:
        return "–"  # noqa: RUF001 - the dash of an empty value, as on the other pages
    size = abs(value)
    if measure in _SHARES:
        text = percent(size, wording)
    elif measure == "duration_seconds":
        text = span(round(size * 1000), wording)
    else:
        text = wording.number(round(Decimal(str(size)), 2))
    if value < 0:
        return f"−{text}"  # noqa: RUF001 - the sign as it is printed
    return f"+{text}" if signed and value > 0 else text

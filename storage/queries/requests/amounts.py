"""Amounts: which variable of a process its requests are sorted by, and how much it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from placet.definition.model import amount_variable
from storage.queries.definitions.published import PublishedFact

VARIABLES: PublishedFact[str | None] = PublishedFact(amount_variable)
"""The variable that holds the amount, by template; None where there is none."""


def amount(given: Mapping[str, Any], variable: str | None) -> float | None:
    """Return the amount in an input as requests are sorted by it, None where there is none."""
    if variable is None or isinstance(value := given.get(variable), bool):
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None

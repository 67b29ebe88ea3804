"""Amounts: which variable of a process its requests are sorted by, and how much it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import col

from placet.blueprint import amount_variable
from storage.tables import ProcessTemplate

_MOST = 1000  # templates whose variable is kept at hand
# What is published does not change, so its variable is looked up once.
_known: dict[tuple[str, str], str | None] = {}


def variables(connection: Connection, template_ids: Collection[str]) -> Mapping[str, str | None]:
    """Return the variable that holds the amount, by template; None where there is none."""
    database = str(connection.engine.url)
    unknown = [one for one in template_ids if (database, one) not in _known]
    if unknown:
        while len(_known) > _MOST:
            del _known[next(iter(_known))]
        query = select(col(ProcessTemplate.id), col(ProcessTemplate.blueprint))
        for row in connection.execute(query.where(col(ProcessTemplate.id).in_(unknown))):
            _known[database, row.id] = amount_variable(row.blueprint)
    return {one: _known.get((database, one)) for one in template_ids}


def amount(given: Mapping[str, Any], variable: str | None) -> float | None:
    """Return the amount in an input as requests are sorted by it, None where there is none."""
    if variable is None or isinstance(value := given.get(variable), bool):
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None

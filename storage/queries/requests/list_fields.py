"""The fields of a list of requests that a process chooses: the variables of its summary, and the amount to sort by.

Which variables they are stands in the blueprint of the request's version. A published version does not change, so each
of these facts is read once per version and process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select
from sqlmodel import col

from placet.definition.model import amount_variable
from storage.prepared import Prepared, among
from storage.tables.approvals import DefinitionVersion

Fact = TypeVar("Fact")
_MOST = 1000  # versions whose fact is kept in memory


_BLUEPRINTS = Prepared(
    lambda dialect: select(col(DefinitionVersion.id), col(DefinitionVersion.blueprint)).where(
        among(dialect, col(DefinitionVersion.id), "ids")
    )
)


class PublishedFact(Generic[Fact]):
    """One fact of each published version, read from its blueprint once and then kept in memory."""

    def __init__(self, read: Callable[[Mapping[str, Any]], Fact]) -> None:
        """`read` takes the fact out of a blueprint's JSON."""
        self._read = read
        self._known: WeakKeyDictionary[Engine, dict[str, Fact]] = WeakKeyDictionary()

    def of(self, connection: Connection, template_ids: Collection[str]) -> dict[str, Fact]:
        """Return the fact by template; one that is not stored is left out."""
        known = self._known.setdefault(connection.engine, {})
        unknown = [one for one in template_ids if one not in known]
        if unknown:
            while len(known) > _MOST:
                del known[next(iter(known))]
            for row in _BLUEPRINTS.rows(connection, ids=unknown):
                known[row.id] = self._read(row.blueprint)
        return {one: known[one] for one in template_ids if one in known}


_SUMMARY_VARIABLES: PublishedFact[tuple[str, ...]] = PublishedFact(
    lambda blueprint: tuple((blueprint.get("settings") or {}).get("summary") or ())
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListValues:
    """What a list shows of a request's input: its summary by variable in the declared order, its amount as given."""

    summary: dict[str, Any] = field(default_factory=dict)
    amount: Any = None


def list_values(connection: Connection, given: Collection[tuple[str, Mapping[str, Any]]]) -> list[ListValues]:
    """Return what a list shows of each of these requests: the version of its process, and its input."""
    templates = {template for template, _ in given}
    named, amounts = _SUMMARY_VARIABLES.of(connection, templates), AMOUNT_VARIABLES.of(connection, templates)
    return [
        ListValues(
            summary={name: values[name] for name in named.get(template, ()) if name in values},
            amount=values.get(amounts.get(template) or ""),
        )
        for template, values in given
    ]


AMOUNT_VARIABLES: PublishedFact[str | None] = PublishedFact(amount_variable)
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

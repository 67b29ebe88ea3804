"""Published versions: facts of their blueprints that are asked for with every page and every recording."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, select
from sqlmodel import col

from storage.tables.approvals import DefinitionVersion

Fact = TypeVar("Fact")
_MOST = 1000  # versions whose fact is kept at hand


class PublishedFact(Generic[Fact]):
    """One fact of each version, read once: what is published does not change."""

    def __init__(self, read: Callable[[Mapping[str, Any]], Fact]) -> None:
        """Read the fact out of a blueprint's JSON by this function."""
        self._read = read
        self._known: dict[tuple[str, str], Fact] = {}

    def of(self, connection: Connection, template_ids: Collection[str]) -> dict[str, Fact]:
        """Return the fact by template; one that is not stored is left out."""
        database = str(connection.engine.url)
        unknown = [one for one in template_ids if (database, one) not in self._known]
        if unknown:
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
            query = select(col(DefinitionVersion.id), col(DefinitionVersion.blueprint))
            for row in connection.execute(query.where(col(DefinitionVersion.id).in_(unknown))):
                self._known[database, row.id] = self._read(row.blueprint)
        found = {one: (database, one) for one in template_ids}
        return {one: self._known[key] for one, key in found.items() if key in self._known}

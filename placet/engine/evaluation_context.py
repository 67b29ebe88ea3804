"""The values that a request's expressions are evaluated with.

They are its variables, the moment, the time zone, and the facts about the requester. Those facts are read only by
expressions that use them; DirectoryNeeded is raised where the directory at hand is too old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from placet.definition.variables import values_of
from placet.directory import Directory
from placet.engine.run import Run
from placet.expressions.types import NOW, REQUESTER, ZONE


def values_at(run: Run, moment: datetime | None = None) -> dict[str, object]:
    """Return the values for expressions at a node that was entered at this moment, by default now."""
    values = values_of(run.plan.variables, run.state.input)
    values[NOW] = run.now if moment is None else moment
    values[ZONE] = run.plan.offsets
    values[REQUESTER] = _Requester(run)
    return values


def requester_facts(directory: Directory, person: str) -> dict[str, Any]:
    """Return the facts about a requester from a directory, of the type `REQUESTER_TYPE`."""
    found = directory.people.get(person)
    return {
        "id": person,
        "department": found.department if found is not None else None,
        "manager": found.manager if found is not None else None,
        "managers": len(directory.managers(person)),
        "groups": found.groups if found is not None else (),
        "roles": found.roles if found is not None else (),
    }


class _Requester(Mapping[str, Any]):
    """The facts about the requester, read on first use; raises DirectoryNeeded then."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, name: str) -> Any:
        return self._facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def _facts(self) -> dict[str, Any]:
        return requester_facts(self._run.directory, self._run.state.requester)

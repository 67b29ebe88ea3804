"""Facts: the values that a request's expressions are evaluated with at a moment.

Its variables, the moment and the time zone, and what the directory says of the requester. The directory is read for
those who ask for that only: where it is too old, DirectoryNeeded says so.
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
    """Return what expressions are evaluated with at a node that was entered at this moment, by default now."""
    values = values_of(run.plan.variables, run.state.input)
    values[NOW] = run.now if moment is None else moment
    values[ZONE] = run.plan.offsets
    values[REQUESTER] = _Requester(run)
    return values


def requester_facts(directory: Directory, person: str) -> dict[str, Any]:
    """Return what a directory says of a requester, as the type in `placet.expressions.types` has it."""
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
    """The facts, read when the first of them is asked for; raises DirectoryNeeded then."""

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

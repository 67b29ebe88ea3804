"""The directory as a process sees it: people, managers, roles, groups and absences, as values.

A request carries only the part of the organisation that it can reach (`needed`), with ids and without names or
addresses, so that the engine's history holds no personal data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from placet.definition.assignees import AssigneeName, people_in, person_id

# When a directory was read that has to be read again before anybody is looked up in it.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_CHAIN = 32  # managers above one person; a longer chain is a loop in the data


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A period in which a person is away: [from, until), with an optional substitute (a person id)."""

    start: datetime
    until: datetime
    substitute: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person: id, manager's id, the organisation's roles and groups, absences; inactive once they have left.

    `department` is the name of their department; people are not looked up by it.
    """

    id: str
    manager: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    away: tuple[Absence, ...] = ()
    active: bool = True
    load: int = 0  # open tasks when the directory was read; for least-loaded assignment
    department: str | None = None
    approver: bool = True  # whether their access lets them be asked for decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The people a request can reach, by id."""

    people: dict[str, Person] = field(default_factory=dict)

    def get(self, person: str) -> Person | None:
        """Return an active person, or None for one who is unknown or has left."""
        found = self.people.get(person)
        return found if found is not None and found.active else None

    def absence(self, person: str, now: datetime) -> Absence | None:
        """Return the absence that covers this moment, if the person is away."""
        found = self.people.get(person)
        if found is None:
            return None
        return next((a for a in found.away if a.start <= now < a.until), None)

    def substitutes_of(self, person: str, now: datetime) -> list[str]:
        """List who may act for a person who is away: their substitute and, while that one is away too, the
        substitute's.
        """
        chain = [person]
        while (absence := self.absence(chain[-1], now)) is not None and absence.substitute is not None:
            if absence.substitute in chain:
                break
            chain.append(absence.substitute)
        return [one for one in chain[1:] if self.get(one) is not None]

    def managers(self, person: str) -> list[str]:
        """List the managers above a person, nearest first; a loop in the data ends the list."""
        chain: list[str] = []
        current = self.people.get(person)
        while current is not None and current.manager and len(chain) < _LONGEST_CHAIN:
            if current.manager in chain or current.manager == person:
                break
            chain.append(current.manager)
            current = self.people.get(current.manager)
        return chain

    def holders(self, role: str) -> list[str]:
        """List the active people who hold a role, by id."""
        return sorted(p.id for p in self.people.values() if p.active and role in p.roles)

    def members(self, group: str) -> list[str]:
        """List the active people in a group, by id."""
        return sorted(p.id for p in self.people.values() if p.active and group in p.groups)


def people_reached(
    names: Iterable[AssigneeName],
    *,
    find: Callable[[str], Person | None],
    holders: Callable[[str], Iterable[Person]],
    members: Callable[[str], Iterable[Person]],
    also: Iterable[str] = (),
    given: Mapping[str, object] | None = None,
) -> Directory:
    """Collect everyone whom these names can reach: the people, the managers above them, and substitutes.

    `find`, `holders` and `members` look into the whole organisation; `also` names people by id (requester, owner,
    assignees); `given` is the request's input, for `input:` names.
    """
    people: dict[str, Person] = {}

    def take(first: Person | None) -> None:
        pending = [first]
        while pending:
            person = pending.pop()
            if person is not None and person.id not in people:
                people[person.id] = person
                nexts = [person.manager, *(absence.substitute for absence in person.away)]
                pending += [find(one) for one in nexts if one and one not in people]

    for one in also:
        take(find(person_id(one)))
    for name in names:
        root = name.root
        if root.kind == "user":
            take(find(root.name))
        elif root.kind == "role":
            for person in holders(root.name):
                take(person)
        elif root.kind == "group":
            for person in members(root.name):
                take(person)
        elif root.given and given is not None:
            for one in people_in(given.get(root.name)):
                take(find(one))
    return Directory(people=people)

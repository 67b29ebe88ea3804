"""Classes of people whom one stage treats alike, so that a proof examines a few people instead of everyone.

Of the holders of the same names, only the first by id are ever chosen individually; the others fill the stage together
or not at all. So a few of each suffice (`Circle.few`). Requesters with the same kinds of managers above them, who are
not among those few, are one kind.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from placet.definition.assignees import AssigneeName, parse_assignee
from placet.directory import Directory, Person
from placet.plan.graph import Stage

MOST_AWAY = 2  # people away at the same time that are tried
# No stage looks further up: eight `manager_of` inside each other, and the chain of managers above whoever that is.
_MOST_ABOVE = 8 + 32 + 1


class Organisation:
    """Everyone, by the names that matter. Absences and load on the day of a check are ignored, because they change."""

    def __init__(self, people: Mapping[str, Person], names: Iterable[AssigneeName]) -> None:
        self.people = {
            p.id: replace(p, away=(), load=0) if p.away or p.load else p for p in people.values() if p.active
        }
        self.managers = {p.manager for p in self.people.values() if p.manager}
        self._holders: dict[AssigneeName, list[str]] = {root: [] for root in {name.root for name in names}}
        # Those with the same manager and names, who manage nobody.
        self._alike: dict[Hashable, list[str]] = {}
        roles = {who.name: who for who in self._holders if who.kind == "role"}
        groups = {who.name: who for who in self._holders if who.kind == "group"}
        for person in self.people.values():
            held = [roles[role] for role in person.roles if role in roles]
            held += [groups[group] for group in person.groups if group in groups]
            for who in held:
                self._holders[who].append(person.id)
            own = person.id if person.id in self.managers else None
            self._alike.setdefault((own, person.manager, frozenset(held)), []).append(person.id)
        for root, found in self._holders.items():
            if root.kind == "user" and root.name in self.people:
                found.append(root.name)

    def holders(self, who: AssigneeName) -> Collection[str]:
        """Return the ids of those whom a user, role or group name stands for."""
        return self._holders.get(who, ())

    def alike(self) -> Iterator[list[str]]:
        """Generate everyone, those together who hold the same names, have the same manager and manage nobody."""
        yield from self._alike.values()

    def above(self, person: str, most: int = _MOST_ABOVE) -> list[str]:
        """List the known managers above a person as far as a stage can look; a loop in the data ends the list."""
        chain = [person]
        while len(chain) <= most:
            manager = self.people[chain[-1]].manager
            if manager is None or manager not in self.people or manager in chain:
                break
            chain.append(manager)
        return chain[1:]

    def longest_chain(self) -> int:
        """Return the most managers that anybody has above them."""
        everyone = Directory(people=self.people)
        leaves = {p.manager: p.id for p in self.people.values() if p.id not in self.managers}
        asked = {*leaves.values(), *(self.managers & self.people.keys())}
        return max((len(everyone.managers(person)) for person in asked), default=0)


@dataclass(frozen=True, slots=True)
class PersonClass:
    """Requesters who are equivalent, in lists of those with the same manager."""

    alike: list[list[str]]

    @property
    def first(self) -> str:
        """Return one of them, who represents all."""
        return self.alike[0][0]

    @property
    def people(self) -> list[str]:
        """Return all of them."""
        return [person for alike in self.alike for person in alike]


class StagePeople:
    """The people of one stage: the few who have to be distinguished, and the class of everybody else."""

    def __init__(self, organisation: Organisation, stage: Stage, owner: str | None) -> None:
        self._all = organisation
        texts = [a.who for a in stage.approvers] + [lv.to for lv in stage.levels] + ([owner] if owner else [])
        names = {parse_assignee(text) for text in texts}
        roots = {name.root for name in names}
        # How far above the requester the names look by themselves.
        self._height = max((_height(name) for name in names if name.root.kind == "requester"), default=0)
        users = (root for root in roots if root.kind == "user")
        self._named = self._with_managers(person for root in users for person in organisation.holders(root))
        held: dict[str, set[AssigneeName]] = {}
        for root in roots:
            if root.kind in {"role", "group"}:
                for person in organisation.holders(root):
                    held.setdefault(person, set()).add(root)
        self._held = {person: frozenset(roots) for person, roots in held.items()}
        most = most_picked(stage, owner) + 1 + MOST_AWAY  # the requester and who is away are passed over
        first: dict[frozenset[AssigneeName], list[str]] = {}
        for person in sorted(self._held):
            if len(found := first.setdefault(self._held[person], [])) < most:
                found.append(person)
        picked = {person for found in first.values() for person in found}
        self._picked = self._named | (self._with_managers(picked) if stage.to_the_top else picked)
        self._further: dict[str, list[PersonClass]] = {}  # by the first of a kind
        self.few = {person: organisation.people[person] for person in self._picked}

    @cached_property
    def kinds(self) -> list[PersonClass]:
        """The requesters by what makes a difference while nobody is picked out of several by an order."""
        return self._grouped(self._all.alike(), self._named, self._height)

    def distinguished(self, kind: PersonClass) -> list[PersonClass]:
        """Part requesters of one kind by what makes a difference where somebody is picked."""
        if kind.first not in self._further:
            self._further[kind.first] = self._grouped(kind.alike, self._picked, _MOST_ABOVE)
        return self._further[kind.first]

    def reached(self, requester: str, away: frozenset[str]) -> Directory:
        """Return the people whom a request of this person may ask, as far as they make a difference, without those
        away.
        """
        people = self._all.people
        found = self.few | {person: people[person] for person in (requester, *self._all.above(requester))}
        for person in away:
            found[person] = replace(people[person], active=False)
        return Directory(people=found)

    def kind_of(self, person: str, requester: str) -> Hashable:
        """Return what somebody in the stage is to a requester: themself, or one of several whom nothing tells apart."""
        if person in self._named or person in self._all.above(requester):
            return person
        return self._held.get(person)

    def _grouped(self, people: Iterable[list[str]], apart: set[str], height: int) -> list[PersonClass]:
        """Group lists of people who are alike by the names they hold, and by what is above them up to a height."""
        groups: dict[Hashable, PersonClass] = {}
        for alike in people:
            others = alike if apart.isdisjoint(alike) else [person for person in alike if person not in apart]
            if others:
                key = (self._held.get(others[0]), self._symbols(others[0], apart, height))
                groups.setdefault(key, PersonClass([])).alike.append(others)
            if others is not alike:
                groups |= {person: PersonClass([[person]]) for person in alike if person in apart}
        return list(groups.values())

    def _symbols(self, person: str, apart: set[str], height: int) -> Hashable:
        """Describe the managers above somebody; one who can be told apart says what is above them too."""
        symbols: list[Hashable] = []
        chain = self._all.above(person, height)
        for manager in chain:
            if manager in apart:
                return (*symbols, ("is", manager))
            symbols.append(("holds", self._held.get(manager)))
        if len(chain) < height:
            top = self._all.people[chain[-1] if chain else person].manager
            line = [person, *chain]
            # Where the line ends: it comes back to itself, or to nobody who is known.
            symbols.append(("ends", line.index(top) if top in line else top is None))
        return tuple(symbols)

    def _with_managers(self, people: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for person in people:
            if person not in found:
                found |= {person, *self._all.above(person)}
        return found


def most_picked(stage: Stage, owner: str | None) -> int:
    """Return how many people of a kind make a difference: as the quorum needs, and as can be picked in an order."""
    by_order = stage.least_loaded or stage.levels or owner is not None
    needed = int(stage.need.value) if stage.need.kind in {"at_least", "weight"} else 1
    return needed + (len(stage.approvers) if by_order else 0)


def _height(name: AssigneeName) -> int:
    return 0 if name.of is None else 1 + _height(name.of)

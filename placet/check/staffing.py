"""Staffing: what a directory tells, found by filling every stage's seats for every requester as the core does.

Requesters for whom nothing can differ (the same managers above them, and named nowhere) are asked about once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from placet.check.compiled import SOME_DAY
from placet.check.draft import Draft
from placet.check.escalation import levels_of
from placet.check.findings import Finding, error, warning
from placet.check.people import approvers_of, names_of
from placet.directory import Directory, Person, needed
from placet.events import Opening
from placet.machine import opening_state
from placet.plan import Plan, Point, Stage
from placet.policy import fill_seats, resolve
from placet.run import Run
from placet.state import Seat
from placet.who import Who, person_id

MOST_FILLINGS = 20_000  # times that a stage is filled in one check
MOST_AWAY = 2  # people away at the same time that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """What a directory told: the findings, for how many requesters, and how many may be away (None: not asked).

    `complete` is false where the organisation was too large to ask about everyone.
    """

    findings: tuple[Finding, ...] = ()
    requesters: int = 0
    longest_chain: int | None = None  # of managers above anybody
    may_be_away: int | None = None
    complete: bool = True


class _Exhausted(Exception):
    """The stages have been filled as often as one check may."""


def staffing_of(draft: Draft, plan: Plan, people: Mapping[str, Person]) -> Staffing:
    """Fill the stages of a plan from everyone in an organisation, by id; with nobody, say what cannot be told."""
    if not people:
        return Staffing(findings=tuple(_untold(draft)))
    office = _Office(plan, people)
    findings = list(_unknown(draft, office))
    try:
        for point in plan.points.values():
            if point.stage is not None:
                findings += _Staff(draft, office, point, point.stage).findings()
    except _Exhausted:
        message = "the organisation is too large to ask about everyone; of the rest nothing is known"
        findings.append(warning("not_proven", "/process_steps", message))
        office.complete = False
    return Staffing(
        findings=tuple(findings),
        requesters=len(office.people),
        longest_chain=office.longest_chain(),
        may_be_away=office.may_be_away if office.complete else None,
        complete=office.complete,
    )


def _untold(draft: Draft) -> Iterator[Finding]:
    named = sorted({str(who.root) for _, who in names_of(draft) if who.root.kind in {"user", "role", "group"}})
    if named:
        shown = ", ".join(named[:10]) + (" and more" if len(named) > 10 else "")
        message = f"no directory is loaded, so nobody knows whether these exist: {shown}; load people and check again"
        yield warning("people_unknown", "/process_steps", message)


def _unknown(draft: Draft, office: _Office) -> Iterator[Finding]:
    for place, who in names_of(draft):
        root = who.root
        if root.kind == "user" and root.name not in office.people:
            yield warning("unknown_person", place, f"there is nobody with the id {root.name!r}; mend it, or add them")
        elif root.kind == "role" and not office.roles.get(root.name):
            yield warning(
                "unknown_role", place, f"nobody holds the role {root.name!r}; mend it, or give it to somebody"
            )
        elif root.kind == "group" and not office.groups.get(root.name):
            yield warning("unknown_group", place, f"nobody is in the group {root.name!r}; mend it, or add somebody")


class _Office:
    """The organisation, indexed, and without absences: who is away on the day of a check says nothing of later."""

    def __init__(self, plan: Plan, people: Mapping[str, Person]) -> None:
        self.plan = plan
        self.people = {p.id: replace(p, away=()) for p in people.values() if p.active}
        self.roles: dict[str, list[Person]] = {}
        self.groups: dict[str, list[Person]] = {}
        for person in self.people.values():
            for role in person.roles:
                self.roles.setdefault(role, []).append(person)
            for group in person.groups:
                self.groups.setdefault(group, []).append(person)
        self.alike = self._alike()
        self.fillings = 0
        self.complete = True
        self.may_be_away = MOST_AWAY

    def reached(self, *also: str) -> Directory:
        """Return the part of the organisation that a request of these people can reach."""
        return needed(
            self.plan.names,
            find=self.people.get,
            holders=lambda role: self.roles.get(role, ()),
            members=lambda group: self.groups.get(group, ()),
            also=also,
        )

    def run(self, requester: str, away: frozenset[str] = frozenset()) -> Run:
        """Return a run of a request by this person, before anything has happened, with these people gone."""
        self.fillings += 1
        if self.fillings > MOST_FILLINGS:
            raise _Exhausted
        reached = self.reached(requester).people
        directory = Directory(people={i: replace(p, active=False) if i in away else p for i, p in reached.items()})
        opening = Opening(
            request_id="check", requester=requester, title="", input={}, directory=directory, directory_at=SOME_DAY
        )
        return Run(self.plan, opening_state(self.plan, opening, SOME_DAY), SOME_DAY)

    def holders(self, who: Who) -> set[str]:
        """Return the ids of those whom a user, role or group name stands for."""
        if who.kind == "user":
            return {who.name} & self.people.keys()
        found = {"role": self.roles, "group": self.groups}.get(who.kind, {})
        return {person.id for person in found.get(who.name, ())}

    def exists(self, who: Who) -> bool:
        """Say whether this names a user, a role or a group, and somebody is meant."""
        return bool(self.holders(who))

    def longest_chain(self) -> int:
        """Return the most managers that anybody has above them."""
        return max((len(chain) - 1 for chain in self.alike), default=0)

    def _alike(self) -> dict[tuple[object, ...], list[str]]:
        """Group the possible requesters by what can make a difference."""
        named = self.reached().people
        everyone = Directory(people=self.people)
        groups: dict[tuple[object, ...], list[str]] = {}
        for person in self.people:
            own = person if person in named else None
            groups.setdefault((own, *everyone.managers(person)), []).append(person)
        return groups


class _Staff:
    """One stage's people, for every kind of requester."""

    def __init__(self, draft: Draft, office: _Office, point: Point, stage: Stage) -> None:
        self.office = office
        self.point = point
        self.stage = stage
        self.step = next(s for s in draft.blueprint.process_steps if s.stage_name == stage.name)
        self.pointer = draft.place(self.step)
        names = [who for _, who in approvers_of(self.step, "")]
        # Whom an input names is not known before there is one.
        self.told = all(not who.root.given for who in names)
        # Where the approvers hang on who asks, a directory that is still being filled proves nothing.
        self.definite = all(office.exists(who) for who in names)

    def findings(self) -> Iterator[Finding]:
        """Generate what is wrong with this stage's people."""
        if not self.told:
            return
        short: list[str] = []
        helped: list[str] = []
        own: dict[str, list[Seat]] = {}
        for alike in self.office.alike.values():
            seats, why = self._fill(alike[0])
            if _vacant(seats):
                short += alike
            elif why is None:
                own[alike[0]] = seats
            else:
                helped += alike
        yield from self._short(short, helped)
        yield from self._escalates_to_self(own)
        if not short:
            yield from self._fragile()
        else:
            self.office.may_be_away = 0

    def _fill(self, requester: str, away: frozenset[str] = frozenset()) -> tuple[list[Seat], str | None]:
        return fill_seats(self.office.run(requester, away), self.point, self.stage)

    def _short(self, short: list[str], helped: list[str]) -> Iterator[Finding]:
        approvers = {p for _, who in approvers_of(self.step, "") for p in self.office.holders(who)}
        others = self.office.people.keys() - approvers
        if self.definite and others and others <= {*short, *helped}:
            message = "whoever asks, fewer people may approve than the quorum needs; name more, or ask for fewer"
            yield error("impossible_quorum", self.pointer, message, witness={"requester": min(others)})
        elif short:
            message = (
                f"for {len(short)} of {len(self.office.people)} requesters, such as {short[0]!r}, too few people may "
                "approve and nobody stands in, so an operator has to assign the task; name an owner or an escalation"
            )
            yield warning("quorum_not_met", self.pointer, message, witness={"requester": short[0]})

    def _escalates_to_self(self, own: dict[str, list[Seat]]) -> Iterator[Finding]:
        """Find levels whose people are all in the stage already."""
        for place, target, action in levels_of(self.step, self.pointer):
            if action == "notify" or (target.root.given or target.root.kind == "assignee"):
                continue
            same = [r for r, seats in own.items() if self._only(r, target, seats)]
            certain = self.definite and len(same) == len(own)
            # Where it only happens to some, the shorthand goes on to the next above.
            if same and (certain or not self.stage.to_the_top):
                message = f"{target} are people who have this stage's tasks already; name somebody above"
                level = error if certain else warning
                yield level("escalation_to_oneself", place, message, witness={"requester": same[0]})

    def _only(self, requester: str, target: Who, seats: list[Seat]) -> bool:
        named = {person_id(p) for p in resolve(self.office.run(requester), target)} & self.office.people.keys()
        seated = {seat.person for seat in seats}
        return bool(named) and named <= seated

    def _fragile(self) -> Iterator[Finding]:
        """Find the fewest people whose absence leaves the stage without enough, and whether that is one."""
        for count in range(1, self.office.may_be_away + 1):
            for alike in self.office.alike.values():
                gone = self._broken_by(alike[0], count, frozenset())
                if gone is None:
                    continue
                self.office.may_be_away = count - 1
                if count == 1:
                    message = (
                        f"while {', '.join(sorted(gone))} is away without a substitute, too few are left to approve "
                        f"what {alike[0]!r} asks for; name more approvers, an escalation or an owner"
                    )
                    witness = {"requester": alike[0], "away": sorted(gone)}
                    yield warning("not_resilient", self.pointer, message, witness=witness)
                return

    def _broken_by(self, requester: str, count: int, away: frozenset[str]) -> frozenset[str] | None:
        """Return up to `count` more people whose absence leaves a vacant seat; one who is seated must be among them."""
        seats, _ = self._fill(requester, away)
        if _vacant(seats):
            return away
        if count == 0:
            return None
        for person in sorted({p for seat in seats for p in (seat.person, *seat.candidates) if p}):
            found = self._broken_by(requester, count - 1, away | {person})
            if found is not None:
                return found
        return None


def _vacant(seats: list[Seat]) -> bool:
    return any(seat.person is None and not seat.candidates for seat in seats)

"""Staffing: findings from a directory, made by filling every stage's seats for every requester as the core does.

People for whom nothing can differ are looked at once (placet.proofs.people.equivalence), so a group of thousands costs
no more than one of ten; every witness is somebody real.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

from placet.audit.reasons import Reason
from placet.definition.assignees import AssigneeName, person_id
from placet.directory import Directory, Person
from placet.engine.events import Opening
from placet.engine.machine import opening_state
from placet.engine.run import Run
from placet.engine.state import Seat
from placet.plan.graph import Node, Stage
from placet.plan.plan import Plan
from placet.proofs.draft import Draft
from placet.proofs.findings import Finding, error, warning
from placet.proofs.people.approvers import approvers_of, chosen, names_of
from placet.proofs.people.equivalence import MOST_AWAY, Organisation, PersonClass, StagePeople
from placet.proofs.people.escalation import levels_of
from placet.proofs.structure.compilation import SOME_DAY
from placet.sentences import sentence
from placet.tasks.candidates import resolve
from placet.tasks.seats import fill_seats

MOST_LOOKS = 300_000  # people looked at in one check, each time that a stage is filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffing:
    """The result of a check with a directory: findings, the number of requesters, and how many may be away (None: not
    asked).

    `complete` is false where the organisation was too large to examine everyone.
    """

    findings: tuple[Finding, ...] = ()
    requesters: int = 0
    longest_chain: int | None = None  # of managers above anybody
    may_be_away: int | None = None
    complete: bool = True


class _WorkExceeded(Exception):
    """The check has reached its bound on people examined."""


def staffing_of(draft: Draft, plan: Plan, people: Mapping[str, Person]) -> Staffing:
    """Fill the stages of a plan from everyone in an organisation; without people, report what remains unknown."""
    if not people:
        return Staffing(findings=tuple(_without_directory(draft)))
    everyone = Organisation(people, [*plan.names, *(who for _, who in names_of(draft))])
    findings = list(_unknown_names(draft, everyone))
    office = _SharedStaffing(plan, everyone)
    complete = True
    try:
        for name, stage in plan.stages_by_node.items():
            findings += _StageStaffing(draft, office, plan.nodes[name], stage).findings()
    except _WorkExceeded:
        message = "the organisation is too large to examine everyone; nothing is proven about the rest"
        findings.append(warning("not_proven", "/process_steps", message))
        complete = False
    return Staffing(
        findings=tuple(findings),
        requesters=len(everyone.people),
        longest_chain=everyone.longest_chain(),
        may_be_away=office.may_be_away if complete else None,
        complete=complete,
    )


def _without_directory(draft: Draft) -> Iterator[Finding]:
    named = sorted({str(who.root) for _, who in names_of(draft) if who.root.kind in {"user", "role", "group"}})
    if named:
        shown = ", ".join(named[:10]) + (" and more" if len(named) > 10 else "")
        message = sentence(
            "no directory is loaded, so it is unknown whether these exist: {shown}; load people and check again",
            shown=shown,
        )
        yield warning("people_unknown", "/process_steps", message)


def _unknown_names(draft: Draft, everyone: Organisation) -> Iterator[Finding]:
    for place, who in names_of(draft):
        root = who.root
        if root.kind == "user" and not everyone.holders(root):
            yield warning(
                "unknown_person",
                place,
                sentence("no person has the id {name!r}; correct it, or add them", name=root.name),
            )
        elif root.kind == "role" and not everyone.holders(root):
            yield warning(
                "unknown_role",
                place,
                sentence("no person holds the role {name!r}; correct it, or give it to somebody", name=root.name),
            )
        elif root.kind == "group" and not everyone.holders(root):
            yield warning(
                "unknown_group",
                place,
                sentence("no person is in the group {name!r}; correct it, or add somebody", name=root.name),
            )


class _SharedStaffing:
    """The data that the stages of a check share: the organisation, the work done so far, and who may be away."""

    def __init__(self, plan: Plan, everyone: Organisation) -> None:
        self.plan = plan
        self.everyone = everyone
        self.may_be_away = MOST_AWAY
        self._looks = 0
        self._circles: dict[Hashable, StagePeople] = {}

    def circle(self, stage: Stage) -> StagePeople:
        """Return the people of a stage; stages that name the same share them."""
        key = (stage.approvers, stage.levels, stage.need, stage.least_loaded, stage.to_the_top)
        if key not in self._circles:
            self._circles[key] = StagePeople(self.everyone, stage, self.plan.owner)
        return self._circles[key]

    def run(self, requester: str, directory: Directory) -> Run:
        """Return a run of a request by this person, before anything has happened."""
        self._looks += len(directory.people)
        if self._looks > MOST_LOOKS:
            raise _WorkExceeded
        opening = Opening(
            request_id="check",
            requester=requester,
            title="",
            input={},
            directory=directory,
            directory_at=SOME_DAY,
            secret="",
            titled=True,
        )
        return Run(self.plan, opening_state(self.plan, opening, SOME_DAY), SOME_DAY)


class _StageStaffing:
    """The staffing of one stage, for every class of requesters."""

    def __init__(self, draft: Draft, office: _SharedStaffing, node: Node, stage: Stage) -> None:
        self.office = office
        self.everyone = office.everyone
        self.node = node
        self.stage = stage
        self.step = next(s for s in draft.definition.process_steps if s.stage_name == stage.name)
        self.pointer = draft.place(self.step)
        names = [who for _, who in approvers_of(self.step, "")]
        # Whom an input names is not known before there is one.
        self.told = all(not who.root.given for who in names) and not chosen(self.step)
        # Where the approvers hang on who asks, a directory that is still being filled proves nothing.
        self.definite = all(self.everyone.holders(who) for who in names)

    def findings(self) -> Iterator[Finding]:
        """Generate the findings about this stage's people."""
        if chosen(self.step):
            message = "an expression chooses the approvers; whether the quorum can be met is not proven for each choice"
            yield warning("not_proven", f"{self.pointer}/approvers", message)
        if not self.told:
            return
        self.circle = self.office.circle(self.stage)
        self.kinds = list(self._kinds())
        short: list[str] = []
        helped: list[str] = []
        own: dict[str, list[Seat]] = {}
        for kind in self.kinds:
            seats, why = self._fill(kind.first)
            if _vacant(seats):
                short += kind.people
            elif why is None:
                own[kind.first] = seats
            else:
                helped += kind.people
        yield from self._short(short, helped)
        yield from self._escalates_to_self(own)
        if not short:
            yield from self._fragile()
        else:
            self.office.may_be_away = 0

    def _kinds(self) -> Iterator[PersonClass]:
        """Generate the kinds of requesters; those for whom somebody is picked by order are told apart further."""
        for kind in self.circle.kinds:
            if self._by_kind(*self._fill(kind.first)):
                yield kind
            else:
                yield from self.circle.distinguished(kind)

    def _by_kind(self, seats: list[Seat], why: Reason | None) -> bool:
        """Whether a filling hangs on nobody's place in an order: nobody is picked, or all are and they are too few."""
        if self.stage.least_loaded:
            return False
        return why is None or (_vacant(seats) and not self.stage.to_the_top)

    def _fill(self, requester: str, away: frozenset[str] = frozenset()) -> tuple[list[Seat], Reason | None]:
        directory = self.circle.reached(requester, away)
        seated = fill_seats(self.office.run(requester, directory), self.node, self.stage)
        return seated.seats, seated.why if seated.replacement else None

    def _short(self, short: list[str], helped: list[str]) -> Iterator[Finding]:
        approvers = {p for _, who in approvers_of(self.step, "") for p in self.everyone.holders(who)}
        others = self.everyone.people.keys() - approvers
        if self.definite and others and others <= {*short, *helped}:
            message = (
                "for every requester, fewer people may approve than the quorum needs; "
                "name more approvers, or lower the quorum"
            )
            yield error("impossible_quorum", self.pointer, message, witness={"requester": min(others)})
        elif short:
            told = {"count": len(short), "count_2": len(self.everyone.people), "short": short[0]}
            if short[0] == person_id(self.office.plan.owner or ""):
                message = sentence(
                    "for {count} of {count_2} requesters, such as {short!r}, too few people may approve and nobody "
                    "replaces them, so an operator has to assign the task: {short!r} owns the process, and nobody "
                    "decides their own request; name an escalation to somebody else",
                    **told,
                )
            else:
                message = sentence(
                    "for {count} of {count_2} requesters, such as {short!r}, too few people may approve and "
                    "nobody replaces them, so an operator has to assign the task; name an owner or an "
                    "escalation",
                    **told,
                )
            yield warning("quorum_not_met", self.pointer, message, witness={"requester": short[0]})

    def _escalates_to_self(self, own: dict[str, list[Seat]]) -> Iterator[Finding]:
        """Find levels whose people all have a seat of the stage already."""
        for place, target, action in levels_of(self.step, self.pointer):
            if action == "notify" or (target.root.given or target.root.kind == "assignee"):
                continue
            same = [r for r, seats in own.items() if self._only(r, target, seats)]
            certain = self.definite and len(same) == len(own)
            # Where it only happens to some, the shorthand goes on to the next above.
            if same and (certain or not self.stage.to_the_top):
                message = sentence(
                    "{target} are people who have this stage's tasks already; name somebody above", target=target
                )
                level = error if certain else warning
                yield level("escalation_to_oneself", place, message, witness={"requester": same[0]})

    def _only(self, requester: str, target: AssigneeName, seats: list[Seat]) -> bool:
        run = self.office.run(requester, self.circle.reached(requester, frozenset()))
        named = {person_id(p) for p in resolve(run, target)} & self.everyone.people.keys()
        seated = {seat.person for seat in seats}
        return bool(named) and named <= seated

    def _fragile(self) -> Iterator[Finding]:
        """Find the fewest people whose absence leaves the stage with too few, and report it where that is one."""
        for count in range(1, self.office.may_be_away + 1):
            for kind in self.kinds:
                requester, gone = self._broken_for(kind, count)
                if gone is None:
                    continue
                self.office.may_be_away = count - 1
                if count == 1:
                    message = sentence(
                        "while {names} is away without a substitute, too few are left to approve what "
                        "{requester!r} asks for; name more approvers, an escalation or an owner",
                        names=", ".join(sorted(gone)),
                        requester=requester,
                    )
                    witness = {"requester": requester, "away": sorted(gone)}
                    yield warning("not_resilient", self.pointer, message, witness=witness)
                return

    def _broken_for(self, kind: PersonClass, count: int) -> tuple[str, frozenset[str] | None]:
        """Return one of a kind of requesters for whom so many absences are too many, and whose they are."""
        gone, by_kind = self._broken_by(kind.first, count, frozenset())
        if gone is not None or by_kind:
            return kind.first, gone
        for further in self.circle.distinguished(kind):
            gone, _ = self._broken_by(further.first, count, frozenset())
            if gone is not None:
                return further.first, gone
        return kind.first, None

    def _broken_by(self, requester: str, count: int, away: frozenset[str]) -> tuple[frozenset[str] | None, bool]:
        """Return up to `count` more people whose absence leaves a vacant seat; one who is seated must be among them.

        Also says whether the same holds for everybody of the same kinds.
        """
        seats, why = self._fill(requester, away)
        by_kind = self._by_kind(seats, why)
        if _vacant(seats):
            return away, by_kind
        if count == 0:
            return None, by_kind
        tried: set[Hashable] = set()
        for person in sorted({p for seat in seats for p in (seat.person, *seat.candidates) if p}):
            kind = self.circle.kind_of(person, requester)
            if kind in tried:
                continue
            found, alike = self._broken_by(requester, count - 1, away | {person})
            if found is not None:
                return found, by_kind
            by_kind = by_kind and alike
            if alike:
                tried.add(kind)
        return None, by_kind


def _vacant(seats: list[Seat]) -> bool:
    return any(seat.person is None and not seat.candidates for seat in seats)

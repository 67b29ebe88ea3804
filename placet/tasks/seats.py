"""Seats: who fills the seats of a stage when it opens, and again when the turn of a seat comes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from placet.audit.reasons import Reason, because
from placet.definition.assignees import parse_assignee
from placet.engine.evaluation_context import values_at
from placet.engine.run import Run
from placet.engine.state import AddedApprover, Seat
from placet.errors import EvaluationFailed
from placet.expressions import evaluate
from placet.frozen import evolve
from placet.plan.graph import ApproverSpec, Node, Stage
from placet.tasks.candidates import queue_of, replacements, resolve, successors
from placet.tasks.quorum import reachable
from placet.tasks.substitution import Assignment, absent_seat_holder, eligible


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfilledSeat:
    """A seat that nobody fills: the name that it belongs to, its weight, and whether the name is of one person.

    It `counts` for the quorum unless it is the requester's, who never has a seat.
    """

    who: str
    weight: int
    named: bool
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSeats:
    """How the seats of a stage are filled; see StageRun for `intended`.

    `why` says who is missing. Where too few are left, somebody is the `replacement` of those who are missing, or a seat
    stays vacant.
    """

    seats: list[Seat]
    intended: int
    why: Reason | None = None
    replacement: bool = False


def fill_seats(run: Run, node: Node, stage: Stage) -> FilledSeats:
    """Fill a stage's seats when it opens, and those of the approvers whom somebody has added to it."""
    taken: set[str] = set()
    filled = _fill_own_seats(run, node, stage, taken)
    added = [one for one in run.state.added if one.node == node.id]
    return _with_added(run, node, stage, filled, added, taken) if added else filled


def _fill_own_seats(run: Run, node: Node, stage: Stage, taken: set[str]) -> FilledSeats:
    """Fill the seats of those whom the stage itself names; who fills one is added to `taken`.

    The eligible people, each once, without the requester. A quorum is never lowered: it counts also those who are
    missing (away without a substitute, unknown, or whose substitute has a seat already), and where too few are left the
    next eligible in the escalation chain stand in, and then the process owner. What is still missing stays a vacant
    seat for an operator to assign.
    """
    declared: set[str] = set()
    asked, fault = _approvers_now(run, stage)
    # A queue is of those who have no seat of their own, also where the stage names them after the queue.
    last = run.rules.seats_people_before_queues and stage.claim
    turns = sorted(range(len(asked)), key=lambda n: last and not parse_assignee(asked[n].who).single)
    filled = {n: _fill_for_name(run, node, stage, asked[n], taken, declared) for n in turns}
    seats = [seat for n in range(len(asked)) for seat in filled[n][0]]
    missing = [one for n in range(len(asked)) for one in filled[n][1]]
    intended = len(seats) + (sum(m.counts for m in missing) if run.rules.counts_missing_seats else 0)

    def enough() -> bool:
        return bool(seats) and reachable(stage.need, seats, intended)

    names = list(dict.fromkeys(m.who for m in missing))
    why = fault or (because("nobody_eligible", names=names) if names else because("quorum_short"))
    if fault is None and enough():
        told = run.rules.counts_missing_seats and any(m.named and m.counts for m in missing)
        others = because(why.code, **why.parameters, then=because("others_enough")) if told else None
        return FilledSeats(seats=seats, intended=intended, why=others)
    weights = [m.weight for m in missing]  # whoever stands in has the vote of those who are missing
    for person, via in replacements(run, stage):
        if enough():
            break
        if assignment := eligible(run, person, stage, node.id, via=via, taken=taken):
            taken.add(assignment.person)
            seats.append(_seat(assignment, weights.pop(0) if weights else 1))
    while not enough():
        lacking = stage.need.value - sum(s.weight for s in seats) if stage.need.kind == "weight" else 1
        seats.append(Seat(person=None, via="vacant", weight=max(1, math.ceil(lacking))))
    return FilledSeats(seats=seats, intended=intended, why=why, replacement=True)


def added_seat(person: str, by: str) -> Seat:
    """Return the seat of an approver whom somebody adds to a stage."""
    return Seat(person=person, via=f"added:{by}", added_by=by, added_as="extra")


def _with_added(  # noqa: PLR0917 - called in one place
    run: Run, node: Node, stage: Stage, filled: FilledSeats, added: Sequence[AddedApprover], taken: set[str]
) -> FilledSeats:
    """Add the seats of those who were added in an earlier round; a person whom the stage itself asks now has that seat,
    and it is needed.

    In a sequence they come after the first seat: so the stage's others are asked only where its quorum needs them.
    """
    seats, more, why = list(filled.seats), [], filled.why
    for one in added:
        own = next((n for n, seat in enumerate(seats) if one.person in _holders(run, seat)), None)
        if own is not None:
            seats[own] = evolve(seats[own], added_by=one.by, added_as="own")
            continue
        seat, missing = refill_seat(run, node, stage, added_seat(one.person, one.by), taken)
        taken |= _holders(run, seat)
        more.append(seat)
        why = why or missing
    first = 1 if stage.order == "sequential" else len(seats)
    return FilledSeats(
        seats=[*seats[:first], *more, *seats[first:]],
        intended=filled.intended,
        why=why,
        replacement=filled.replacement or why is not filled.why,
    )


def _holders(run: Run, seat: Seat) -> set[str]:
    return {person for person in (seat.person, absent_seat_holder(run.state, seat.via)) if person is not None}


def refill_seat(run: Run, node: Node, stage: Stage, seat: Seat, taken: set[str]) -> tuple[Seat, Reason | None]:
    """Fill a seat whose turn has come: its person may have left, or be away, since it was filled.

    The seat of somebody who has left goes the way that their task would go, had it been open already.
    """
    refilled, why = _refilled(run, node, stage, seat, taken)
    return evolve(refilled, added_by=seat.added_by, added_as=seat.added_as), why


def _refilled(run: Run, node: Node, stage: Stage, seat: Seat, taken: set[str]) -> tuple[Seat, Reason | None]:
    left = None
    if seat.candidates:
        queue = _queue(run, node, stage, _in_queue(run, seat), taken)
        if queue:
            return Seat(person=None, via=seat.via, weight=seat.weight, candidates=queue), None
        why = because("nobody_eligible", names=[seat.via])
    elif seat.person:
        away = absent_seat_holder(
            run.state, seat.via
        )  # the seat is theirs, whoever stood in for them when the stage opened
        whose, via = (away, "return") if away is not None else (seat.person, seat.via)
        if found := eligible(run, whose, stage, node.id, via=via, taken=taken):
            return _seat(found, seat.weight), None
        why = because("not_eligible_any_more", person=f"user:{whose}")
        if run.rules.reassigns_seats_of_leavers and run.directory.get(whose) is None:
            left, why = whose, because("left", person=f"user:{whose}")
    else:
        why = because("nobody_eligible", names=[seat.via])
    if left is not None:
        candidates: Iterable[tuple[str, str]] = ((person, "succession") for person in successors(run, stage, left))
    else:
        candidates = replacements(run, stage)
    for person, via in candidates:
        if found := eligible(run, person, stage, node.id, via=via, taken=taken):
            return _seat(found, seat.weight), why
    return Seat(person=None, via="vacant", weight=seat.weight), why


def _approvers_now(run: Run, stage: Stage) -> tuple[list[ApproverSpec], Reason | None]:
    """Return the approvers that a stage asks now, and the reason where an expression that chooses some fails."""
    if all(approver_spec.when is None for approver_spec in stage.approvers):
        return list(stage.approvers), None
    asked: list[ApproverSpec] = []
    fault: Reason | None = None
    values = values_at(run)
    for approver_spec in stage.approvers:
        try:
            if approver_spec.when is None or evaluate(approver_spec.when, values, run.allowance) is True:
                asked.append(approver_spec)
        except EvaluationFailed as error:
            fault = because("approvers_not_chosen", cause=error.reason)
    return asked, fault


def _fill_for_name(  # noqa: PLR0917 - called in one place
    run: Run, node: Node, stage: Stage, approver_spec: ApproverSpec, taken: set[str], declared: set[str]
) -> tuple[list[Seat], list[UnfilledSeat]]:
    """Fill the seats of one declared name; returns them, and those whom nobody fills.

    Who fills a seat is added to `taken`, and whom the stage names to `declared`: nobody is missing who has a seat by
    another name, nor the requester among the holders of a role.
    """
    who, weight = parse_assignee(approver_spec.who), approver_spec.weight
    people = resolve(run, who)
    seats: list[Seat] = []
    missing: list[UnfilledSeat] = []
    repeated = False
    if not who.single and stage.claim:
        if queue := _queue(run, node, stage, people, taken):
            seats.append(Seat(person=None, via=str(who), weight=weight, candidates=queue))
    elif not who.single and stage.least_loaded:
        for person in sorted(people, key=lambda p: (run.directory.people[p].load, p)):
            if found := eligible(run, person, stage, node.id, via=str(who), taken=taken):
                taken.add(found.person)
                seats.append(_seat(found, weight))
                break
    else:
        via = "approver" if who.kind == "user" else str(who)
        for person in people:
            again = run.rules.counts_missing_seats and person in declared
            repeated = repeated or again
            declared.add(person)
            if found := eligible(run, person, stage, node.id, via=via, taken=taken):
                taken.add(found.person)
                seats.append(_seat(found, weight))
            elif run.rules.counts_missing_seats and not again and person != run.state.requester:
                missing.append(UnfilledSeat(who=f"user:{person}", weight=weight, named=who.single))
    if not seats and not missing and not repeated:
        own = run.state.requester in people
        missing.append(UnfilledSeat(who=approver_spec.who, weight=weight, named=who.single, counts=not own))
    return seats, missing


def _in_queue(run: Run, seat: Seat) -> list[str]:
    """Return who is in a queue, by the directory as it is now where its seat names the role or group."""
    if run.rules.rereads_queues and queue_of(seat) is not None:
        return resolve(run, parse_assignee(seat.via))
    return list(seat.candidates)


def _queue(run: Run, node: Node, stage: Stage, people: list[str], taken: set[str]) -> tuple[str, ...]:
    """Return who may claim a task of these people's queue."""
    found = (eligible(run, p, stage, node.id, via="queue", taken=taken) for p in people)
    return tuple(dict.fromkeys(f.person for f in found if f))


def _seat(found: Assignment, weight: int) -> Seat:
    return Seat(person=found.person, via=found.via, weight=weight)

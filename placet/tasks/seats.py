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
from placet.tasks.choice import Choice
from placet.tasks.quorum import reachable
from placet.tasks.substitution import absent_seat_holder


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
    stays vacant. `choice` says who was considered.
    """

    seats: list[Seat]
    intended: int
    choice: Choice
    why: Reason | None = None
    replacement: bool = False


def fill_seats(run: Run, node: Node, stage: Stage) -> FilledSeats:
    """Fill a stage's seats when it opens, and those of the approvers whom somebody has added to it."""
    taken: set[str] = set()
    filled = _fill_own_seats(run, stage, Choice(run, stage, node.id), taken)
    added = [one for one in run.state.added if one.node == node.id]
    return _with_added(run, stage, filled, added, taken) if added else filled


def _fill_own_seats(run: Run, stage: Stage, choice: Choice, taken: set[str]) -> FilledSeats:
    """Fill the seats of those whom the stage itself names; who fills one is added to `taken`.

    The eligible people, each once, without the requester. A quorum is never lowered: it counts also those who are
    missing (away without a substitute, unknown, or whose substitute has a seat already), and where too few are left the
    next eligible in the escalation chain stand in, and then the process owner. What is still missing stays a vacant
    seat for an operator to assign.
    """
    declared: set[str] = set()
    asked, fault = _approvers_now(run, stage, choice)
    # A queue is of those who have no seat of their own, also where the stage names them after the queue.
    last = run.rules.seats_people_before_queues and stage.claim
    turns = sorted(range(len(asked)), key=lambda n: last and not parse_assignee(asked[n].who).single)
    filled = {n: _fill_for_name(run, stage, asked[n], choice, taken, declared) for n in turns}
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
        return FilledSeats(seats=seats, intended=intended, choice=choice, why=others)
    weights = [m.weight for m in missing]  # whoever stands in has the vote of those who are missing
    for person, via, name in replacements(run, stage):
        if enough():
            break
        if seat := _seat(choice, person, name, weights[0] if weights else 1, via=via, taken=taken):
            del weights[:1]
            taken |= _fillers(seat)
            seats.append(seat)
    while not enough():
        lacking = stage.need.value - sum(s.weight for s in seats) if stage.need.kind == "weight" else 1
        seats.append(Seat(person=None, via="vacant", weight=max(1, math.ceil(lacking))))
    return FilledSeats(seats=seats, intended=intended, choice=choice, why=why, replacement=True)


def added_seat(person: str, by: str) -> Seat:
    """Return the seat of an approver whom somebody adds to a stage."""
    return Seat(person=person, via=f"added:{by}", added_by=by, added_as="extra")


def _with_added(
    run: Run, stage: Stage, filled: FilledSeats, added: Sequence[AddedApprover], taken: set[str]
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
        seat, missing = refill_seat(run, stage, added_seat(one.person, one.by), filled.choice, taken)
        taken |= _holders(run, seat)
        more.append(seat)
        why = why or missing
    first = 1 if stage.order == "sequential" else len(seats)
    return FilledSeats(
        seats=[*seats[:first], *more, *seats[first:]],
        intended=filled.intended,
        choice=filled.choice,
        why=why,
        replacement=filled.replacement or why is not filled.why,
    )


def _holders(run: Run, seat: Seat) -> set[str]:
    return {person for person in (seat.person, absent_seat_holder(run.state, seat.via)) if person is not None}


def refill_seat(run: Run, stage: Stage, seat: Seat, choice: Choice, taken: set[str]) -> tuple[Seat, Reason | None]:
    """Fill a seat whose turn has come: its person may have left, or be away, since it was filled.

    The seat of somebody who has left goes the way that their task would go, had it been open already.
    """
    refilled, why = _refilled(run, stage, seat, choice, taken)
    return evolve(refilled, added_by=seat.added_by, added_as=seat.added_as), why


def _refilled(run: Run, stage: Stage, seat: Seat, choice: Choice, taken: set[str]) -> tuple[Seat, Reason | None]:
    left = None
    if seat.candidates:
        queue = _queue(choice, _in_queue(run, seat), seat.via, taken)
        if queue:
            return Seat(person=None, via=seat.via, weight=seat.weight, candidates=queue), None
        why = because("nobody_eligible", names=[seat.via])
    elif seat.person:
        away = absent_seat_holder(
            run.state, seat.via
        )  # the seat is theirs, whoever stood in for them when the stage opened
        whose, via = (away, "return") if away is not None else (seat.person, seat.via)
        by_id = seat.via == "approver" or seat.extra or away is not None
        name = seat.chosen_by or (f"user:{whose}" if by_id else seat.via)
        if found := _seat(choice, whose, name, seat.weight, via=via, taken=taken):
            return found, None
        why = because("not_eligible_any_more", person=f"user:{whose}")
        if run.rules.reassigns_seats_of_leavers and run.directory.get(whose) is None:
            left, why = whose, because("left", person=f"user:{whose}")
    else:
        why = because("nobody_eligible", names=[seat.via])
    if left is not None:
        candidates: Iterable[tuple[str, str, str]] = (
            (person, "succession", name) for person, name in successors(run, stage, left)
        )
    else:
        candidates = replacements(run, stage)
    for person, via, name in candidates:
        if found := _seat(choice, person, name, seat.weight, via=via, taken=taken):
            return found, why
    return Seat(person=None, via="vacant", weight=seat.weight), why


def _approvers_now(run: Run, stage: Stage, choice: Choice) -> tuple[list[ApproverSpec], Reason | None]:
    """Return the approvers that a stage asks now, and the reason where an expression that chooses some fails.

    The others are passed over.
    """
    if all(approver_spec.when is None for approver_spec in stage.approvers):
        return list(stage.approvers), None
    asked: list[ApproverSpec] = []
    fault: Reason | None = None
    values = values_at(run)
    for approver_spec in stage.approvers:
        unasked = because("condition_not_met")
        try:
            if approver_spec.when is None or evaluate(approver_spec.when, values, run.allowance) is True:
                asked.append(approver_spec)
                continue
        except EvaluationFailed as error:
            fault = because("approvers_not_chosen", cause=error.reason)
            unasked = because("condition_failed")
        for person in resolve(run, parse_assignee(approver_spec.who)):
            choice.pass_over(person, approver_spec.who, unasked)
    return asked, fault


def _fill_for_name(  # noqa: PLR0917 - called in one place
    run: Run, stage: Stage, approver_spec: ApproverSpec, choice: Choice, taken: set[str], declared: set[str]
) -> tuple[list[Seat], list[UnfilledSeat]]:
    """Fill the seats of one declared name; returns them, and those whom nobody fills.

    Who fills a seat is added to `taken`, and whom the stage names to `declared`: nobody is missing who has a seat by
    another name, nor the requester among the holders of a role.
    """
    who, weight = parse_assignee(approver_spec.who), approver_spec.weight
    name, people = str(who), resolve(run, who)
    if not people:
        choice.stands_for_nobody(name)
    seats: list[Seat] = []
    missing: list[UnfilledSeat] = []
    repeated = False
    if not who.single and stage.claim:
        if queue := _queue(choice, people, name, taken):
            seats.append(Seat(person=None, via=name, weight=weight, candidates=queue))
    elif not who.single and stage.least_loaded:
        for person in sorted(people, key=lambda p: (run.directory.people[p].load, p)):
            if seats:
                choice.pass_over(person, name, because("more_loaded"))
            elif found := _seat(choice, person, name, weight, via=name, taken=taken):
                taken |= _fillers(found)
                seats.append(found)
    else:
        via = "approver" if who.kind == "user" else name
        for person in people:
            again = run.rules.counts_missing_seats and person in declared
            repeated = repeated or again
            declared.add(person)
            if found := _seat(choice, person, name, weight, via=via, taken=taken):
                taken |= _fillers(found)
                seats.append(found)
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


def _queue(choice: Choice, people: list[str], name: str, taken: set[str]) -> tuple[str, ...]:
    """Return who may claim a task of these people's queue."""
    found = (choice.ask(p, name, via="queue", taken=taken) for p in people)
    return tuple(dict.fromkeys(f.person for f in found if f))


def _seat(choice: Choice, person: str, name: str, weight: int, *, via: str, taken: set[str]) -> Seat | None:
    """Return the seat of a person, or of who stands in for them; None where neither may have it."""
    found = choice.ask(person, name, via=via, taken=taken)
    if found is None:
        return None
    return Seat(person=found.person, via=found.via, weight=weight, chosen_by=choice.name_beside(found))


def _fillers(seat: Seat) -> set[str]:
    return {seat.person} if seat.person is not None else set()

"""Policy: who may fill a seat, and what a stage's votes amount to.

Separation of duties holds here, in one place, for every way a task can reach a person: nobody ever decides their own
request, and one person fills at most one seat of a stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from placet.conditions import evaluate
from placet.directory import Directory
from placet.errors import EvaluationFailed
from placet.facts import values_at
from placet.plan import Need, Point, Seating, Stage
from placet.reasons import Reason, because
from placet.run import Run
from placet.state import Seat, StageRun, Vote, vote_of
from placet.who import Who, parse_who, people_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A person who may fill a seat, and how they came to it (`approver`, `substitution:bob`, `escalation`, …)."""

    person: str
    via: str


def resolve(run: Run, who: Who, *, assignee: str | None = None) -> list[str]:
    """Return the person ids that a name stands for now, in a fixed order; not yet asked whether they are eligible."""
    return _resolve(run, run.directory, who, assignee)


def owners(run: Run) -> list[str]:
    """Return who is to be told as the process owner, by the directory as it was last read."""
    return _resolve(run, run.state.directory, parse_who("owner"), None)


def operates(run: Run, person: str) -> bool:
    """Whether this person is the process owner (one of them, where a role or a group owns the process)."""
    if run.plan.owner is None:
        return False
    who = parse_who(run.plan.owner)
    return who.name == person if who.kind == "user" else person in resolve(run, who)


def nearest(run: Run, people: list[str], to: str | None) -> list[str]:
    """Order people by how near they stand above `to` in the management chain; the others follow by id.

    Where several hold a role (three department heads), the one above the person concerned is meant.
    """
    chain = run.directory.managers(to) if to and len(people) > 1 else []
    return sorted(people, key=lambda p: (chain.index(p) if p in chain else len(chain), p))


def eligible(run: Run, person: str, stage: Stage, point: str, *, via: str, taken: set[str]) -> Assignment | None:
    """Return how this person, or the substitute of one who is away, may fill a seat; None where nobody may.

    `taken` are the people who fill the stage's other seats.
    """
    directory = run.directory
    seen: set[str] = set()
    candidate, how = person, via
    while candidate not in seen:
        seen.add(candidate)
        if directory.get(candidate) is None:
            return None
        absence = directory.absence(candidate, run.now)
        if absence is None:
            break
        if absence.substitute is None:
            return None
        how = f"substitution:{candidate}"
        candidate = absence.substitute
    else:
        return None  # substitutes who are away for each other
    if candidate == run.state.requester or candidate in taken:
        return None
    if stage.repeat == "forbid" and decided_elsewhere(run, candidate, point):
        return None
    return Assignment(person=candidate, via=how)


def decided_elsewhere(run: Run, person: str, point: str) -> Vote | None:
    """Return what this person approved or rejected last in another stage of the request.

    What was decided on a revision that is void does not count.
    """
    cast = (vote for task in run.tasks.values() if (vote := vote_of(task)) is not None)
    found = [
        vote
        for vote in (*run.votes, *cast)
        if vote.person == person and vote.point != point and vote.revision >= run.state.material
    ]
    return max(reversed(found), key=lambda vote: vote.at) if found else None


def taken_seats(run: Run, stage_run: StageRun, *, but: int | None = None) -> set[str]:
    """Collect who fills the seats of a stage, but for one seat: holders of its tasks, deciders, and seats to come."""
    tasks = {t.seat: t for t in run.tasks_of(stage_run)}
    people: set[str] = set()
    for index, seat in enumerate(stage_run.seats):
        if index == but:
            continue
        task = tasks.get(index)
        holder = (task.decided_by or task.assignee) if task else seat.person
        if holder:
            people.add(holder)
    return people


def fill_seats(run: Run, point: Point, stage: Stage) -> tuple[list[Seat], Reason | None]:
    """Fill a stage's seats when it opens; returns the seats, and a reason where somebody had to stand in.

    The eligible people, each once, without the requester. Where nobody is left, or fewer than the quorum needs, the
    next eligible in the escalation chain stand in, and then the process owner; what is still missing stays a vacant
    seat for an operator to assign, because a quorum is never lowered.
    """
    seats: list[Seat] = []
    taken: set[str] = set()
    missing: list[tuple[str, int]] = []
    asked, fault = _asked(run, stage)
    for seating in asked:
        found = list(_sit(run, point, stage, seating, taken))
        seats += found
        if not found:
            missing.append((seating.who, seating.weight))
    if seats and fault is None and reachable(stage.need, seats):
        return seats, None
    names = [name for name, _ in missing]
    why = fault or (because("nobody_eligible", names=names) if names else because("quorum_short"))
    weights = [weight for _, weight in missing]  # whoever stands in has the vote of those who are missing
    for person, via in stand_ins(run, stage):
        if seats and reachable(stage.need, seats):
            break
        if assignment := eligible(run, person, stage, point.id, via=via, taken=taken):
            taken.add(assignment.person)
            seats.append(_seat(assignment, weights.pop(0) if weights else 1))
    while not (seats and reachable(stage.need, seats)):
        lacking = stage.need.value - sum(s.weight for s in seats) if stage.need.kind == "weight" else 1
        seats.append(Seat(person=None, via="vacant", weight=max(1, math.ceil(lacking))))
    return seats, why


def fill_again(run: Run, point: Point, stage: Stage, stage_run: StageRun, index: int) -> tuple[Seat, Reason | None]:
    """Fill a seat of a sequence whose turn has come: its person may have left, or be away, since the stage opened."""
    seat = stage_run.seats[index]
    taken = taken_seats(run, stage_run, but=index)
    if seat.candidates:
        queue = _queue(run, point, stage, list(seat.candidates), taken)
        if queue:
            return Seat(person=None, via=seat.via, weight=seat.weight, candidates=queue), None
    elif seat.person and (found := eligible(run, seat.person, stage, point.id, via=seat.via, taken=taken)):
        return _seat(found, seat.weight), None
    why = (
        because("not_eligible_any_more", person=f"user:{seat.person}")
        if seat.person
        else because("nobody_eligible", names=[seat.via])
    )
    for person, via in stand_ins(run, stage):
        if found := eligible(run, person, stage, point.id, via=via, taken=taken):
            return _seat(found, seat.weight), why
    return Seat(person=None, via="vacant", weight=seat.weight), why


def stand_ins(run: Run, stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield who may stand in for approvers who are missing: the escalation chain, then the process owner."""
    for level in stage.levels:
        if level.action == "notify":
            continue
        targets = nearest(run, resolve(run, parse_who(level.to)), run.state.requester)
        for person in targets:
            yield person, "escalation"
        if stage.to_the_top and targets:
            for person in run.directory.managers(targets[0]):
                yield person, "escalation"
    for person in resolve(run, parse_who("owner")):
        yield person, "owner"


def amount_needed(need: Need, seats: Sequence[Seat]) -> float:
    """Return how many seats (or how much weight) must approve; never lowered because seats are missing."""
    if need.kind == "any":
        return 1
    if need.kind == "all":
        return max(1, len(seats))
    if need.kind == "percent":
        return max(1, math.ceil(round(need.value * len(seats) / 100, 9)))
    return need.value


def reachable(need: Need, seats: Sequence[Seat]) -> bool:
    """Whether the quorum is met when every seat approves."""
    total = sum(s.weight for s in seats) if need.kind == "weight" else len(seats)
    return total >= amount_needed(need, seats)


def verdict(run: Run, stage_run: StageRun, stage: Stage) -> Literal["approved", "rejected"] | None:
    """Return what the votes so far amount to; None while the stage is undecided."""
    weighted = stage.need.kind == "weight"
    votes = {t.seat: t.decision for t in run.tasks_of(stage_run) if t.status == "decided"}
    approved = rejected = undecided = 0
    for index, seat in enumerate(stage_run.seats):
        counts = seat.weight if weighted else 1
        vote = votes.get(index)
        if vote == "approve":
            approved += counts
        elif vote == "reject":
            rejected += counts
        else:
            undecided += counts
    needed = amount_needed(stage.need, stage_run.seats)
    if approved >= needed:
        return "approved"
    if rejected and (stage.rejection == "any" or approved + undecided < needed):
        return "rejected"
    return None


def _asked(run: Run, stage: Stage) -> tuple[list[Seating], Reason | None]:
    """Return whom a stage asks now, and why not all of them can be told, where an expression that chooses fails."""
    if all(seating.when is None for seating in stage.approvers):
        return list(stage.approvers), None
    asked: list[Seating] = []
    fault: Reason | None = None
    values = values_at(run)
    for seating in stage.approvers:
        try:
            if seating.when is None or evaluate(seating.when, values, run.allowance) is True:
                asked.append(seating)
        except EvaluationFailed as error:
            fault = because("approvers_not_chosen", cause=error.reason)
    return asked, fault


def _sit(run: Run, point: Point, stage: Stage, seating: Seating, taken: set[str]) -> Iterator[Seat]:
    """Yield the seats of one declared name, and add who fills them to `taken`."""
    who, weight = parse_who(seating.who), seating.weight
    people = resolve(run, who)
    if who.single or not (stage.claim or stage.least_loaded):
        for person in people:
            via = "approver" if who.kind == "user" else str(who)
            if found := eligible(run, person, stage, point.id, via=via, taken=taken):
                taken.add(found.person)
                yield _seat(found, weight)
    elif stage.claim:
        if queue := _queue(run, point, stage, people, taken):
            yield Seat(person=None, via=str(who), weight=weight, candidates=queue)
    else:
        for person in sorted(people, key=lambda p: (run.directory.people[p].load, p)):
            if found := eligible(run, person, stage, point.id, via=str(who), taken=taken):
                taken.add(found.person)
                yield _seat(found, weight)
                return


def _queue(run: Run, point: Point, stage: Stage, people: list[str], taken: set[str]) -> tuple[str, ...]:
    """Return who may claim a task of these people's queue."""
    found = (eligible(run, p, stage, point.id, via="queue", taken=taken) for p in people)
    return tuple(dict.fromkeys(f.person for f in found if f))


def _seat(found: Assignment, weight: int) -> Seat:
    return Seat(person=found.person, via=found.via, weight=weight)


def _resolve(run: Run, directory: Directory, who: Who, assignee: str | None) -> list[str]:
    kind = who.kind
    if kind == "user":
        return [who.name]
    if kind == "role":
        return directory.holders(who.name)
    if kind == "group":
        return directory.members(who.name)
    if kind == "requester":
        return [run.state.requester]
    if kind == "owner":  # the plan holds no owner that is named after the owner
        return _resolve(run, directory, parse_who(run.plan.owner), assignee) if run.plan.owner else []
    if kind == "assignee":
        return [assignee] if assignee else []
    if who.given:
        return people_in(run.state.input.get(who.name))
    below = _resolve(run, directory, who.of, assignee) if who.of else []
    found = directory.people.get(below[0]) if below else None
    return [found.manager] if found is not None and found.manager else []

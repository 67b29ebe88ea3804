"""Policy: who may fill a seat, and what a stage's votes amount to.

Separation of duties holds here, in one place, for every way a task can reach a person: nobody ever decides their own
request, and one person fills at most one seat of a stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from placet.plan import Need, Point, Stage
from placet.run import Run
from placet.state import Seat, StageRun, Task
from placet.who import Who, parse_who, person_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A person who may fill a seat, and how they came to it (`approver`, `substitution:bob`, `escalation`, …)."""

    person: str
    via: str


def resolve(run: Run, who: Who, *, assignee: str | None = None) -> list[str]:
    """Return the person ids that a name stands for now, in a fixed order; not yet asked whether they are eligible."""
    directory = run.directory
    if who.kind == "user":
        return [who.name]
    if who.kind == "role":
        return directory.holders(who.name)
    if who.kind == "group":
        return directory.members(who.name)
    if who.kind == "requester":
        return [run.state.requester]
    if who.kind == "owner":
        return resolve(run, parse_who(run.plan.owner)) if run.plan.owner and run.plan.owner != "owner" else []
    if who.kind == "assignee":
        return [assignee] if assignee else []
    if who.kind == "input":
        value = run.state.input.get(who.name)
        return [person_id(value)] if isinstance(value, str) else []
    below = resolve(run, who.of, assignee=assignee) if who.of else []
    found = run.directory.people.get(below[0]) if below else None
    return [found.manager] if found is not None and found.manager else []


def nearest(run: Run, people: list[str], to: str | None) -> list[str]:
    """Order people by how near they stand above `to` in the management chain; the others follow by id.

    Where several hold a role (three department heads), the one above the person concerned is meant.
    """
    chain = run.directory.managers(to) if to else []
    return sorted(people, key=lambda p: (chain.index(p) if p in chain else len(chain), p))


def eligible(run: Run, person: str, stage: Stage, point: str, *, via: str, taken: set[str]) -> Assignment | None:
    """Return how this person, or the substitute of one who is away, may fill a seat; None where nobody may.

    `taken` are the people who fill the stage's other seats.
    """
    seen: set[str] = set()
    candidate, how = person, via
    while candidate not in seen:
        seen.add(candidate)
        if run.directory.get(candidate) is None:
            return None
        absence = run.directory.absence(candidate, run.now)
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


def decided_elsewhere(run: Run, person: str, point: str) -> Task | None:
    """Return the approval or rejection that this person gave in another stage of the request."""
    return next(
        (
            t
            for t in run.tasks.values()
            if t.point != point and t.decided_by == person and t.decision in {"approve", "reject"}
        ),
        None,
    )


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


def seat_people(run: Run, point: Point, stage: Stage) -> tuple[list[Seat], str | None]:
    """Fill a stage's seats when it opens; returns the seats, and a sentence where somebody had to stand in.

    The eligible people, each once, without the requester. Where nobody is left, or fewer than the quorum needs, the
    next eligible in the escalation chain stand in, and then the process owner.
    """
    seats: list[Seat] = []
    taken: set[str] = set()
    missing: list[str] = []

    def sit(person: str, via: str, weight: int) -> bool:
        found = eligible(run, person, stage, point.id, via=via, taken=taken)
        if found is None:
            return False
        taken.add(found.person)
        seats.append(Seat(person=found.person, via=found.via, weight=weight))
        return True

    for seating in stage.approvers:
        who = parse_who(seating.who)
        people = resolve(run, who)
        if not who.single and (stage.claim or stage.least_loaded):
            free = [p for p in people if p != run.state.requester and p not in taken]
            if stage.repeat == "forbid":
                free = [p for p in free if not decided_elsewhere(run, p, point.id)]
            if stage.claim:
                if free:
                    seats.append(Seat(person=None, via=str(who), weight=seating.weight, candidates=tuple(free)))
                else:
                    missing.append(str(who))
            else:
                free.sort(key=lambda p: (run.directory.people[p].load, p))
                if not any(sit(p, str(who), seating.weight) for p in free):
                    missing.append(str(who))
            continue
        seated = [sit(p, "approver" if who.kind == "user" else str(who), seating.weight) for p in people]
        if not any(seated):
            missing.append(str(who))
    if not seats or not reachable(stage.need, seats):
        for person, via in _stand_ins(run, stage):
            if seats and reachable(stage.need, seats):
                break
            sit(person, via, 1)
        named = ", ".join(missing) if missing else "the declared approvers"
        return seats, f"nobody eligible is left among {named}"
    return seats, None


def _stand_ins(run: Run, stage: Stage) -> list[tuple[str, str]]:
    people: list[tuple[str, str]] = []
    for level in stage.levels:
        targets = nearest(run, resolve(run, parse_who(level.to)), run.state.requester)
        people += [(p, "escalation") for p in targets]
        if stage.to_the_top:
            people += [(m, "escalation") for p in targets[:1] for m in run.directory.managers(p)]
    if run.plan.owner:
        people += [(p, "owner") for p in resolve(run, parse_who("owner"))]
    return people


def amount_needed(need: Need, seats: list[Seat] | tuple[Seat, ...]) -> float:
    """Return how many seats (or how much weight) must approve; never lowered because seats are missing."""
    if need.kind == "any":
        return 1
    if need.kind == "all":
        return max(1, len(seats))
    if need.kind == "percent":
        return max(1, math.ceil(round(need.value * len(seats) / 100, 9)))
    return need.value


def reachable(need: Need, seats: list[Seat] | tuple[Seat, ...]) -> bool:
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
        if votes.get(index) == "approve":
            approved += counts
        elif votes.get(index) == "reject":
            rejected += counts
        else:
            undecided += counts
    needed = amount_needed(stage.need, stage_run.seats)
    if approved >= needed:
        return "approved"
    if rejected and stage.rejection == "any":
        return "rejected"
    if (rejected and approved + undecided < needed) or not undecided:
        return "rejected"
    return None

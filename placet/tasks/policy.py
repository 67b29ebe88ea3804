"""Policy: who may fill a seat, and the result of a stage's votes.

Separation of duties holds here, in one place, for every way a task can reach a person: nobody ever decides their own
request, and one person fills at most one seat of a stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from placet.audit.reasons import Reason, because
from placet.definition.assignees import AssigneeName, parse_assignee, people_in
from placet.directory import Directory
from placet.engine.run import ADMINS, Run
from placet.engine.state import Seat, Side, StageRun, State, Task, Vote, counts, vote_of
from placet.plan.graph import QuorumRule, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A person who may fill a seat, and how they came to it (`approver`, `substitution:bob`, `escalation`, …)."""

    person: str
    via: str


def resolve(run: Run, who: AssigneeName, *, assignee: str | None = None) -> list[str]:
    """Return the ids of the people whom a name stands for now, in a fixed order, without checking whether they are
    eligible.
    """
    return _resolve(run, run.directory, who, assignee)


def owners(run: Run) -> list[str]:
    """Return the process owners to notify, by the directory as it was last read."""
    return _resolve(run, run.state.directory, parse_assignee("owner"), None)


def is_owner(run: Run, person: str) -> bool:
    """Say whether this person is the process owner (one of them, where a role or a group owns the process)."""
    if run.plan.owner is None:
        return False
    who = parse_assignee(run.plan.owner)
    return who.name == person if who.kind == "user" else person in resolve(run, who)


def nearest(run: Run, people: list[str], to: str | None) -> list[str]:
    """Order people by their distance above `to` in the management chain; the others follow by id.

    Where several hold a role (three department heads), the one above the person concerned is meant.
    """
    chain = run.directory.managers(to) if to and len(people) > 1 else []
    return sorted(people, key=lambda p: (chain.index(p) if p in chain else len(chain), p))


def eligible(run: Run, person: str, stage: Stage, node: str, *, via: str, taken: set[str]) -> Assignment | None:
    """Return the assignment of this person, or of their substitute while they are away, to a seat; None where neither
    may.

    `taken` are the people who fill the stage's other seats. A substitute fills the seat of somebody who may have it.
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
        how = f"substitution:{person if run.rules.keeps_seats_of_the_absent else candidate}"
        candidate = absence.substitute
    else:
        return None  # substitutes who are away for each other
    if (
        absent_seat_holder(run.state, how) is not None
        and ineligible_reason(run, person, stage, node, taken) is not None
    ):
        return None
    if ineligible_reason(run, candidate, stage, node, taken) is not None:
        return None
    return Assignment(person=candidate, via=how)


def ineligible_reason(run: Run, person: str, stage: Stage, node: str, taken: set[str]) -> str | None:
    """Return in words why a person may not fill a seat; None where they may."""
    if person == run.state.requester:
        return "is the requester, and nobody decides their own request"
    if person in taken:
        return "already fills another seat of this stage, and one person fills at most one"
    found = run.directory.get(person)
    if found is None:
        return "has left, or is not in the directory"
    if not found.approver and not is_owner(run, person):
        return "does not have the access approver"
    if stage.repeat == "forbid" and decided_elsewhere(run, person, node):
        return "has decided another stage of this request, and this process forbids deciding twice"
    return None


def represented_person(run: Run, task: Task, person: str) -> str | None:
    """Return for whom this person stands in now: whoever has a task, or a delegate of it, where they are away.

    Nobody stands in for a delegate who could not decide the task either, such as one who fills another seat by now.
    """
    holder = absent_seat_holder(run.state, task.via) or task.assignee
    if holder is not None and person in run.directory.substitutes_of(holder, run.now):
        return holder
    if not run.rules.lets_stand_in_for_delegates:
        return None
    stage, taken = run.stage_of(task), seat_holders(run, run.stages[task.node], but=task.seat)
    return next(
        (
            one
            for one in task.delegates
            if person in run.directory.substitutes_of(one, run.now)
            and ineligible_reason(run, one, stage, task.node, taken) is None
        ),
        None,
    )


def absent_seat_holder(state: State, via: str) -> str | None:
    """Return the absent person whose seat a substitute fills, by how the seat was assigned; None for all other seats.

    Under the rules before 4 the seat had become the substitute's own.
    """
    how, _, whose = via.partition(":")
    return whose if state.follows.keeps_seats_of_the_absent and how == "substitution" else None


def decides_on_behalf_of(task: Task, person: str) -> str | None:
    """Return the person on whose behalf the assignee decides: who delegated the task, or is away."""
    if person != task.assignee:
        return task.assignee
    how, _, whose = task.via.partition(":")
    return whose if how in {"delegation", "substitution"} else None


def eligible_candidates(run: Run, task: Task) -> dict[str, str | None]:
    """Return who may claim a queue's task now, and for whom as a substitute, by the role or group as it is now."""
    if task.queue is None:
        return dict.fromkeys(task.candidates)
    stage, taken = run.stage_of(task), seat_holders(run, run.stages[task.node], but=task.seat)
    members = resolve(run, parse_assignee(task.queue))

    def may(person: str) -> bool:
        return ineligible_reason(run, person, stage, task.node, taken) is None

    absent = [m for m in members if may(m)] if run.rules.substitutes_only_for_claimants else members
    found: dict[str, str | None] = {}
    for person, behalf in (
        *((member, None) for member in members),
        *((one, member) for member in absent for one in run.directory.substitutes_of(member, run.now)),
    ):
        if person not in found and may(person):
            found[person] = behalf
    return found


def successors(run: Run, stage: Stage, leaver: str | None, delegates: Iterable[str] = ()) -> Iterator[str]:
    """Yield who may take the seat of somebody who has left, in order, whether the seat's turn has come or not."""
    yield from delegates
    if leaver is not None:
        yield from run.directory.managers(leaver)
    for person, _ in replacements(run, stage):
        yield person


def operators(run: Run) -> list[str]:
    """Return whom to notify of a problem that only an operator can solve: the owners who can, else the admins as well.

    Nobody operates their own request, so an owner who asked for it is none of them.
    """
    directory = run.state.directory
    people = [person for person in owners(run) if person != run.state.requester]
    there = [p for p in people if directory.get(p) is not None and directory.absence(p, run.now) is None]
    return people if there else [*people, ADMINS]


def decided_elsewhere(run: Run, person: str, node: str) -> Vote | None:
    """Return what this person approved or rejected last in another stage of the request.

    An abstention does not count, nor does what was decided on a revision that is void.
    """
    return _latest(vote for vote in _votes_elsewhere(run, person, node) if counts(vote.decision) != "nobody")


def approved_elsewhere(run: Run, person: str, node: str) -> Vote | None:
    """Return this person's approval in another stage, where it is their last word there: they have not abstained since.

    What was decided on a revision that is void does not count.
    """
    last = _latest(_votes_elsewhere(run, person, node))
    return last if last is not None and counts(last.decision) == "for" else None


def _votes_elsewhere(run: Run, person: str, node: str) -> list[Vote]:
    """List a person's votes in other stages: the last one in each, for no others are kept of very many tasks."""
    cast = (vote for task in run.tasks.values() if (vote := vote_of(task)) is not None)
    last: dict[str, Vote] = {}
    for vote in (*run.votes, *cast):
        if vote.person == person and vote.node != node and vote.revision >= run.state.material:
            last.pop(vote.node, None)
            last[vote.node] = vote
    return list(last.values())


def _latest(votes: Iterable[Vote]) -> Vote | None:
    return max(reversed(list(votes)), key=lambda vote: vote.at, default=None)


def seat_holders(run: Run, stage_run: StageRun, *, but: int | None = None) -> set[str]:
    """Collect the people who fill the seats of a stage except one: assignees, those who decided, and seats that open
    later.

    A person who is away counts, as well as the substitute who has their seat meanwhile.
    """
    tasks = {t.seat: t for t in run.tasks_of(stage_run)}
    people: set[str] = set()
    for index, seat in enumerate(stage_run.seats):
        if index == but:
            continue
        task = tasks.get(index)
        holder = (task.decided_by or task.assignee) if task else seat.person
        away = absent_seat_holder(run.state, task.via if task else seat.via)
        people.update(person for person in (holder, away) if person)
    return people


def replacements(run: Run, stage: Stage) -> Iterator[tuple[str, str]]:
    """Yield who may replace approvers who are missing: the people of the escalation, then the process owner."""
    for level in stage.levels:
        if level.action == "notify":
            continue
        targets = nearest(run, resolve(run, parse_assignee(level.to)), run.state.requester)
        for person in targets:
            yield person, "escalation"
        if stage.to_the_top and targets:
            for person in run.directory.managers(targets[0]):
                yield person, "escalation"
    for person in resolve(run, parse_assignee("owner")):
        yield person, "owner"


def amount_needed(need: QuorumRule, seats: Sequence[Seat], intended: int = 0) -> float:
    """Return how many seats (or how much weight) must approve; never lowered because seats are missing.

    `intended` is how many seats the stage was to have, where some of them are filled by nobody.
    """
    count = max(intended, len(seats))
    if need.kind == "any":
        return 1
    if need.kind == "all":
        return max(1, count)
    if need.kind == "percent":
        return max(1, math.ceil(round(need.value * count / 100, 9)))
    return need.value


def reachable(need: QuorumRule, seats: Sequence[Seat], intended: int = 0) -> bool:
    """Say whether the quorum is met when every seat approves."""
    total = sum(s.weight for s in seats) if need.kind == "weight" else len(seats)
    return total >= amount_needed(need, seats, intended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The votes of a stage so far, in seats or in weight; `needed` must be in favour."""

    approved: int
    rejected: int
    abstained: int
    undecided: int
    needed: float

    @property
    def lost(self) -> bool:
        """Say whether the quorum can no longer be met, even if all who have not voted yet approve."""
        return self.approved + self.undecided < self.needed


def stage_result(run: Run, stage_run: StageRun, stage: Stage) -> Literal["approved", "rejected"] | None:
    """Return the result of the votes so far; None while the stage is undecided.

    A stage whose quorum abstentions have put out of reach is rejected: it would wait for ever.
    """
    tally = _tally(run, stage_run, stage)
    if tally.approved >= tally.needed:
        return "approved"
    if tally.rejected and stage.rejection == "any":
        return "rejected"
    if (tally.rejected or tally.abstained) and tally.lost:
        return "rejected"
    return None


def lost_by_abstention(run: Run, stage_run: StageRun, stage: Stage) -> Reason | None:
    """Return the reason where abstentions have made a stage's quorum unreachable; None where a rejection decides."""
    tally = _tally(run, stage_run, stage)
    if not tally.abstained or not tally.lost or (tally.rejected and stage.rejection == "any"):
        return None
    abstained = sum(1 for t in run.tasks_of(stage_run) if t.decision is not None and counts(t.decision) == "nobody")
    return because("quorum_unreachable", abstained=abstained, seats=len(stage_run.seats))


def _tally(run: Run, stage_run: StageRun, stage: Stage) -> Tally:
    weighted = stage.need.kind == "weight"
    votes = {t.seat: counts(t.decision) for t in run.tasks_of(stage_run) if t.decision is not None}
    total: dict[Side | None, int] = {"for": 0, "against": 0, "nobody": 0, None: 0}
    for index, seat in enumerate(stage_run.seats):
        total[votes.get(index)] += seat.weight if weighted else 1
    return Tally(
        approved=total["for"],
        rejected=total["against"],
        abstained=total["nobody"],
        undecided=total[None],
        needed=amount_needed(stage.need, stage_run.seats, stage_run.intended),
    )


def queue_of(seat: Seat) -> str | None:
    """Return the role or group whose queue a seat is; None for other seats, and for a queue of listed people."""
    return seat.via if seat.candidates and parse_assignee(seat.via).kind in {"role", "group"} else None


def _resolve(run: Run, directory: Directory, who: AssigneeName, assignee: str | None) -> list[str]:
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
        return _resolve(run, directory, parse_assignee(run.plan.owner), assignee) if run.plan.owner else []
    if kind == "assignee":
        return [assignee] if assignee else []
    if who.given:
        return people_in(run.state.input.get(who.name))
    below = _resolve(run, directory, who.of, assignee) if who.of else []
    found = directory.people.get(below[0]) if below else None
    return [found.manager] if found is not None and found.manager else []

"""Substitution: who has a seat, or may act on a task, while the person whose it is is away.

A substitute fills a seat only where they are eligible for it themselves (placet.tasks.eligibility).
"""

from __future__ import annotations

from dataclasses import dataclass

from placet.audit.reasons import Reason, because
from placet.definition.assignees import parse_assignee
from placet.engine.run import Run
from placet.engine.state import StageRun, State, Task
from placet.plan.graph import Stage
from placet.tasks.candidates import resolve
from placet.tasks.eligibility import ineligible_reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A person who may fill a seat, and how they came to it (`approver`, `substitution:bob`, `escalation`, …)."""

    person: str
    via: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """What came of considering a person for a seat: the assignment, if any, and who was passed over, each with why.

    These are the person and, while they are away, those who would stand in for them.
    """

    found: Assignment | None
    passed_over: tuple[tuple[str, Reason], ...] = ()


def consider(run: Run, person: str, stage: Stage, node: str, *, via: str, taken: set[str]) -> Considered:
    """Consider this person for a seat, or their substitute while they are away.

    `taken` are the people who fill the stage's other seats. A substitute fills the seat of somebody who may have it.
    """
    directory = run.directory
    away: list[str] = []
    candidate, how = person, via
    while directory.get(candidate) is not None:
        absence = directory.absence(candidate, run.now)
        if absence is None:
            break
        if candidate in away:  # substitutes who are away for each other
            return Considered(found=None, passed_over=tuple((one, because("away_in_a_circle")) for one in away))
        if absence.substitute is None:
            return _nobody(away, candidate, because("away"))
        how = f"substitution:{person if run.rules.keeps_seats_of_the_absent else candidate}"
        away.append(candidate)
        candidate = absence.substitute
    else:
        return _nobody(away, candidate, because("not_there"))
    if absent_seat_holder(run.state, how) is not None:
        why = ineligible_reason(run, person, stage, node, taken)
        if why is not None:
            return Considered(found=None, passed_over=((person, why),))
    why = ineligible_reason(run, candidate, stage, node, taken)
    if why is not None:
        return _nobody(away, candidate, why)
    stands_in = because("stood_in_for", substitute=f"user:{candidate}") if away else None
    return Considered(
        found=Assignment(person=candidate, via=how),
        passed_over=tuple((one, stands_in) for one in away if stands_in is not None),
    )


def _nobody(away: list[str], last: str, why: Reason) -> Considered:
    """Return that nobody of a chain of substitutes may have the seat, because of `why`, which is of the last one."""
    others = because("substitute_unfit", substitute=f"user:{last}", cause=why)
    return Considered(found=None, passed_over=(*((one, others) for one in away), (last, why)))


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
        # Whose task it was holds the seat as well while the decision may be undone.
        before = task.assignee if task is not None and task.provisional else None
        people.update(person for person in (holder, away, before) if person)
    return people

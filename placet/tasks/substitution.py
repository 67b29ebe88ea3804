"""Substitution: who has a seat, or may act on a task, while the person whose it is is away.

A substitute fills a seat only where they are eligible for it themselves (placet.tasks.eligibility).
"""

from __future__ import annotations

from dataclasses import dataclass

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

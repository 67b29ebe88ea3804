"""Stand-ins: people who act on a task that is not assigned to them, by the directory at that moment.

They are the substitutes of an assignee, of a delegate or of a member of a queue, and the absent person whose task a
substitute has meanwhile.
"""

from __future__ import annotations

from datetime import datetime

from placet.engine.run import Run
from placet.engine.state import State, Task
from placet.frozen import evolve
from placet.plan.plan import Plan
from placet.tasks.substitution import absent_seat_holder, eligible_candidates, represented_person
from simulation.world.recorded_decisions import TaskEvent


def stands_in(plan: Plan, state: State, task: Task, recorded: TaskEvent, *, person: str, at: datetime) -> bool:
    """Say whether a person may act on a task `at` this time, for the same person as in the record.

    The directory that the request knows counts as of that time: a simulation has one directory.
    """
    run = Run(plan, evolve(state, directory_at=at, directory_given=None), at)
    if task.assignee is None and task.candidates and recorded.kind in {"claim", "decide"}:
        candidates = eligible_candidates(run, task)
        if person in candidates:
            return candidates[person] == recorded.on_behalf_of
    if recorded.kind != "decide":
        return False
    if person == absent_seat_holder(state, task.via):
        return recorded.on_behalf_of is None
    return recorded.on_behalf_of is not None and represented_person(run, task, person) == recorded.on_behalf_of

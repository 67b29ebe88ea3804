"""Machines: decisions of programs, which say nothing about people.

Where the actor's type is recorded, it counts: a `service` or an `agent` is no person. A program that uses a person's
account, or a log of another system without actor types, shows by its speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from insight.mining.history import History

SHORTEST_BY_A_PERSON = 5.0  # seconds, where people are recorded as such
SHORTEST_BY_SOMEBODY = 120.0  # seconds, where the log does not say who is a person
LONG_ENOUGH = 86_400.0  # seconds between the first task and the last: an hour of quick work is no machine
ENOUGH = 10  # decisions of an account in a stage, before its speed is judged


@dataclass(slots=True)
class _Account:
    first: float
    last: float
    decisions: int = 0
    quick: int = 0

    @property
    def is_machine(self) -> bool:
        """Whether the median decision comes sooner than a person could look at what it decides."""
        enough = self.decisions >= ENOUGH and self.last - self.first >= LONG_ENOUGH
        return enough and 2 * self.quick > self.decisions


def machine_rows(history: History) -> Callable[[int], bool]:
    """Return whether a machine decided a task, by its row."""
    tasks = history.tasks
    types = {tasks.actor_types.find(name) for name in ("service", "agent")} - {-1}
    person, undecided = tasks.actor_types.find("person"), tasks.decisions.find(None)
    accounts: dict[tuple[int, int], _Account] = {}
    columns = zip(tasks.stage, tasks.person, tasks.actor_type, tasks.decision, tasks.opened, tasks.waited, strict=True)
    for stage, who, actor_type, decision, opened, waited in columns:
        if decision == undecided or actor_type in types:
            continue
        account = accounts.get((stage, who))
        if account is None:
            account = accounts[stage, who] = _Account(opened, opened)
        account.decisions += 1
        account.first, account.last = min(account.first, opened), max(account.last, opened)
        account.quick += waited < (SHORTEST_BY_A_PERSON if actor_type == person else SHORTEST_BY_SOMEBODY)
    quick = {key for key, account in accounts.items() if account.is_machine}

    def is_machine(row: int) -> bool:
        return tasks.actor_type[row] in types or (
            (tasks.stage[row], tasks.person[row]) in quick and tasks.decision[row] != undecided
        )

    return is_machine if types or quick else lambda _: False

"""Machines: stages that programs decide, which say nothing about people.

Where the actor's type is recorded, it counts: a `service` or an `agent` is no person. A program that uses a person's
account, or a log of another system without actor types, shows by its speed.
"""

from __future__ import annotations

from collections.abc import Sequence

from insight.mining.history import History

SHORTEST_BY_A_PERSON = 5.0  # seconds at the median, where people are recorded as such
SHORTEST_BY_SOMEBODY = 120.0  # seconds at the median, where the log does not say who is a person
LONG_ENOUGH = 86_400.0  # seconds between the first visit and the last: an hour of quick work is no machine


def by_latency(history: History, waited: Sequence[float], opened: Sequence[float], rows: Sequence[int]) -> bool:
    """Whether half of a stage's decisions come sooner than a person could look at what they decide."""
    if not waited or max(opened) - min(opened) < LONG_ENOUGH:
        return False
    types = history.tasks.actor_type
    person = history.tasks.actor_types.find("person")
    recorded = sum(1 for row in rows if types[row] == person)
    shortest = SHORTEST_BY_A_PERSON if 2 * recorded > len(waited) else SHORTEST_BY_SOMEBODY
    return sorted(waited)[len(waited) // 2] < shortest

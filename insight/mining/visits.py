"""Visits: the times that requests came to a stage, each with its people's tasks and what they came to."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from insight.mining.history import MISSING, History
from insight.mining.machines import machine_rows
from insight.mining.process import Process
from placet.definition.steps import Quorum

APPROVED, REJECTED, RETURNED, OTHER = range(4)
JUST_LATE = math.nextafter(1.0, 2.0)  # of the time until the deadline
EXAMPLES = 5  # requests that evidence names


@dataclass
class Visits:
    """The visits of one stage that people decided, by column, in the order of the tasks.

    `waited` is that of the longest task in seconds, `used` the share of its time until the deadline (NaN without
    one; more than 1 once it was escalated), `rows` are the tasks of all visits, those of visit `n` from `first[n]` on.
    """

    stage: str
    history: History
    version: int  # of the blueprint, as the cases count versions
    case: array[int] = field(default_factory=lambda: array("i"))
    result: bytearray = field(default_factory=bytearray)
    opened: array[float] = field(default_factory=lambda: array("d"))
    ended: array[float] = field(default_factory=lambda: array("d"))
    waited: array[float] = field(default_factory=lambda: array("d"))
    used: array[float] = field(default_factory=lambda: array("d"))
    rows: array[int] = field(default_factory=lambda: array("i"))
    first: array[int] = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.case)

    @cached_property
    def current(self) -> Sequence[int]:
        """Return the visits in the blueprint's own version: what is about its settings is asked of no other."""
        versions = self.history.cases.version
        if len(self.history.cases.versions) == 1:
            return range(len(self)) if self.version == 0 else range(0)
        return array("i", (n for n, case in enumerate(self.case) if versions[case] == self.version))

    def tasks(self, visit: int) -> Sequence[int]:
        """Return the rows of a visit's tasks."""
        end = self.first[visit + 1] if visit + 1 < len(self.first) else len(self.rows)
        return self.rows[self.first[visit] : end]

    def count(self, result: int, visits: Iterable[int] | None = None) -> int:
        """Return how many visits had a result."""
        if visits is None:
            return self.result.count(result)
        results = self.result
        return sum(1 for n in visits if results[n] == result)

    def waits(self, visits: Iterable[int]) -> list[float]:
        """Return how long the visits took, in rising order of seconds."""
        waited = self.waited
        return sorted(waited[n] for n in visits)

    def evidence(self, visits: Sequence[int], shows: Callable[[int], bool], **counts: Any) -> dict[str, Any]:
        """Return the evidence of visits: count, period, the newest requests of those that show it, and counts."""
        examples: list[str] = []
        for n in reversed(visits):
            request = self.history.cases.ids[self.case[n]]
            if shows(n) and request not in examples:
                examples.append(request)
                if len(examples) == EXAMPLES:
                    break
        begin, end = min(self.opened[n] for n in visits), max(self.ended[n] for n in visits)
        period = {"from": _moment(begin), "to": _moment(end)}
        return {"count": len(visits), "period": period, "examples": examples, **counts}


@dataclass(frozen=True)
class Past:
    """What a history holds of one process: the visits of the stages that people decide, and the machines' stages."""

    process: Process
    history: History
    stages: Mapping[str, Visits]
    machines: frozenset[str]


def past_of(process: Process, history: History) -> Past:
    """Read the visits of a process. What a machine decided is left out, and so is every stage that machines decide."""
    cases, tasks = history.cases, history.tasks
    template, version = cases.templates.find(process.name), cases.versions.find(process.definition.version)
    found = {
        number: Visits(stage=name, history=history, version=version)
        for name in process.steps
        if (number := tasks.stages.find(name)) >= 0
    }
    by_machines = dict.fromkeys(found, 0)
    settle = {number: _Settling(process, visits) for number, visits in found.items()}
    by_machine = machine_rows(history)
    for case, of_case in _by_case(history):
        if cases.template[case] != template:
            continue
        for stage, rows in _by_visit(history, of_case):
            if stage not in settle:
                continue
            if any(map(by_machine, rows)):
                by_machines[stage] += 1
            else:
                settle[stage].add(case, rows)
    machines = {visits.stage for number, visits in found.items() if by_machines[number] > len(visits)}
    people = {visits.stage: visits for visits in found.values() if len(visits) and visits.stage not in machines}
    return Past(process, history, people, frozenset(machines))


def _by_case(history: History) -> Iterator[tuple[int, Sequence[int]]]:
    """Generate each case with the rows of its tasks."""
    column = history.tasks.case
    order: Sequence[int] = range(len(column))
    if any(column[n] > column[n + 1] for n in range(len(column) - 1)):
        order = array("i", sorted(order, key=column.__getitem__))
    begin = 0
    while begin < len(order):
        case, end = column[order[begin]], begin + 1
        while end < len(order) and column[order[end]] == case:
            end += 1
        yield case, order[begin:end]
        begin = end


def _by_visit(history: History, rows: Sequence[int]) -> Iterable[tuple[int, Sequence[int]]]:
    """Return the rows of one case by stage and round."""
    stage, number = history.tasks.stage, history.tasks.round
    if len(rows) == 1:
        return ((stage[rows[0]], rows),)
    visits: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        visits.setdefault((stage[row], number[row]), []).append(row)
    return ((key[0], of_visit) for key, of_visit in visits.items())


class _Settling:
    """Adds the visits of a stage that are over, each with what its people's decisions came to."""

    def __init__(self, process: Process, visits: Visits) -> None:
        self._process, self._visits = process, visits
        step = process.steps[visits.stage][1]
        self._patient = step.rejection == "unreachable"
        self._in_turn = step.order == "sequential" and step.quorum != "any"
        self._by_weight = isinstance(step.quorum, Quorum) and step.quorum.weight is not None
        self._seconds = (process.target_hours(visits.stage) or math.inf) * 3600
        decisions = visits.history.tasks.decisions
        names = ("approve", "reject", "request_changes", None)
        self._approve, self._reject, self._changes, self._none = map(decisions.find, names)

    def add(self, case: int, rows: Sequence[int]) -> None:
        """Add a visit, if it is over."""
        tasks, visits = self._visits.history.tasks, self._visits
        decided = [row for row in rows if tasks.decision[row] != self._none and not math.isnan(tasks.decided[row])]
        if not decided:
            return
        said = [tasks.decision[row] for row in decided]
        result = self._result(said, len(rows), ended=not math.isnan(visits.history.cases.ended[case]))
        if result is None:
            return
        visits.case.append(case)
        visits.result.append(result)
        visits.opened.append(min(tasks.opened[row] for row in rows))
        visits.ended.append(max(tasks.decided[row] for row in decided))
        visits.waited.append(max(tasks.waited[row] for row in decided))
        visits.used.append(max(self._used(row) for row in decided) if len(decided) > 1 else self._used(decided[0]))
        visits.first.append(len(visits.rows))
        visits.rows.extend(rows)

    def _result(self, said: Sequence[int], seats: int, *, ended: bool) -> int | None:
        """Return what a visit came to; None where it goes on, since others may decide and the request has not ended."""
        if self._changes in said:
            return RETURNED
        approvals, rejected = said.count(self._approve), self._reject in said
        if rejected and not self._patient:
            return REJECTED
        needed = self._process.needed(self._visits.stage, seats)
        if not ended and (self._in_turn or approvals < needed <= approvals + seats - len(said)):
            return None
        if approvals >= needed or (self._by_weight and approvals and not rejected):
            return APPROVED
        return REJECTED if rejected else OTHER

    def _used(self, row: int) -> float:
        """Return the share of its time that a task took; an escalation moved its deadline, so it was late."""
        tasks = self._visits.history.tasks
        due, opened = tasks.due[row], tasks.opened[row]
        if math.isnan(due):
            return MISSING
        if tasks.escalations[row]:
            return max(JUST_LATE, tasks.waited[row] / self._seconds)
        if due <= opened:
            return MISSING
        return (tasks.decided[row] - opened) / (due - opened)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()

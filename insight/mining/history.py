"""History: the past of processes as miners read it, in columns, so that a million decisions fit into memory.

Rows go in one at a time and are kept in arrays: about 90 bytes a task, and 60 bytes, its id and its values a case.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain, count
from typing import Any, NamedTuple

MOST_TEXTS = 1_000  # different texts of one field: with more it tells single requests apart, and makes no rule
MISSING = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request, or a case of an event log. `values` are those that it began with, by variable."""

    request_id: str
    template: str
    version: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    amount: Decimal | float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One person's seat in a stage of a request.

    `assignee` decided it, or has it. `assigned_via` is as tasks have it, `actor_type` that of who decided (`person`,
    `service` or `agent`; empty: not known, as in logs of other systems). `decided_at` is None where others settled
    the stage first, or nobody has yet. `waited_seconds` go from the opening to the decision or the end.
    `changed_fields` are those that the requester changed after this decision returned the request.
    """

    request_id: str
    stage: str
    round: int = 1
    assignee: str | None = None
    assigned_via: str = ""
    actor_type: str = ""
    opened_at: datetime
    decided_at: datetime | None = None
    due_at: datetime | None = None
    decision: str | None = None
    waited_seconds: float = 0.0
    escalations: int = 0
    changed_fields: tuple[str, ...] = ()


class CasePage(NamedTuple):
    """Many cases of one template by column, as `Case` has them; moments are seconds since 1970, NaN for none."""

    template: str
    ids: Sequence[str]
    versions: Sequence[str]
    outcomes: Sequence[str | None]
    started: Sequence[float]
    ended: Sequence[float]
    amounts: Sequence[float]
    values: Sequence[Mapping[str, Any]]


class TaskPage(NamedTuple):
    """Many tasks by column, as `Task` has them; `cases` are numbers, moments as those of cases."""

    cases: Sequence[int]
    stages: Sequence[str]
    rounds: Sequence[int]
    assignees: Sequence[str | None]
    ways: Sequence[str]
    actor_types: Sequence[str]
    opened: Sequence[float]
    decided: Sequence[float]
    due: Sequence[float]
    decisions: Sequence[str | None]
    waited: Sequence[float]
    escalations: Sequence[int]
    changes: Sequence[tuple[str, ...]]


class _Numbers(dict[Any, int]):
    """The numbers of names; one that is asked for and has none gets the next, and its place among the known ones."""

    def __init__(self, known: list[Any]) -> None:
        super().__init__()
        self.known = known

    def __missing__(self, name: Any) -> int:
        number = self[name] = len(self.known)
        self.known.append(name)
        return number


class Names:
    """Texts (or lists of them) and the numbers that stand for them in a column."""

    def __init__(self) -> None:
        """Begin without any."""
        self.known: list[Any] = []
        self._numbers = _Numbers(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def number(self, name: Any) -> int:
        """Return the number of a name, which is new or has one."""
        return self._numbers[name]

    def numbers(self, names: Iterable[Any]) -> Iterator[int]:
        """Yield the numbers of names, as `number` does."""
        return map(self._numbers.__getitem__, names)

    def find(self, name: Any) -> int:
        """Return the number of a name, -1 where it has none."""
        return self._numbers.get(name, -1)


class FieldColumn:
    """One field of the requests: its numbers (NaN where it has none), and its texts and truth values by number."""

    def __init__(self, rows: int) -> None:
        """Begin with rows in which the field has no value."""
        self.numbers = array("d", [MISSING]) * rows
        self.texts = array("i", [-1]) * rows
        self.names = Names()
        self._read = array("d")  # the texts as numbers, by number

    def add(self, value: Any) -> None:
        """Add a row. What is neither a number nor a text nor true or false counts as missing."""
        text = -1
        number = MISSING
        if isinstance(value, bool | str):
            text = self.names.find(value)
            if text >= 0:
                number = self._read[text]
            else:
                number = _number(value) if isinstance(value, str) else MISSING
                if len(self.names) <= MOST_TEXTS:
                    text = self.names.number(value)
                    self._read.append(number)
        elif isinstance(value, int | float | Decimal):
            number = _number(value)
        self.numbers.append(number)
        self.texts.append(text)

    def reverse(self) -> None:
        """Turn the order of the rows around."""
        self.numbers.reverse()
        self.texts.reverse()

    @property
    def has_too_many_texts(self) -> bool:
        """Whether there were more different texts than a rule could be made of."""
        return len(self.names) > MOST_TEXTS


def _number(value: Any) -> float:
    """Return a finite number as a float, also one that is written as text, as decimals are; NaN for all else."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return MISSING
    return number if math.isfinite(number) else MISSING


class CaseColumns:
    """The cases of a history, by column: moments are seconds since 1970, NaN where there is none."""

    def __init__(self) -> None:
        """Begin without any."""
        self.ids: list[str] = []
        self.templates, self.versions, self.outcomes = Names(), Names(), Names()
        self.template, self.version, self.outcome = array("i"), array("i"), array("i")
        self.started, self.ended, self.amount = array("d"), array("d"), array("d")
        self.fields: dict[str, FieldColumn] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, case: Case) -> None:
        """Add a row."""
        for name in case.values.keys() - self.fields.keys():
            self.fields[name] = FieldColumn(len(self.ids))
        for name, column in self.fields.items():
            column.add(case.values.get(name))
        self.ids.append(case.request_id)
        self.template.append(self.templates.number(case.template))
        self.version.append(self.versions.number(case.version))
        self.outcome.append(self.outcomes.number(case.outcome))
        self.started.append(case.started_at.timestamp())
        self.ended.append(_moment(case.ended_at))
        self.amount.append(MISSING if case.amount is None else _number(case.amount))

    def extend(self, page: CasePage) -> None:
        """Add many rows."""
        for name in dict.fromkeys(chain.from_iterable(page.values)):
            if name not in self.fields:
                self.fields[name] = FieldColumn(len(self.ids))
        for name, column in self.fields.items():
            for values in page.values:
                column.add(values.get(name))
        self.ids.extend(page.ids)
        self.template.extend([self.templates.number(page.template)] * len(page.ids))
        self.version.extend(self.versions.numbers(page.versions))
        self.outcome.extend(self.outcomes.numbers(page.outcomes))
        self.started.extend(page.started)
        self.ended.extend(page.ended)
        self.amount.extend(page.amounts)

    def reverse(self) -> None:
        """Turn the order of the rows around."""
        for column in (self.template, self.version, self.outcome, self.started, self.ended, self.amount):
            column.reverse()
        self.ids.reverse()
        for field_column in self.fields.values():
            field_column.reverse()


class TaskColumns:
    """The tasks of a history, by column, in the order in which they were added."""

    def __init__(self) -> None:
        """Begin without any."""
        self.stages, self.people, self.ways, self.actor_types = Names(), Names(), Names(), Names()
        self.decisions, self.changes = Names(), Names()
        self.case, self.stage, self.round = array("i"), array("i"), array("i")
        self.person, self.via, self.actor_type = array("i"), array("i"), array("i")
        self.decision, self.changed, self.escalations = array("i"), array("i"), array("i")
        self.opened, self.decided, self.due, self.waited = array("d"), array("d"), array("d"), array("d")

    def __len__(self) -> int:
        return len(self.case)

    def add(self, case: int, task: Task) -> None:
        """Add a row, of the case of this number."""
        self.case.append(case)
        self.stage.append(self.stages.number(task.stage))
        self.round.append(task.round)
        self.person.append(self.people.number(task.assignee))
        self.via.append(self.ways.number(task.assigned_via))
        self.actor_type.append(self.actor_types.number(task.actor_type))
        self.decision.append(self.decisions.number(task.decision))
        self.changed.append(self.changes.number(tuple(task.changed_fields)))
        self.escalations.append(task.escalations)
        self.opened.append(task.opened_at.timestamp())
        self.decided.append(_moment(task.decided_at))
        self.due.append(_moment(task.due_at))
        self.waited.append(task.waited_seconds)

    def extend(self, page: TaskPage) -> None:
        """Add many rows."""
        self.case.extend(page.cases)
        self.stage.extend(self.stages.numbers(page.stages))
        self.round.extend(page.rounds)
        self.person.extend(self.people.numbers(page.assignees))
        self.via.extend(self.ways.numbers(page.ways))
        self.actor_type.extend(self.actor_types.numbers(page.actor_types))
        self.decision.extend(self.decisions.numbers(page.decisions))
        self.changed.extend(self.changes.numbers(page.changes))
        self.escalations.extend(page.escalations)
        self.opened.extend(page.opened)
        self.decided.extend(page.decided)
        self.due.extend(page.due)
        self.waited.extend(page.waited)

    def reverse(self, cases: int) -> None:
        """Turn the order of the rows around, and that of their cases, of which there are so many."""
        last = cases - 1
        self.case = array("i", (last - case for case in reversed(self.case)))
        for column in (
            self.stage, self.round, self.person, self.via, self.actor_type, self.decision, self.changed,
            self.escalations, self.opened, self.decided, self.due, self.waited,
        ):  # fmt: skip
            column.reverse()


class History:
    """Cases and their tasks. A task is added after its case; one of a case that is not there is left out.

    Add cases in the order in which they began: where miners look at the newest alone, these are the last ones.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.cases = CaseColumns()
        self.tasks = TaskColumns()
        self._case_numbers: dict[str, int] = {}

    @classmethod
    def of(cls, cases: Iterable[Case], tasks: Iterable[Task]) -> History:
        """Return the history of these rows, each of which is read once."""
        history = cls()
        for case in cases:
            history.add_case(case)
        for task in tasks:
            history.add_task(task)
        return history

    def add_case(self, case: Case) -> None:
        """Add a case; the first of an id counts."""
        if case.request_id not in self._case_numbers:
            self._case_numbers[case.request_id] = len(self.cases)
            self.cases.add(case)

    def add_task(self, task: Task) -> None:
        """Add a task of a case that was added."""
        case = self._case_numbers.get(task.request_id)
        if case is not None:
            self.tasks.add(case, task)

    def add_cases(self, page: CasePage) -> int:
        """Add cases none of which was added before, and return the number of the first."""
        first = len(self.cases)
        self.cases.extend(page)
        self._case_numbers.update(zip(page.ids, count(first), strict=False))
        return first

    def add_tasks(self, page: TaskPage) -> None:
        """Add tasks of cases that were added."""
        self.tasks.extend(page)

    def reverse(self) -> None:
        """Turn the order of cases and tasks around, for who reads the newest first."""
        self.tasks.reverse(len(self.cases))
        self.cases.reverse()
        self._case_numbers = {request_id: number for number, request_id in enumerate(self.cases.ids)}


def _moment(moment: datetime | None) -> float:
    return MISSING if moment is None else moment.timestamp()

"""History: the past of processes as miners read it, in columns, so that a million decisions fit into memory.

Rows go in one at a time and are kept in arrays: about 90 bytes a task, and 60 bytes, its id and its values a case.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

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


class Names:
    """Texts (or lists of them) and the numbers that stand for them in a column."""

    def __init__(self) -> None:
        """Begin without any."""
        self.known: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self.known)

    def number(self, name: Any) -> int:
        """Return the number of a name, which is new or has one."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.known)
            self.known.append(name)
        return found

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

    def add(self, value: Any) -> None:
        """Add a row. What is neither a number nor a text nor true or false counts as missing."""
        text = -1
        number = MISSING
        if isinstance(value, bool | str):
            found = self.names.find(value)
            text = found if found >= 0 or len(self.names) > MOST_TEXTS else self.names.number(value)
            number = _number(value) if isinstance(value, str) else MISSING
        elif isinstance(value, int | float | Decimal):
            number = _number(value)
        self.numbers.append(number)
        self.texts.append(text)

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


def _moment(moment: datetime | None) -> float:
    return MISSING if moment is None else moment.timestamp()

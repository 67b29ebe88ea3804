"""Discover how a log's process goes: its stages in order, what decides a branch, how it returns, how long it waits."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from insight.event_logs.course import Course, Visit
from insight.event_logs.fields import Field, Value, fields_of
from insight.event_logs.ordering import Precedence
from insight.event_logs.refusal import in_file
from insight.event_logs.tree import Leaf, Split, Tree, accuracy, condition, grow
from placet.errors import InputInvalid
from placet.quantile import quantile
from placet.sentences import sentence

ALWAYS: Final = 0.98  # the share of the rounds that reach it in which a stage that is always asked was asked
EXPLAINED: Final = 0.95  # the share of later rounds that a rule has to predict
HALF_EXPLAINED: Final = 0.8  # or this share, where it makes at most half of the errors of always saying the same
_TRAINED = 0.75  # of the rounds, from which a rule is made before it is tried on the others
_SHORTEST_HOURS = 0.01
_MOST_ROUNDS = 50  # that a blueprint may have

Row = tuple[Value | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What decides whether a stage is asked: a rule over fields, or (`rule` is None) a choice of the requester's.

    `right` is the share of the later rounds that the rule predicts, `frequent` whether it is mostly asked.
    """

    variable: str
    rule: str | None
    right: float
    asked: int
    of: int

    @property
    def frequent(self) -> bool:
        """Say what is mostly so."""
        return 2 * self.asked > self.of


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFound:
    """One stage: its name, what identifies it, what decides whether it is asked, and its deadlines in hours."""

    name: str
    slug: str
    decisions: int
    branch: Branch | None
    target_hours: float
    critical_hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFound:
    """A process as a log shows it. Stages of one group are asked side by side; `on_change` is None without returns."""

    groups: tuple[tuple[StageFound, ...], ...]
    fields: tuple[Field, ...]
    rounds: int
    on_change: str | None
    left_out: dict[str, int]
    cases: int

    @property
    def stages(self) -> tuple[StageFound, ...]:
        """Return all stages in their order."""
        return tuple(stage for group in self.groups for stage in group)

    @property
    def choices(self) -> dict[str, StageFound]:
        """Return the stages whose asking nothing in the log explains, by the variable that decides it."""
        return {
            stage.branch.variable: stage for stage in self.stages if stage.branch is not None and not stage.branch.rule
        }


def discover(courses: Sequence[Course], columns: Sequence[str], min_occurrences: int) -> ProcessFound:
    """Discover the process of these cases; raises InputInvalid where no stage decides `min_occurrences` times."""
    submitted = [course for course in courses if course.visits]
    if not submitted:
        raise in_file(
            "no activity of the log is a decision; name them such as `Approved by CFO`, `Rejected by CFO`, or map "
            "another column"
        )
    visits = [visit for course in submitted for visit in course.visits]
    by_stage: dict[str, list[Visit]] = {}
    for visit in visits:
        by_stage.setdefault(visit.stage, []).append(visit)
    kept = {
        stage
        for stage, there in by_stage.items()
        if len(there) >= min_occurrences and any(visit.decision == "approve" for visit in there)
    }
    if not kept:
        raise InputInvalid.at(
            "/min_occurrences",
            sentence(
                "no stage decides {least} times; the most frequent has {most} decisions",
                least=min_occurrences,
                most=max(len(there) for there in by_stage.values()),
            ),
        )
    rounds = [[v for v in one if v.stage in kept] for course in submitted for one in course.rounds()]
    precedence = Precedence([[visit.stage for visit in one] for one in rounds])
    ordered = precedence.ordered(sorted(kept))
    fields = fields_of(columns, (course.values for course in submitted))
    finder = _Branches(submitted, ordered, fields, min_occurrences)
    branches = {stage: finder.find(stage) for stage in ordered}
    groups: list[list[str]] = []
    for group in precedence.groups(ordered, min_occurrences):
        if all(branches[stage] is None for stage in group):
            groups.append(group)
        else:
            groups += [[stage] for stage in group]
    found = {stage: _stage(stage, number, by_stage[stage], branches[stage]) for number, stage in enumerate(ordered, 1)}
    return ProcessFound(
        groups=tuple(tuple(found[stage] for stage in group) for group in groups),
        fields=fields,
        rounds=min(_MOST_ROUNDS, max((len(course.rounds()) for course in submitted), default=1)),
        on_change=_on_change(submitted),
        left_out={stage: len(there) for stage, there in by_stage.items() if stage not in kept},
        cases=len(courses),
    )


def slug_of(name: str) -> str:
    """Return a name that roles and nodes can have."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()[:50] or "stage"


class _Branches:
    """Finds what decides whether a stage is asked, stage after stage: a choice may explain what follows it."""

    def __init__(self, courses: Sequence[Course], ordered: Sequence[str], fields: Sequence[Field], least: int) -> None:
        self._firsts = [course.rounds()[0] for course in courses]
        self._rows: list[Row] = [
            tuple(one.value(course.values.get(one.column)) for one in fields) for course in courses
        ]
        self._place = {stage: place for place, stage in enumerate(ordered)}
        self._fields = list(fields)
        self._least = least

    def find(self, stage: str) -> Branch | None:
        """Return the branch of a stage; None where it is always asked."""
        here = self._place[stage]
        reached, asked = [], []
        there: dict[int, bool] = {}
        for number, visits in enumerate(self._firsts):
            is_asked = any(visit.stage == stage for visit in visits)
            there[number] = is_asked
            stopped = any(v.decision != "approve" and self._place.get(v.stage, -1) < here for v in visits)
            if is_asked or not stopped:
                reached.append(number)
                asked.append(is_asked)
        count = sum(asked)
        absent = len(asked) - count
        if absent < self._least or count >= ALWAYS * len(asked):
            return None
        rows = [self._rows[number] for number in reached]
        variable = f"ask_{slug_of(stage)}"
        tree, right = self._rule(rows, asked)
        if tree is not None:
            return Branch(variable=variable, rule=condition(tree), right=right, asked=count, of=len(asked))
        self._fields.append(Field(column=variable, name=variable, type="boolean", always=True))
        self._rows = [(*row, there[number]) for number, row in enumerate(self._rows)]
        return Branch(variable=variable, rule=None, right=right, asked=count, of=len(asked))

    def _rule(self, rows: Sequence[Row], asked: Sequence[bool]) -> tuple[Tree | None, float]:
        """Return a rule that predicts later rounds, and how many of them; None where none does."""
        cut = int(len(rows) * _TRAINED)
        later, later_asked = rows[cut:], asked[cut:]
        tried = grow(self._fields, rows[:cut], asked[:cut])
        right = accuracy(tried, later, later_asked)
        same = max(sum(later_asked), len(later_asked) - sum(later_asked)) / max(1, len(later_asked))
        explains = right >= EXPLAINED or (right >= HALF_EXPLAINED and 1 - right <= (1 - same) / 2)
        if isinstance(tried, Leaf) or not explains or right <= same:
            return None, right
        whole = grow(self._fields, rows, asked)
        return (whole if isinstance(whole, Split) else tried), right


def _stage(name: str, number: int, visits: Sequence[Visit], branch: Branch | None) -> StageFound:
    hours = sorted((visit.at - visit.opened) / 3_600_000 for visit in visits)
    target = _rounded(max(_SHORTEST_HOURS, quantile(hours, 0.9)))
    critical = _rounded(quantile(hours, 0.99)) - target
    return StageFound(
        name=name[:200],
        slug=f"{slug_of(name)}" if name.isascii() else f"stage_{number}",
        decisions=len(visits),
        branch=branch,
        target_hours=target,
        critical_hours=round(critical, 2) if critical > _SHORTEST_HOURS else None,
    )


def _on_change(courses: Sequence[Course]) -> str | None:
    """Say where a returned request goes on: at the stage that returned it, or from its beginning.

    What is returned by the first stage of its round says nothing.
    """
    votes = {"stage": 0, "restart": 0}
    returned = False
    for course in courses:
        rounds = course.rounds()
        for one, following in itertools.pairwise(rounds):
            returned = True
            if len(one) > 1 and following and one[-1].stage != one[0].stage:
                votes["stage" if following[0].stage == one[-1].stage else "restart"] += 1
    if not returned and not any(visit.decision == "request_changes" for course in courses for visit in course.visits):
        return None
    return "stage" if votes["stage"] > votes["restart"] else "restart"


def _rounded(hours: float) -> float:
    """Round to three digits, which is more than a deadline needs."""
    return float(f"{hours:.3g}")

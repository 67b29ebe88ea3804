"""How well a blueprint fits cases: each is replayed through the core, and what differs first is its deviation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from insight.event_logs.course import Course, Visit
from insight.event_logs.discovery import ProcessFound
from placet.audit.chain import Entry
from placet.definition.model import ProcessDefinition, parse_definition
from placet.directory import Directory, Person
from placet.engine import machine
from placet.engine.events import Actor, Decide, DirectoryRead, Event, Opening, Resubmit
from placet.engine.input import accept_input
from placet.engine.state import State, Task, Transition
from placet.errors import InputInvalid, PlacetError
from placet.plan.compiler import compile_plan
from placet.plan.plan import Plan

KINDS: Final = {
    "no_decision": "the case has no decision: it was never sent in, or nobody decided",
    "input_unfit": "the case's attributes do not fit the blueprint's variables",
    "unknown_stage": "a stage decided that the blueprint does not have",
    "stage_skipped": "the blueprint asks a stage that the case passed over",
    "stage_not_asked": "a stage decided that the blueprint does not ask there",
    "stage_repeated": "a stage decided again in the same round",
    "too_many_rounds": "the case came back more often than the blueprint allows",
    "after_the_end": "the case went on after the blueprint had ended it",
    "does_not_end": "the case ended, and the blueprint still waits for a stage",
    "other_outcome": "both end, with different outcomes",
}
"""The kinds of deviations, and what each means."""
_EXAMPLES = 3
REQUESTER: Final = "requester"
"""Who sends every case that is replayed."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Deviates(Exception):
    """A case goes another way than the blueprint; `kind` is one of KINDS, and `stage` where."""

    def __init__(self, kind: str, stage: str = "") -> None:
        super().__init__(kind)
        self.kind, self.stage = kind, stage


@dataclass(kw_only=True)
class Fit:
    """The share of cases that a blueprint reproduces.

    `by_rule` counts those of them in which every choice that nothing explains took its frequent way.
    """

    cases: int = 0
    reproduced: int = 0
    by_rule: int = 0
    deviations: Counter[str] = field(default_factory=Counter)
    stages: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, course: Course, found: Deviates | None, *, frequent: bool) -> None:
        """Count a case."""
        self.cases += 1
        if found is None:
            self.reproduced += 1
            self.by_rule += frequent
            return
        self.deviations[found.kind] += 1
        if found.stage:
            self.stages.setdefault(found.kind, Counter())[found.stage] += 1
        examples = self.examples.setdefault(found.kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(course.case)

    def described(self) -> dict[str, Any]:
        """Return the fit as JSON values, the most frequent deviation first."""
        return {
            "cases": self.cases,
            "reproduced": self.reproduced,
            "reproduced_by_rule": self.by_rule,
            "deviations": [
                {
                    "kind": kind,
                    "count": count,
                    "means": KINDS[kind],
                    "stages": dict(self.stages.get(kind, Counter()).most_common()),
                    "examples": self.examples[kind],
                }
                for kind, count in self.deviations.most_common()
            ],
        }


def fit_of(document: Mapping[str, Any], found: ProcessFound, courses: Iterable[Course]) -> Fit:
    """Replay cases through a blueprint that was made of others; raises BlueprintInvalid where it does not compile."""
    replay = Replay(parse_definition(document), found)
    fit = Fit()
    for course in courses:
        deviation: Deviates | None = None
        try:
            replay.run(course)
        except Deviates as one:
            deviation = one
        fit.add(course, deviation, frequent=replay.takes_frequent_ways(course))
    return fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A case as a request of the blueprint: its first input, its entries, its last state, and those that were `seen`
    at moments.
    """

    plan: Plan
    state: State
    given: Mapping[str, Any]
    entries: tuple[Entry, ...]
    seen: tuple[tuple[datetime, State], ...]


class Replay:
    """Replays cases through one blueprint: everybody decides as recorded, at the recorded time."""

    def __init__(self, definition: ProcessDefinition, found: ProcessFound) -> None:
        self._definition = definition
        self._found = found
        self._order = {stage.name: place for place, stage in enumerate(found.stages)}
        self._plans: dict[int, Plan] = {}
        people = {REQUESTER: Person(id=REQUESTER)}
        people |= {f"of_{s.slug}": Person(id=f"of_{s.slug}", roles=(s.slug,)) for s in found.stages}
        self.people = Directory(people=people)

    def takes_frequent_ways(self, course: Course) -> bool:
        """Say whether every choice that nothing explains took its frequent way."""
        return all(
            stage.branch is None or (stage.name in asked) == stage.branch.frequent
            for visits in course.rounds()
            for asked in [{visit.stage for visit in visits}]
            for stage in self._found.choices.values()
            # What comes after a rejection was not asked in any case.
            if visits[-1].decision == "approve" or self._order[stage.name] <= self._order.get(visits[-1].stage, 0)
        )

    def run(self, course: Course, looks: Sequence[datetime] = ()) -> Replayed:
        """Replay a case, and look at it at moments (rising); raises Deviates where the blueprint does otherwise."""
        if not course.visits:
            raise Deviates("no_decision")
        rounds = course.rounds()
        values = dict(course.values)
        given = self._given(values, rounds[0])
        run = _Run(self.plan(moment_of(course.began)), self.people, course, given, looks)
        for number, visits in enumerate(rounds):
            if number:
                values |= course.changed[number - 1]
                same = _returns_alone(rounds[number - 1], visits)
                again = None if same else self._given(values, visits)
                run.resubmit(course.resubmitted[number - 1], again, title=f"Case, changed {number}")
            asked: set[str] = set()
            for visit in visits:
                self._decide(run, visit, asked)
                asked.add(visit.stage)
        self._compare_ends(run, course)
        return Replayed(plan=run.plan, state=run.state, given=given, entries=tuple(run.entries), seen=tuple(run.seen))

    def _decide(self, run: _Run, visit: Visit, asked: set[str]) -> None:
        if visit.stage not in self._order:
            raise Deviates("unknown_stage", visit.stage)
        if run.state.status != "pending":
            raise Deviates("after_the_end", visit.stage)
        task = run.task(visit.stage)
        if task is None:
            if visit.stage in asked:
                raise Deviates("stage_repeated", visit.stage)
            first = min(self._order[one] for one in run.waiting) if run.waiting else -1
            if 0 <= first < self._order[visit.stage]:
                raise Deviates("stage_skipped", self._found.stages[first].name)
            raise Deviates("stage_not_asked", visit.stage)
        run.decide(task, visit)

    def _compare_ends(self, run: _Run, course: Course) -> None:
        if course.outcome is None:
            if run.state.status != "pending":
                raise Deviates("other_outcome")
            return
        if run.state.status == "pending":
            raise Deviates("does_not_end", min(run.waiting, key=self._order.__getitem__, default=""))
        if run.state.outcome != course.outcome:
            raise Deviates("other_outcome")

    def _given(self, values: Mapping[str, str], visits: Sequence[Visit]) -> dict[str, Any]:
        """Return the input of a round; whoever sends it chooses what nothing explains, as recorded."""
        given = {one.name: one.given(values.get(one.column)) for one in self._found.fields}
        asked = {visit.stage for visit in visits}
        given |= {variable: stage.name in asked for variable, stage in self._found.choices.items()}
        return {name: value for name, value in given.items() if value is not None}

    def plan(self, start: datetime) -> Plan:
        """Return the plan for cases of a year."""
        if start.year not in self._plans:
            self._plans[start.year] = compile_plan(self._definition, start=start)
        return self._plans[start.year]


class _Run:
    """One request in the core, while a case is replayed."""

    def __init__(
        self, plan: Plan, people: Directory, course: Course, given: dict[str, Any], looks: Sequence[datetime]
    ) -> None:
        self.plan, self._people = plan, people
        self.entries: list[Entry] = []
        self.seen: list[tuple[datetime, State]] = []
        self._looks = list(reversed(looks))
        self._now = moment_of(course.began)
        try:
            taken = accept_input(plan, given)
        except InputInvalid as error:
            raise Deviates("input_unfit", ", ".join(sorted({p.pointer for p in error.problems})[:3])) from error
        opening = Opening(
            request_id=course.case,
            requester=REQUESTER,
            title="Case",
            input=taken,
            directory=people,
            directory_at=self._now,
            secret="event log",  # noqa: S106 - fixed, as in simulations: nothing is kept
            titled=True,
        )
        self.state: State = machine.opening_state(plan, opening, self._now)
        self._take(lambda state: machine.begin(plan, opening, state, self._now))

    @property
    def waiting(self) -> set[str]:
        """Return the stages that are asked."""
        return {task.stage for task in self.state.tasks if task.status == "open"}

    def task(self, stage: str) -> Task | None:
        """Return the open task of a stage."""
        return next((task for task in self.state.tasks if task.status == "open" and task.stage == stage), None)

    def decide(self, task: Task, visit: Visit) -> None:
        """Decide a task as recorded."""
        self._until(visit.at)
        by = Actor(person=task.assignee or "")
        comment = "as recorded" if visit.decision == "request_changes" else None
        event = Decide(by=by, task_id=task.id, decision=visit.decision, comment=comment)
        try:
            self._apply(event)
        except PlacetError as error:
            kind = "too_many_rounds" if visit.decision == "request_changes" else "stage_not_asked"
            raise Deviates(kind, visit.stage) from error

    def resubmit(self, at: int, given: dict[str, Any] | None, *, title: str) -> None:
        """Send the request again; without an input nothing is changed, and only the stage that returned it asks again.

        A log that begins again was changed, whatever it holds of that: the title stands for it.
        """
        if self.state.status != "pending":
            raise Deviates("after_the_end")
        self._until(at)
        event = Resubmit(by=Actor(person=REQUESTER), input=given, title=None if given is None else title)
        try:
            self._apply(event)
        except InputInvalid as error:
            raise Deviates("input_unfit") from error
        except PlacetError as error:
            raise Deviates("stage_not_asked") from error

    def _until(self, at: int) -> None:
        """Go on to a moment, and carry out what was due by then; look at what it was meanwhile."""
        to = moment_of(at)
        while self._looks and self._looks[-1] < to:
            moment = self._looks.pop()
            self._go_on(moment)
            self.seen.append((moment, self.state))
        self._go_on(to)

    def _go_on(self, to: datetime) -> None:
        self._now = max(self._now, to)
        due = machine.next_due(self.plan, self.state)
        if due is not None and due <= self._now:
            self._take(lambda state: machine.due(self.plan, state, self._now))

    def _apply(self, event: Event) -> None:
        self._take(lambda state: machine.apply(self.plan, state, event, self._now))

    def _take(self, work: Any) -> None:
        step: Transition = work(self.state)
        while step.needs_directory:
            read = DirectoryRead(directory=self._people, at=self._now, given=step.given)
            self.state = machine.apply(self.plan, self.state, read, self._now).state
            step = work(self.state)
        self.state = step.state
        self.entries += step.entries


def moment_of(milliseconds: int) -> datetime:
    """Return a moment of an event."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _returns_alone(before: Sequence[Visit], following: Sequence[Visit]) -> bool:
    """Say whether a round goes on at the stage that returned the one before, so that nothing was changed."""
    return len(before) > 1 and following[0].stage == before[-1].stage

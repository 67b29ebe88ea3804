"""Delays: how long tasks wait for a decision and what is decided, by stage and by approver, as the past had it.

All times are seconds of working time. Where waits grow with the load of approvers (`insight.forecast.load`), they are
kept as with the load that is typical of the stage.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate

from insight.forecast.load import LoadedWait, LoadEffect, Loads
from insight.forecast.past_task import PastTask
from insight.forecast.survival import Survival
from placet.engine.state import Decision
from placet.plan.calendar import Calendar, working_seconds

# Decisions from which on a stage has a distribution of its own, and an approver within a stage.
LEAST_OF_STAGE = 10
LEAST_OF_PERSON = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A task that waited. `decision` is None where nobody decided it (yet): then it lasted at least `seconds`.

    `load` is how many other tasks waited for the person when it was opened; None where that is not known.
    """

    stage: str
    person: str | None
    seconds: float
    decision: Decision | None
    load: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a task waits: as `waits` has it, so many times longer."""

    waits: Survival
    times: float = 1.0

    def remaining(self, waited: float, share: float) -> float:
        """Return how much longer it takes until this share of those that have lasted `waited` have ended."""
        return self.times * self.waits.remaining(waited / self.times, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long tasks wait and what is decided.

    `stages`, `people` (by stage and person) and `answers` lack those with too few decisions; `everywhere` and
    `any_answer` stand for them. `resubmission` is how long requesters take to send a returned request in again.
    `loads` says what load does in the stages in which it does something.
    """

    stages: Mapping[str, Survival]
    people: Mapping[tuple[str, str], Survival]
    everywhere: Survival
    answers: Mapping[str, Mapping[Decision, float]]
    any_answer: Mapping[Decision, float]
    resubmission: Survival
    loads: Mapping[str, LoadEffect] = field(default_factory=dict)

    @classmethod
    def of(cls, waits: Iterable[Wait], resubmissions: Iterable[float] = ()) -> Delays:
        """Learn them; raises ValueError where nothing was decided."""
        every = list(waits)
        loads = _loads(every)
        every = [_with_typical_load(wait, loads) for wait in every]
        by_stage: dict[str, list[Wait]] = defaultdict(list)
        by_person: dict[tuple[str, str], list[Wait]] = defaultdict(list)
        for wait in every:
            by_stage[wait.stage].append(wait)
            if wait.person is not None:
                by_person[wait.stage, wait.person].append(wait)
        everywhere = _survival(every)
        enough = {stage: some for stage, some in by_stage.items() if _decided(some) >= LEAST_OF_STAGE}
        took = list(resubmissions)
        return cls(
            stages={stage: _survival(some) for stage, some in enough.items()},
            people={who: _survival(some) for who, some in by_person.items() if _decided(some) >= LEAST_OF_PERSON},
            everywhere=everywhere,
            answers={stage: _answers(some) for stage, some in enough.items()},
            any_answer=_answers(every),
            resubmission=Survival.of(took) if len(took) >= LEAST_OF_STAGE else everywhere,
            loads=loads,
        )

    def wait_in(self, stage: str, person: str | None = None, load: int | None = None) -> Pace:
        """Return how long a task of a stage waits, for this approver where enough is known of them.

        `load` is how many other tasks wait for them; None where that is not known.
        """
        own = self.people.get((stage, person)) if person is not None else None
        effect = self.loads.get(stage)
        return Pace(
            waits=own or self.stages.get(stage, self.everywhere),
            times=effect.factor(load) if effect is not None else 1.0,
        )

    def decision_in(self, stage: str, share: float) -> Decision:
        """Return a decision in a stage: the one that an evenly drawn share comes to."""
        chances = self.answers.get(stage, self.any_answer)
        sums = accumulate(chances.values())
        return next((one for one, upto in zip(chances, sums, strict=True) if share < upto), next(iter(chances)))


def waits_of(
    tasks: Iterable[PastTask], moment: datetime, calendar: Calendar, loads: Loads | None = None
) -> Iterator[Wait]:
    """Yield how long tasks waited, as was known at a moment, in a calendar's working time."""
    for task in tasks:
        if task.opened_at >= moment:
            continue
        over = task.closed_at is not None and task.closed_at <= moment
        until = task.closed_at if over and task.closed_at is not None else moment
        yield Wait(
            stage=task.stage,
            person=task.person,
            seconds=max(working_seconds(calendar, task.opened_at, until), 0.0),
            decision=task.decision if over else None,
            load=loads.at(task.person, task.opened_at) if loads is not None and task.person is not None else None,
        )


def _loads(waits: Iterable[Wait]) -> dict[str, LoadEffect]:
    """Return what load does, by stage, where it does something."""
    loaded: dict[str, list[LoadedWait]] = defaultdict(list)
    for wait in waits:
        if wait.person is not None and wait.load is not None and wait.decision is not None:
            loaded[wait.stage].append(LoadedWait(wait.person, wait.seconds, wait.load))
    effects = {stage: LoadEffect.of(some) for stage, some in loaded.items()}
    return {stage: effect for stage, effect in effects.items() if effect.power}


def _with_typical_load(wait: Wait, loads: Mapping[str, LoadEffect]) -> Wait:
    effect = loads.get(wait.stage)
    return replace(wait, seconds=wait.seconds / effect.factor(wait.load)) if effect is not None else wait


def _survival(waits: list[Wait]) -> Survival:
    ended = (wait.seconds for wait in waits if wait.decision is not None)
    return Survival.of(ended, (wait.seconds for wait in waits if wait.decision is None))


def _decided(waits: list[Wait]) -> int:
    return sum(wait.decision is not None for wait in waits)


def _answers(waits: list[Wait]) -> dict[Decision, float]:
    counted = Counter(wait.decision for wait in waits if wait.decision is not None)
    return {decision: count / counted.total() for decision, count in sorted(counted.items())}

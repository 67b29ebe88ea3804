"""Delays: how long tasks wait for a decision and what is decided, by stage and by approver, as the past had it.

All times are seconds of working time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from insight.forecast.survival import Survival
from placet.engine.state import Decision

# Decisions from which on a stage has a distribution of its own, and an approver within a stage.
LEAST_OF_STAGE = 10
LEAST_OF_PERSON = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A task that waited. `decision` is None where nobody decided it (yet): then it lasted at least `seconds`."""

    stage: str
    person: str | None
    seconds: float
    decision: Decision | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long tasks wait and what is decided.

    `stages`, `people` (by stage and person) and `answers` lack those with too few decisions; `everywhere` and
    `any_answer` stand for them. `resubmission` is how long requesters take to send a returned request in again.
    """

    stages: Mapping[str, Survival]
    people: Mapping[tuple[str, str], Survival]
    everywhere: Survival
    answers: Mapping[str, Mapping[Decision, float]]
    any_answer: Mapping[Decision, float]
    resubmission: Survival

    @classmethod
    def of(cls, waits: Iterable[Wait], resubmissions: Iterable[float] = ()) -> Delays:
        """Learn them; raises ValueError where nothing was decided."""
        every = list(waits)
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
        )

    def wait_in(self, stage: str, person: str | None = None) -> Survival:
        """Return how long a task of a stage waits, for this approver where enough is known of them."""
        own = self.people.get((stage, person)) if person is not None else None
        return own or self.stages.get(stage, self.everywhere)

    def decision_in(self, stage: str, share: float) -> Decision:
        """Return a decision in a stage: the one that an evenly drawn share comes to."""
        chances = self.answers.get(stage, self.any_answer)
        sums = accumulate(chances.values())
        return next((one for one, upto in zip(chances, sums, strict=True) if share < upto), next(iter(chances)))


def _survival(waits: list[Wait]) -> Survival:
    ended = (wait.seconds for wait in waits if wait.decision is not None)
    return Survival.of(ended, (wait.seconds for wait in waits if wait.decision is None))


def _decided(waits: list[Wait]) -> int:
    return sum(wait.decision is not None for wait in waits)


def _answers(waits: list[Wait]) -> dict[Decision, float]:
    counted = Counter(wait.decision for wait in waits if wait.decision is not None)
    return {decision: count / counted.total() for decision, count in sorted(counted.items())}

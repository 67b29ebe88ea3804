"""Futures: how an open request may go on, drawn by letting the core go on from its live state.

Who runs the core is given (`Run`), for virtual time is the business of simulations. A request that waits for one task
goes on the same way from there as every other request in the same position, so the core runs once for all of these,
and each adds the wait that is still before it. Other requests have draws of their own.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from insight.forecast.delays import Delays, Pace
from placet.definition.variables import values_of
from placet.engine.evaluation_context import requester_facts
from placet.engine.state import Decision, State, Task
from placet.errors import EvaluationFailed
from placet.expressions.evaluate import evaluate
from placet.expressions.types import NOW, REQUESTER, ZONE
from placet.plan.calendar import working_seconds
from placet.plan.plan import Plan

DRAWS = 100
_FIRST = 10  # of the draws: where none of these comes to an end, the others are not made
_MOST_POSITIONS = 5_000


@dataclass(kw_only=True)
class Draw:
    """One future: what people do, and when. Each task draws for itself, whatever the order in which they are asked.

    By the ids of tasks that are open already: `waited` are the seconds of working time that they have waited, `paces`
    is how long they wait, and `held` after how many of these seconds the earliest decision can come.
    """

    delays: Delays
    seed: str
    waited: Mapping[str, float]
    paces: Mapping[str, Pace] = field(default_factory=dict)
    held: Mapping[str, float] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def wait(self, task: Task) -> float:
        """Return the seconds of working time from a task's opening to its decision."""
        if task.id not in self._seconds:
            waited = self.waited.get(task.id, 0.0)
            # Who is asked later is not settled yet, so their stage speaks for them.
            pace = self.paces.get(task.id) or self.delays.wait_in(task.stage)
            held = self.held.get(task.id, 0.0) - waited
            self._seconds[task.id] = waited + left_of(pace, waited, held, self._share("wait", task))
        return self._seconds[task.id]

    def decision(self, task: Task) -> Decision:
        """Return what is decided on a task."""
        return self.delays.decision_in(task.stage, self._share("decision", task))

    def resubmission(self, round_number: int) -> float:
        """Return the seconds that the requester takes to send a returned request in again."""
        share = random.Random(f"{self.seed}|resubmission|{round_number}").uniform(1e-9, 1 - 1e-9)  # noqa: S311 - no secret
        return self.delays.resubmission.remaining(0.0, share)

    def _share(self, what: str, task: Task) -> float:
        place = f"{self.seed}|{what}|{task.number}|{task.round}"
        return random.Random(place).uniform(1e-9, 1 - 1e-9)  # noqa: S311 - a simulation, the same one for the same seed


def left_of(pace: Pace, waited: float, held: float, share: float) -> float:
    """Return how much longer a task waits that can be decided after `held` seconds at the earliest.

    Whoever would have decided before takes as long, from then on, as with a task that is new then.
    """
    left = pace.remaining(waited, share)
    return left if left >= held else held + pace.remaining(0.0, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """How people stand who have open tasks of a request, by their ids; of who is not in it, nothing is known.

    `waiting` is how many open tasks they have in this version of the process, this request's among them; `away` until
    when they are away, where nobody decides for them.
    """

    waiting: Mapping[str, int] = field(default_factory=dict)
    away: Mapping[str, datetime] = field(default_factory=dict)

    def load_of(self, task: Task) -> int | None:
        """Return how many tasks besides this one wait for its assignee; None where that is not known."""
        waiting = self.waiting.get(task.assignee) if task.assignee is not None else None
        return None if waiting is None else max(waiting - 1, 0)

    def free_at(self, task: Task) -> datetime | None:
        """Return when somebody can decide a task at the earliest; None where somebody can at once."""
        if task.assignee is None or task.delegates:
            return None
        back = self.away.get(task.assignee)
        return min(back, task.escalate_at) if back is not None and task.escalate_at is not None else back


NOTHING_AROUND: Final = Around()


@dataclass(frozen=True, slots=True, kw_only=True)
class Future:
    """When a request ends (None: it is not known), and when each task that was open was no longer so."""

    ended_at: datetime | None
    closed_at: Mapping[str, datetime]


class Run(Protocol):
    """Let a request go on from a state, with people who act as drawn."""

    def __call__(self, plan: Plan, state: State, now: datetime, draw: Draw, /) -> Future: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Draws for one request, in seconds of working time from now on: until its end, and until its task is closed.

    `task` is the open task that falls due first; None where there is none, and then `closing` is empty.
    """

    task: Task | None
    ending: Sequence[float]
    closing: Sequence[float]


@dataclass(kw_only=True)
class Futures:
    """Draws of how requests go on. Those of a position are kept."""

    delays: Delays
    run: Run
    draws: int = DRAWS
    seed: int = 0
    _rests: dict[Hashable, Sequence[float]] = field(default_factory=dict)

    def of(self, plan: Plan, state: State, now: datetime, around: Around = NOTHING_AROUND) -> Outlook:
        """Return how a pending request may go on; `ending` is empty where its end depends on what nobody knows."""
        task = due_first(state)
        place = position(plan, state) if task is not None else None
        if task is None or place is None:
            return self._own(plan, state, now, task, around)
        rests = self._rests.get(place)
        if rests is None:
            if len(self._rests) >= _MOST_POSITIONS:
                self._rests.clear()
            rests = self._rests[place] = self._rests_of(plan, state, now, task)
        waited = max(working_seconds(plan.calendar, task.opened_at, now), 0.0)
        pace = self._pace(task, around)
        free = around.free_at(task)
        held = working_seconds(plan.calendar, now, free) if free is not None else 0.0
        # One wait of each part of the distribution, in an order of the request's own: an even draw has gaps.
        order = list(range(self.draws))
        random.Random(f"{self.seed}|{task.id}").shuffle(order)  # noqa: S311 - no secret
        closing = [left_of(pace, waited, held, (part + 0.5) / self.draws) for part in order]
        known = len(rests)
        ending = [closing[n] + rests[n % known] for n in range(self.draws)] if known else []
        return Outlook(task=task, ending=ending, closing=closing)

    def _rests_of(self, plan: Plan, state: State, now: datetime, task: Task) -> Sequence[float]:
        """Return draws of the working time from the closing of the one open task to the end."""
        found: list[float] = []
        for future in self._futures(plan, state, now, NOTHING_AROUND):
            closed = future.closed_at.get(task.id)
            if future.ended_at is not None and closed is not None:
                found.append(working_seconds(plan.calendar, closed, future.ended_at))
        return self._enough(found)

    def _own(self, plan: Plan, state: State, now: datetime, task: Task | None, around: Around) -> Outlook:
        ending: list[float] = []
        closing: list[float] = []
        for future in self._futures(plan, state, now, around):
            if future.ended_at is not None:
                ending.append(working_seconds(plan.calendar, now, future.ended_at))
            if task is not None and task.id in future.closed_at:
                closing.append(working_seconds(plan.calendar, now, future.closed_at[task.id]))
        return Outlook(task=task, ending=self._enough(ending), closing=self._enough(closing))

    def _pace(self, task: Task, around: Around) -> Pace:
        return self.delays.wait_in(task.stage, task.assignee, around.load_of(task))

    def _futures(self, plan: Plan, state: State, now: datetime, around: Around) -> Sequence[Future]:
        asked = state.open_tasks
        waited = {one.id: max(working_seconds(plan.calendar, one.opened_at, now), 0.0) for one in asked}
        paces = {one.id: self._pace(one, around) for one in asked}
        held = {
            one.id: working_seconds(plan.calendar, one.opened_at, free)
            for one in asked
            if (free := around.free_at(one)) is not None
        }
        found: list[Future] = []
        for number in range(self.draws):
            seed = f"{self.seed}|{state.request_id}|{number}"
            draw = Draw(delays=self.delays, seed=seed, waited=waited, paces=paces, held=held)
            found.append(self.run(plan, state, now, draw))
            if number + 1 == _FIRST and all(one.ended_at is None for one in found):
                break  # it depends on what nobody knows
        return found

    def _enough(self, found: list[float]) -> list[float]:
        # Where many draws come to no end, the others would speak of the quick ones alone.
        return found if len(found) * 10 >= self.draws * 9 else []


def due_first(state: State) -> Task | None:
    """Return the open task that falls due first, of those without a deadline the oldest; None without one."""
    return min(state.open_tasks, key=lambda one: (one.due_at is None, one.due_at or one.opened_at), default=None)


def position(plan: Plan, state: State) -> Hashable | None:
    """Return what decides how a request goes on once its one open task is closed; None where more than that does.

    Of the variables only what they decide counts: which conditions hold, and whom they name.
    """
    busy = state.waits or state.actions or state.children or state.joins or state.strays or state.held
    if busy or state.returned_at is not None or len(state.stages) != 1 or len(state.open_tasks) != 1:
        return None
    run = state.stages[0]
    stage = plan.nodes[run.node].asked
    if run.returned_at is not None or stage is None or stage.final != "wait" or state.added:
        return None
    tasks = state.tasks_of(run)
    if any(task.provisional for task in tasks) or any(one.repeat != "allow" for one in plan.stages):
        return None
    reads = _reads(plan, state)
    if reads is None:
        return None
    votes = tuple((task.seat, task.status, task.decision) for task in tasks)
    return (plan.digest, run.node, run.round, state.round, votes, tuple(sorted(state.visits.items())), reads)


def _reads(plan: Plan, state: State) -> Hashable | None:
    values = values_of(plan.variables, state.input)
    values[ZONE] = plan.offsets
    values[REQUESTER] = requester_facts(state.directory, state.requester)
    edges = (edge for node in plan.nodes.values() for edge in node.edges)
    conditions = {edge.condition.source for edge in edges if edge.condition is not None}
    held: list[Hashable] = []
    plain: set[str] = set(plan.people_variables)
    for expression in plan.expressions:
        names = expression.names | expression.world
        if NOW in names:
            return None
        if expression.source not in conditions:
            plain |= names
            continue
        try:
            held.append(evaluate(expression, values) is True)
        except EvaluationFailed:  # it reads what is not set yet
            plain |= names
    return tuple(held), tuple((name, repr(values.get(name))) for name in sorted(plain))

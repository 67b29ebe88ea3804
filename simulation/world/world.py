"""The world in a simulation: what answers in place of catalog actions, sub-processes and outside events.

Actions and events are answered by `simulation.world.answers`; a sub-process takes the course that it takes by itself
from the moment at which it begins. Where a route wants something else of a node, that is what it comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from placet.engine.events import SYSTEM, Actor, ChildEnded, Event, Withdraw
from placet.engine.state import ChildCall, State, Waiting
from placet.plan.actions import ActionCall
from placet.plan.plan import Plan
from simulation.run.driver import Course, NothingKnown, Players
from simulation.scenario.script import Move
from simulation.world.answers import NEVER, WITHOUT_TIMEOUT, Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """How a request goes: its course, and that of every sub-process it runs, by request id.

    `made_up` are the values that no script, no past and no computation gave: node, variable, place in what came back,
    and value. `calls` are the sub-processes as they were begun.
    """

    plan: Plan
    answers: Answers
    course: Course
    inner: Mapping[str, Foreseen] = field(default_factory=dict)
    made_up: tuple[tuple[str, str, str, Any], ...] = ()
    calls: tuple[ChildCall, ...] = ()


# What the workflow makes of it when its parent cancels it.
CANCELLED = Withdraw(by=Actor(person=SYSTEM, admin=True), how="cancelled", reason="cancelled in the engine")
# Drives a sub-process from the moment at which it begins; cancelled at the other one, if it is. None where there are
# too many.
RunChild = Callable[[ChildCall, datetime, datetime | None], Foreseen | None]


@dataclass(kw_only=True)
class _Child:
    call: ChildCall
    began: datetime
    foreseen: Foreseen | None
    abandoned: datetime | None = None


@dataclass(kw_only=True)
class World:
    """The people of a simulation, and everything else that answers a request. Use one for each run.

    `run_child` drives a sub-process, or is not asked where what it comes to is wanted otherwise.
    """

    plan: Plan
    people: Players
    run_child: RunChild
    answers: Answers
    done: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._actions: dict[tuple[str, int], Move | None] = {}
        self._children: dict[str, _Child] = {}
        self._asked: dict[tuple[Any, ...], ActionCall | Waiting] = {}
        self._made_up: dict[tuple[str, str, str], Any] = {}

    def next(self, state: State, now: datetime) -> Move | None:
        """Return what happens next; raises NothingKnown where only people are waited for, and they raise it."""
        best = min(self._moves(state, now), key=lambda m: m.at, default=None)
        try:
            move = self.people.next(state, now)
        except NothingKnown:
            if best is None:
                raise
            return best
        return move if best is None or (move is not None and move.at <= best.at) else best

    def acted(self, move: Move) -> None:
        """Take note that a move was made."""
        self.done[move.mark] = 1
        self.people.acted(move)
        asked = self._asked.pop(move.mark, None)
        if asked is not None and getattr(move.event, "ok", True):
            for variable, (source, value) in self.answers.made_up(asked).items():
                self._made_up[asked.node, variable, source] = value

    def foreseen(self, course: Course) -> Foreseen:
        """Return the course of the request that this world answered, with those of its sub-processes."""
        if course.state.status != "pending":
            self._abandon(course.state, course.started_at + course.duration)
        inner: dict[str, Foreseen] = {}
        for request_id, child in self._children.items():
            whole = child.foreseen
            if child.abandoned is not None:
                whole = self.run_child(child.call, child.began, child.abandoned)
            if whole is not None:
                inner[request_id] = whole
        return Foreseen(
            plan=self.plan,
            answers=self.answers,
            course=course,
            inner=inner,
            made_up=tuple((*place, value) for place, value in self._made_up.items()),
            calls=tuple(child.call for child in self._children.values()),
        )

    def _moves(self, state: State, now: datetime) -> Iterator[Move]:
        for call in state.actions:
            if (call.node, call.visit) not in self._actions:
                self._actions[call.node, call.visit] = self._action(call, now)
        # An action goes on where its branch has ended meanwhile: what it comes to is then put on record and ignored.
        yield from (move for move in self._actions.values() if move is not None and move.mark not in self.done)
        for child in state.children:
            yield from self._child(child, now)
        self._abandon(state, now)
        for wait in state.waits:
            mark = ("world", wait.node, wait.visit)
            if mark not in self.done and (comes := self.answers.event(wait, state.started_at)) is not None:
                self._asked[mark] = wait
                yield Move(at=max(comes[0], now), event=comes[1], mark=mark)

    def _action(self, call: ActionCall, now: datetime) -> Move | None:
        answered = self.answers.action(call)
        if answered is None:
            return None
        mark = ("world", call.node, call.visit)
        self._asked[mark] = call
        return Move(at=now + answered[0], event=answered[1], mark=mark)

    def _child(self, call: ChildCall, now: datetime) -> Iterator[Move]:
        mark = ("world", call.node, call.visit)
        wanted = self.answers.want(call.node, call.visit)
        known = self.answers.child(call)
        if call.request_id not in self._children:
            runs = wanted in {None, "approved"} and known is None
            foreseen = self.run_child(call, now, None) if runs else None
            if runs and foreseen is None:
                raise NothingKnown(f"too many sub-processes to know what {call.node} comes to")
            self._children[call.request_id] = _Child(call=call, began=now, foreseen=foreseen)
        if mark in self.done or wanted == NEVER:
            return
        child = self._children[call.request_id]
        if known is not None:
            yield Move(at=max(child.began + known[0], now), event=known[1], mark=mark)
            return
        span, outcome, output = WITHOUT_TIMEOUT, wanted or "failed", dict(call.input)
        if child.foreseen is not None:
            course = child.foreseen.course
            if course.stopped == "unknown":
                raise NothingKnown(course.why or "")
            if course.state.status == "pending":
                return  # it never ends, and its parent waits
            outcome = course.state.outcome or "failed"
            span, output = course.duration, dict(course.state.input)
        event: Event = ChildEnded(node=call.node, visit=call.visit, outcome=outcome, output=output)
        yield Move(at=max(child.began + span, now), event=event, mark=mark)

    def _abandon(self, state: State, now: datetime) -> None:
        """Note which sub-processes nobody waits for any more: they are cancelled."""
        waited_for = {call.request_id for call in state.children}
        for request_id, child in self._children.items():
            ended = ("world", child.call.node, child.call.visit) in self.done
            if child.abandoned is None and not ended and request_id not in waited_for:
                child.abandoned = now


@dataclass(kw_only=True)
class Cancelled:
    """People who do as others do until their request is cancelled in the engine."""

    people: Players
    at: datetime

    def next(self, state: State, now: datetime) -> Move | None:
        """Return what happens next."""
        move = self.people.next(state, now)
        if move is not None and move.at < self.at:
            return move
        return Move(at=max(self.at, now), event=CANCELLED, mark=("cancelled",))

    def acted(self, move: Move) -> None:
        """Take note that a move was made."""
        self.people.acted(move)

"""Recall: what actions, sub-processes and outside events came to in a real request, given again in another course.

A node that ended is answered as it was, after the time that it took, with the values that it set: as long as it is
given what it was given then. What is pure is computed anew; of anything else nobody knows what it comes to with another
input. One that never ran in the past is answered as any simulation does (`simulation.world.answers`), unless something
hangs on what it would have returned; one that had not ended is not known from there on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from placet.audit.chain import exact
from placet.audit.reasons import why_of
from placet.engine.events import SYSTEM, ActionDone, Actor, ChildEnded, Happened
from placet.engine.state import ChildCall, Waiting
from placet.errors import Problem
from placet.plan.actions import ActionCall
from placet.plan.plan import Plan
from simulation.report.comparison import ComparedEvent as Line
from simulation.run.driver import NothingKnown
from simulation.scenario.script import Line as Scripted
from simulation.world.answers import NEVER, Answers, answers

_BEGINS = {"action_started", "child_started", "waiting"}
_ENDS = {"action_run", "action_failed", "child_ended", "waited"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What a node came to at one visit: `result` None where it had not ended when the past did.

    `values` are what it set the variables to, `payload` what an outside event carried, `name` the action, process or
    event, and `given` what an action or a sub-process was given (None: these are not on record).
    """

    result: str | None
    took: timedelta
    values: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] | None = None
    name: str | None = None
    given: Mapping[str, Any] | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)  # with slots, super() would not find the class
class Recall(Answers):
    """Answers as they were; `guess` goes on with those of any simulation where the past says nothing.

    `assumed` notes the nodes whose answer was kept for another input than the one that they had answered.
    """

    came: Mapping[str, Sequence[Came]]
    guess: bool = False
    assumed: set[str] = field(default_factory=set)

    def action(self, call: ActionCall) -> tuple[timedelta, ActionDone] | None:
        """Return what an action came to, and after which time."""
        was = self._was(call)
        if was is None or was.result is None:
            self._known(call, was)
            return self._later(super().action(call), was)
        if self.computes(call):
            told = super().action(call)
            return (was.took, told[1]) if told is not None else None
        self._same(call.node, call.input, was)
        if was.result == "failed":
            done = ActionDone(node=call.node, visit=call.visit, key=call.key, ok=False, error=was.why)
            return was.took, done
        call_spec = self.plan.nodes[call.node].call_spec
        output = placed(call_spec.output if call_spec is not None else {}, was.values)
        return was.took, ActionDone(node=call.node, visit=call.visit, key=call.key, ok=True, output=output)

    def breaches(self, call: ActionCall) -> tuple[Problem, ...]:
        """Say where an action's schemas are broken; what it came to in the past was held to them then."""
        was, found = self._was(call), super().breaches(call)
        recalled = was is not None and was.result is not None
        return tuple(p for p in found if p.pointer.startswith("/input")) if recalled else found

    def child(self, call: ChildCall) -> tuple[timedelta, ChildEnded] | None:
        """Return what a sub-process came to, and after which time; None where that is not on record."""
        was = self._was(call)
        if was is None or was.result is None:
            return None
        self._same(call.node, call.input, was)
        call_spec = self.plan.nodes[call.node].call_spec
        output = placed(call_spec.output if call_spec is not None else {}, was.values)
        return was.took, ChildEnded(node=call.node, visit=call.visit, outcome=was.result, output=output)

    def event(self, wait: Waiting, started_at: datetime) -> tuple[datetime, Happened] | None:
        """Return what happened outside, and when."""
        was = self._was(wait)
        if wait.event is None or was is None or was.result is None:
            told = super().event(wait, started_at)
            if was is None or told is None:
                return told
            return (max(told[0], wait.since + was.took), told[1]) if self.guess else None
        if was.result != "event":
            return None
        payload = dict(was.payload or {})
        return wait.since + was.took, Happened(by=Actor(person=SYSTEM, admin=True), name=wait.event, payload=payload)

    def want(self, node: str, visit: int) -> str | None:
        """Return NEVER for what had not ended and is not to be guessed."""
        was = self._at(node, visit)
        return NEVER if was is not None and was.result is None and not self.guess else None

    def made_up(self, call: ActionCall | Waiting) -> dict[str, tuple[str, Any]]:
        """Return what is made up of an answer: nothing where it is recalled."""
        was = self._was(call)
        return {} if was is not None and was.result is not None else super().made_up(call)

    def _same(self, node: str, given: Mapping[str, Any], was: Came) -> None:
        """Hold an answer to the input that it was for: raises NothingKnown where this is another."""
        if was.given is None or _recorded(was.given) == _recorded(given):
            return
        if not self.guess:
            raise NothingKnown(f"what {node} comes to with another input than it had is not known")
        self.assumed.add(node)

    def _known(self, call: ActionCall, was: Came | None) -> None:
        """Raise NothingKnown where an answer would have to be made up on which something hangs."""
        if self.guess or was is not None:
            return
        read = sorted(name for name in self.made_up(call) if name in self.plan.reads)
        if read:
            raise NothingKnown(f"{call.node} never ran, and what it sets {', '.join(read)} to is not known")

    def _was(self, call: ActionCall | ChildCall | Waiting) -> Came | None:
        """Return what a node came to at this visit; None where it ran something else then, or nothing."""
        was = self._at(call.node, call.visit)
        name: str | None = call.event if isinstance(call, Waiting) else None
        if isinstance(call, ActionCall):
            name = call.action
        elif isinstance(call, ChildCall):
            name = self.plan.children[call.child].plan.name
        return None if was is not None and was.name not in {None, name} else was

    def _at(self, node: str, visit: int) -> Came | None:
        visits = self.came.get(node, ())
        return visits[visit - 1] if visit <= len(visits) else None

    def _later(
        self, told: tuple[timedelta, ActionDone] | None, was: Came | None
    ) -> tuple[timedelta, ActionDone] | None:
        """Return an answer no sooner than the past has already shown that it is not there."""
        return (max(told[0], was.took), told[1]) if told is not None and was is not None else told


def recall(
    plan: Plan,
    entries: Sequence[Line],
    *,
    until: datetime | None = None,
    guess: bool = False,
    lines: Sequence[Scripted] = (),
) -> Answers:
    """Return the answers of a request's timeline, oldest entry first; one that still runs is known `until` now."""
    made = answers(plan, lines)
    spoken = {line.on for line in lines}  # a script has the last word on what it speaks of
    came = {node: visits for node, visits in came_of(entries, until=until).items() if node not in spoken}
    return Recall(plan=plan, lines=made.lines, wanted=made.wanted, came=came, guess=guess)


def came_of(entries: Sequence[Line], *, until: datetime | None = None) -> dict[str, tuple[Came, ...]]:
    """Read what nodes came to, by their ids, visit by visit."""
    begun: dict[str, datetime] = {}
    asked: dict[str, Mapping[str, Any]] = {}
    payloads: dict[str, Mapping[str, Any]] = {}
    found: dict[str, list[Came]] = {}
    for entry in entries:
        detail = entry.detail
        node = str(detail.get("node"))
        if entry.kind in _BEGINS:
            begun[node] = entry.at
            asked[node] = detail
        elif entry.kind == "event_received":
            payloads |= {str(point): detail.get("payload") or {} for point in detail.get("nodes") or ()}
        elif entry.kind in _ENDS and node in begun:
            found.setdefault(node, []).append(
                Came(
                    result=_result(entry),
                    took=entry.at - begun.pop(node),
                    values=detail.get("after") or {},
                    payload=payloads.pop(node, None),
                    name=_name(asked[node]),
                    given=asked[node].get("input"),
                    why=why_of(detail),
                )
            )
    end = until or (entries[-1].at if entries else None)
    for node, since in begun.items():
        name = _name(asked[node])
        found.setdefault(node, []).append(Came(result=None, took=(end or since) - since, name=name))
    return {node: tuple(visits) for node, visits in found.items()}


def placed(output: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an output from which variables get these values: each at the place that its variable is read from."""
    made: dict[str, Any] = {}
    for variable, source in output.items():
        if values.get(variable) is None:
            continue
        *outer, last = source[1:].split("/") if source.startswith("/") else [source]
        place = made
        for part in outer:
            inner = place.get(part)
            place[part] = place = inner if isinstance(inner, dict) else {}
        place[last] = values[variable]
    return made


def _recorded(value: Any) -> Any:
    """Return JSON values as an audit entry writes them: a float as a whole number or as text, long numbers as text."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, Mapping):
        return {str(name): _recorded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_recorded(inner) for inner in value]
    return exact(value)


def _name(begun: Mapping[str, Any]) -> str | None:
    """Return what an entry says that a node began: an action, a process or an event."""
    return next((str(begun[key]) for key in ("action", "blueprint", "event") if begun.get(key)), None)


def _result(entry: Line) -> str:
    if entry.kind == "child_ended":
        return str(entry.detail.get("outcome"))
    if entry.kind == "waited":
        return str(entry.detail.get("result"))
    return "failed" if entry.kind == "action_failed" else "done"

"""Recorded results: what the actions, sub-processes and outside events of a real request returned.

A node that ended returns its recorded result again, after its recorded time, as long as its input is the recorded one.
Pure actions are computed anew. A node that never ran is answered as in any simulation (`simulation.world.answers`),
unless the process reads what it returns: its result is then unknown. So is that of a node that had not ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from placet.audit.reasons import why_of
from placet.definition.action_spec import ActionCall
from placet.engine.events import SYSTEM, ActionDone, Actor, ChildEnded, Happened
from placet.engine.state import ChildCall, Waiting
from placet.errors import Problem
from placet.plan.plan import Plan
from simulation.report.comparison import TimelineEvent
from simulation.run.driver import UnknownNextEvent
from simulation.scenario.script import ScriptLine
from simulation.world.answers import NEVER, Answers, answers_for
from simulation.world.recorded_values import as_recorded, values_as_sent

_BEGINS = {"action_started", "child_started", "waiting"}
_ENDS = {"action_run", "action_failed", "child_ended", "waited"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResult:
    """The recorded result of a node at one visit; `result` is None where it had not ended.

    `values` are the values that it set variables to, `payload` is that of an outside event, `name` the action, process
    or event, and `given` the input of an action or a sub-process (None where it was not recorded).
    """

    result: str | None
    took: timedelta
    values: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] | None = None
    name: str | None = None
    given: Mapping[str, Any] | None = None
    why: str | None = None


@dataclass(frozen=True, kw_only=True)  # with slots, super() would not find the class
class RecordedAnswers(Answers):
    """Recorded results as answers; with `fill_gaps`, simulated answers where there is no recorded result.

    `assumed` collects the nodes whose recorded result was used although their input differs from the recorded one.
    """

    results: Mapping[str, Sequence[RecordedResult]]
    fill_gaps: bool = False
    assumed: set[str] = field(default_factory=set)

    def action(self, call: ActionCall) -> tuple[timedelta, ActionDone] | None:
        """Return the time that an action takes and its result."""
        recorded = self._recorded_for(call)
        if recorded is None or recorded.result is None:
            self._check_known(call, recorded)
            return self._later(super().action(call), recorded)
        if self.computes(call):
            simulated = super().action(call)
            return (recorded.took, simulated[1]) if simulated is not None else None
        self._check_same_input(call.node, call.input, recorded)
        if recorded.result == "failed":
            done = ActionDone(node=call.node, visit=call.visit, key=call.key, ok=False, error=recorded.why)
            return recorded.took, done
        output = self._output_from(call.node, recorded)
        return recorded.took, ActionDone(node=call.node, visit=call.visit, key=call.key, ok=True, output=output)

    def breaches(self, call: ActionCall) -> tuple[Problem, ...]:
        """List where an action's payloads break its schemas; a recorded output was checked when it was recorded."""
        recorded, found = self._recorded_for(call), super().breaches(call)
        is_recorded = recorded is not None and recorded.result is not None
        return tuple(p for p in found if p.pointer.startswith("/input")) if is_recorded else found

    def child(self, call: ChildCall) -> tuple[timedelta, ChildEnded] | None:
        """Return the time that a sub-process takes and its outcome; None where these were not recorded."""
        recorded = self._recorded_for(call)
        if recorded is None or recorded.result is None:
            return None
        self._check_same_input(call.node, call.input, recorded)
        output = self._output_from(call.node, recorded)
        return recorded.took, ChildEnded(node=call.node, visit=call.visit, outcome=recorded.result, output=output)

    def event(self, wait: Waiting, started_at: datetime) -> tuple[datetime, Happened] | None:
        """Return when an awaited outside event occurs, and the event."""
        recorded = self._recorded_for(wait)
        if wait.event is None or recorded is None or recorded.result is None:
            simulated = super().event(wait, started_at)
            if recorded is None or simulated is None:
                return simulated
            return (max(simulated[0], wait.since + recorded.took), simulated[1]) if self.fill_gaps else None
        if recorded.result != "event":
            return None
        payload = dict(recorded.payload or {})
        return wait.since + recorded.took, Happened(
            by=Actor(person=SYSTEM, admin=True), name=wait.event, payload=payload
        )

    def wanted_result(self, node: str, visit: int) -> str | None:
        """Return NEVER for a node that had not ended, unless gaps are filled."""
        recorded = self._at(node, visit)
        return NEVER if recorded is not None and recorded.result is None and not self.fill_gaps else None

    def assumed_values(self, call: ActionCall | Waiting) -> dict[str, tuple[str, Any]]:
        """Return the assumed values of an answer; none where its result is recorded."""
        recorded = self._recorded_for(call)
        return {} if recorded is not None and recorded.result is not None else super().assumed_values(call)

    def _output_from(self, node: str, recorded: RecordedResult) -> dict[str, Any]:
        return output_from(self.plan.nodes[node].sources, values_as_sent(self.plan.variables, recorded.values))

    def _check_same_input(self, node: str, given: Mapping[str, Any], recorded: RecordedResult) -> None:
        """Check that an input is the recorded one; raises UnknownNextEvent where it is not and gaps are not filled."""
        if recorded.given is None or as_recorded(recorded.given) == as_recorded(given):
            return
        if not self.fill_gaps:
            raise UnknownNextEvent(f"the result of {node} is not known for another input than the recorded one")
        self.assumed.add(node)

    def _check_known(self, call: ActionCall, recorded: RecordedResult | None) -> None:
        """Raise UnknownNextEvent where the process reads a value that would have to be assumed."""
        if self.fill_gaps or recorded is not None:
            return
        read = sorted(name for name in self.assumed_values(call) if name in self.plan.reads)
        if read:
            raise UnknownNextEvent(f"{call.node} never ran, and what it sets {', '.join(read)} to is not known")

    def _recorded_for(self, call: ActionCall | ChildCall | Waiting) -> RecordedResult | None:
        """Return the recorded result of a node at this visit; None where it ran something else, or nothing."""
        recorded = self._at(call.node, call.visit)
        name: str | None = call.event if isinstance(call, Waiting) else None
        if isinstance(call, ActionCall):
            name = call.action
        elif isinstance(call, ChildCall):
            name = self.plan.children[call.child].plan.name
        return None if recorded is not None and recorded.name not in {None, name} else recorded

    def _at(self, node: str, visit: int) -> RecordedResult | None:
        visits = self.results.get(node, ())
        return visits[visit - 1] if visit <= len(visits) else None

    def _later(
        self, simulated: tuple[timedelta, ActionDone] | None, recorded: RecordedResult | None
    ) -> tuple[timedelta, ActionDone] | None:
        """Return a simulated answer, delayed to the time until which the node is known not to have ended."""
        return (
            (max(simulated[0], recorded.took), simulated[1])
            if simulated is not None and recorded is not None
            else simulated
        )


def recorded_answers(
    plan: Plan,
    entries: Sequence[TimelineEvent],
    *,
    until: datetime | None = None,
    fill_gaps: bool = False,
    lines: Sequence[ScriptLine] = (),
) -> Answers:
    """Return answers from a request's timeline, oldest entry first; `until` is now for a request that still runs."""
    simulated_answers = answers_for(plan, lines)
    scripted = {line.on for line in lines}  # lines of a script replace recorded results
    results = {
        node: visits for node, visits in recorded_results_of(entries, until=until).items() if node not in scripted
    }
    return RecordedAnswers(
        plan=plan, lines=simulated_answers.lines, wanted=simulated_answers.wanted, results=results, fill_gaps=fill_gaps
    )


def recorded_results_of(
    entries: Sequence[TimelineEvent], *, until: datetime | None = None
) -> dict[str, tuple[RecordedResult, ...]]:
    """Read the recorded results of nodes from a timeline, by node id, one for each visit."""
    started: dict[str, datetime] = {}
    start_details: dict[str, Mapping[str, Any]] = {}
    payloads: dict[str, Mapping[str, Any]] = {}
    found: dict[str, list[RecordedResult]] = {}
    for entry in entries:
        detail = entry.detail
        node = str(detail.get("node"))
        if entry.kind in _BEGINS:
            started[node] = entry.at
            start_details[node] = detail
        elif entry.kind == "event_received":
            payloads |= {str(node): detail.get("payload") or {} for node in detail.get("nodes") or ()}
        elif entry.kind in _ENDS and node in started:
            found.setdefault(node, []).append(
                RecordedResult(
                    result=_result(entry),
                    took=entry.at - started.pop(node),
                    values=detail.get("after") or {},
                    payload=payloads.pop(node, None),
                    name=_name(start_details[node]),
                    given=start_details[node].get("input"),
                    why=why_of(detail),
                )
            )
    end = until or (entries[-1].at if entries else None)
    for node, since in started.items():
        name = _name(start_details[node])
        found.setdefault(node, []).append(RecordedResult(result=None, took=(end or since) - since, name=name))
    return {node: tuple(visits) for node, visits in found.items()}


def output_from(output: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an output from which variables get these values: each in the field that its variable is read from."""
    simulated_answers: dict[str, Any] = {}
    for variable, source in output.items():
        if values.get(variable) is None:
            continue
        *outer, last = source[1:].split("/") if source.startswith("/") else [source]
        place = simulated_answers
        for part in outer:
            inner = place.get(part)
            place[part] = place = inner if isinstance(inner, dict) else {}
        place[last] = values[variable]
    return simulated_answers


def _name(started: Mapping[str, Any]) -> str | None:
    """Return the name of the action, process or event that a node began, by its entry."""
    return next((str(started[key]) for key in ("action", "blueprint", "event") if started.get(key)), None)


def _result(entry: TimelineEvent) -> str:
    if entry.kind == "child_ended":
        return str(entry.detail.get("outcome"))
    if entry.kind == "waited":
        return str(entry.detail.get("result"))
    return "failed" if entry.kind == "action_failed" else "done"

"""Assumptions: the values that a simulation assumed, each reported with the script line that sets another value.

They are values that actions and outside events would have returned, and forms that approvers would have filled in. The
results of pure actions are computed, never assumed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from placet.engine.events import Decide
from placet.json_pointer import parts_of
from placet.sentences import sentence
from simulation.scenario.fields import put_value
from simulation.scenario.script import ScriptLine
from simulation.world.world import SimulatedRun

MOST_WARNINGS = 50  # of one simulation
_LONGEST_VALUE = 200  # characters, as a warning shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One assumed value: its node, its field, and the variable that it sets; `within` names the sub-process node."""

    node: str
    field: str
    value: Any
    line: str  # of a script, by which another value is set
    variable: str | None = None
    within: str | None = None

    def told(self) -> str:
        """Return the warning."""
        where = sentence("in the sub-process of {within!r}, ", within=self.within) if self.within is not None else ""
        sets = sentence(", which sets {variable!r},", variable=self.variable) if self.variable is not None else ""
        value = (
            sentence("assumed to be missing")
            if self.value is None
            else sentence("assumed to be {short}", short=_short(self.value))
        )
        remedy = (
            sentence("set it by a line of the script: {line}", line=self.line)
            if self.within is None
            else sentence("a script cannot set it; simulate that process on its own")
        )
        return sentence(
            "{where}at node {node!r} the field {field!r}{sets} was {value}; {remedy}",
            where=where,
            node=self.node,
            field=self.field,
            sets=sets,
            value=value,
            remedy=remedy,
        )


def assumptions_of(
    simulated: SimulatedRun, script: Sequence[ScriptLine], within: str | None = None
) -> Iterator[Assumption]:
    """Generate the assumptions of a request and its sub-processes, each field once."""
    told: set[tuple[str, str]] = set()
    for assumption in (*_assumed_answers(simulated, within), *_assumed_forms(simulated, script, within)):
        if (assumption.node, assumption.field) not in told:
            told.add((assumption.node, assumption.field))
            yield assumption
    for request_id, inner in simulated.inner.items():
        node = within or next((call.node for call in simulated.calls if call.request_id == request_id), request_id)
        yield from assumptions_of(inner, (), node)


def warnings_of(simulated: SimulatedRun, script: Sequence[ScriptLine]) -> list[str]:
    """Return the warnings about assumed values."""
    told = list(dict.fromkeys(assumption.told() for assumption in assumptions_of(simulated, script)))
    left = len(told) - MOST_WARNINGS
    more = [sentence("{count} more values were assumed", count=left)] if left > 0 else []
    return [*told[:MOST_WARNINGS], *more]


def rests_on_assumptions(
    simulated: SimulatedRun, script: Sequence[ScriptLine] = (), read: frozenset[str] = frozenset()
) -> bool:
    """Whether the process reads an assumed value, so that explore and rehearse both follow the assumption.

    `read` are the variables that the parent takes from a sub-process. Forms count where they set variables.
    """
    reads = simulated.plan.reads | read
    own = (*_assumed_answers(simulated, None), *_assumed_forms(simulated, script, None))
    if any(assumption.variable in reads for assumption in own):
        return True
    for call in simulated.calls:
        inner, sources = simulated.inner.get(call.request_id), simulated.plan.nodes[call.node].sources
        taken = {source for name, source in sources.items() if name in reads}
        if inner is not None and rests_on_assumptions(inner, (), frozenset(taken)):
            return True
    return False


def _assumed_answers(simulated: SimulatedRun, within: str | None) -> Iterator[Assumption]:
    for node, variable, field, value in simulated.assumed_values:
        awaited = simulated.plan.nodes[node].event is not None
        line = {"do": "happen" if awaited else "answer", "on": node, "output": put_value({}, field, value)}
        yield Assumption(node=node, field=field, value=value, line=_short(line), variable=variable, within=within)


def _assumed_forms(simulated: SimulatedRun, script: Sequence[ScriptLine], within: str | None) -> Iterator[Assumption]:
    scripted = [line.form for line in script if line.form is not None]
    tasks = {task.id: task for task in simulated.trace.state.tasks}
    for applied in simulated.trace.applied_events:
        event = applied.event
        if not isinstance(event, Decide) or event.form is None or applied.refused is not None:
            continue
        if event.via != "simulation" or event.form in scripted:
            continue
        task = tasks.get(event.task_id)
        if task is None:
            continue
        line = {"on": task.stage, "decision": event.decision, "form": event.form}
        sets = {source: name for name, source in simulated.plan.nodes[task.node].sources.items()}
        for name, value in event.form.items():
            variable = sets.get(name) or next((v for s, v in sets.items() if parts_of(s)[:1] == [name]), None)
            yield Assumption(
                node=task.node,
                field=f"form/{name}",
                value=value,
                line=_short(line),
                variable=variable,
                within=within,
            )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."

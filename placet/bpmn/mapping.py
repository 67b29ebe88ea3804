"""Map a BPMN process to a blueprint, and list what did not map.

What maps: user and service tasks, exclusive and parallel gateways, timers on tasks, sub-processes and calls of other
processes, and events that are waited for.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from placet.actions import ActionSpec
from placet.bpmn.graph import Flat, flatten, main_process
from placet.bpmn.people import approvers_of
from placet.bpmn.reader import Flow, Part, attribute, read_bpmn, texts
from placet.bpmn.words import condition_of, hours_of, slug, verdict

_TASKS = {"userTask", "manualTask", "task"}
_SERVICES = {"serviceTask", "sendTask", "scriptTask", "businessRuleTask"}
_UNSURE = {"inclusiveGateway", "eventBasedGateway", "complexGateway"}
_NOTHING = "set_variables"  # the action that does nothing where nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What did not map: `lost` is not in the blueprint, `assumed` is there with something that the file did not say."""

    kind: Literal["lost", "assumed"]
    element: str
    id: str
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A blueprint as JSON values, and what is not in it as the file had it."""

    blueprint: dict[str, Any]
    left: tuple[Left, ...]


def import_bpmn(
    content: bytes,
    *,
    name: str | None = None,
    version: str = "1.0.0",
    actions: Mapping[str, ActionSpec] | None = None,
    processes: Collection[str] = (),
) -> Imported:
    """Map the main process of a BPMN 2.0 file; raises BlueprintInvalid for what is no BPMN, or is too much.

    `actions` is the catalog by name, `processes` the names of published processes: what service tasks and call
    activities can stand for.
    """
    file = read_bpmn(content)
    process = main_process(file)
    mapper = _Mapper(flat=flatten(process), places=file.places, actions=actions or {}, processes=processes)
    for other in file.processes:
        if other is not process and other.parts:
            mapper.lost("process", other.id, other.name, "a file becomes one blueprint; import this one on its own")
    blueprint = mapper.blueprint(name or process.name or "Imported process", version)
    return Imported(blueprint=blueprint, left=tuple(mapper.left))


@dataclass(slots=True, kw_only=True)
class _Mapper:
    flat: Flat
    places: dict[str, tuple[float, float]]
    actions: Mapping[str, ActionSpec]
    processes: Collection[str]
    left: list[Left] = field(default_factory=list)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id in the blueprint
    edges: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)  # id in the file -> id in the blueprint
    # Ways on of nodes that are made: followed one after the other, for a process may be longer than the stack is deep.
    todo: deque[Callable[[], None]] = field(default_factory=deque)

    def lost(self, element: str, ident: str, name: str, message: str) -> None:
        """Note what is not in the blueprint."""
        self.left.append(Left(kind="lost", element=element, id=ident, name=name, message=message))

    def assumed(self, part: Part, message: str) -> None:
        """Note what the blueprint says and the file did not."""
        self.left.append(Left(kind="assumed", element=part.kind, id=part.id, name=part.name, message=message))

    def blueprint(self, name: str, version: str) -> dict[str, Any]:
        """Return the whole, walked from where the process begins."""
        entry, *others = self.flat.entries
        for ident in others:
            part = self.flat.parts[ident]
            self.lost(part.kind, ident, part.name, "a process begins in one place; nothing leads here")
        start = self.flat.parts[entry]
        begin = self._node(entry, "trigger", start.name if start.kind == "startEvent" else "")
        if start.kind == "startEvent":
            self.made[entry] = begin
            if start.events:
                self.assumed(start, "requests begin when somebody starts them, not by this event")
            self._go_on(start, begin)
        else:
            self.edges.append({"from": begin, "to": self._reach(entry)})
        while self.todo:
            self.todo.popleft()()
        for ident, part in self.flat.parts.items():
            if ident not in self.made and part.kind not in {"pass", "boundaryEvent"} and part.inner is None:
                self._not_reached(ident, part)
        return {
            "name": name[:200],
            "version": version,
            "variables": list(self.variables.values()),
            "process_steps": self.steps,
            "graph_spec": {"nodes": list(self.nodes.values()), "edges": self.edges},
        }

    def _not_reached(self, ident: str, part: Part) -> None:
        told = {left.id for left in self.left}
        if ident not in told and part.kind not in {"exclusiveGateway", "parallelGateway", *_UNSURE}:
            self.lost(part.kind, ident, part.name, "no way of the blueprint leads here")

    def _reach(self, ident: str) -> str:
        """Return the node that an element became, making it when it is met first."""
        waiting = ident
        seen: set[str] = set()
        while True:
            if waiting in self.made:
                return self.made[waiting]
            part = self.flat.parts[waiting]
            following = self._passes(part)
            if following is None:
                return self._make(part)
            self._note_passed(part)
            if waiting in seen:  # a circle of nothing
                return self._end("completed", "")
            seen.add(waiting)
            waiting = following

    def _passes(self, part: Part) -> str | None:
        """Return what comes next where an element does nothing of its own and leads on in one way."""
        outs = self.flat.outs.get(part.id, [])
        does = part.kind in _TASKS | _SERVICES | {"callActivity", "endEvent", "receiveTask"}
        joins = part.kind == "parallelGateway" and len(self.flat.ins.get(part.id, [])) > 1
        waits = part.kind == "intermediateCatchEvent"
        if len(outs) != 1 or joins or waits or (does and not self._unknown_call(part)):
            return None
        return outs[0].target

    def _unknown_call(self, part: Part) -> bool:
        return part.kind == "callActivity" and self._called(part) is None

    def _called(self, part: Part) -> str | None:
        wanted = attribute(part.element, "calledElement", "processId") or ""
        return next((found for found in (wanted, part.name) if found in self.processes), None)

    def _note_passed(self, part: Part) -> None:
        if any(left.id == part.id for left in self.left):
            return
        if part.kind == "callActivity":
            self.lost(part.kind, part.id, part.name, "no published process has this name; publish it, then add a node")
        elif part.kind == "intermediateThrowEvent":
            if part.events:
                self.lost(part.kind, part.id, part.name, "events are not thrown; add an action where somebody is told")
        elif part.kind in _UNSURE and len(self.flat.outs.get(part.id, [])) < 2:
            self.lost(part.kind, part.id, part.name, "branches are brought together by a parallel gateway only")
        elif part.inner is not None:
            self._note_boundaries(part, "it sits on a sub-process")
            self._note_loop(part)

    def _make(self, part: Part) -> str:
        if part.kind in _TASKS:
            return self._approval(part)
        if part.kind in _SERVICES:
            return self._action(part)
        if part.kind == "callActivity" and (called := self._called(part)) is not None:
            return self._call(part, called)
        if part.kind == "endEvent":
            return self._finish(part)
        if part.kind in {"intermediateCatchEvent", "receiveTask"}:
            return self._wait(part)
        return self._branch(part)

    def _node(self, ident: str, kind: str, name: str, **facts: Any) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.:-]", "_", ident)[:80].lstrip(".:-") or "node"
        unique, number = plain, 1
        while unique in self.nodes:
            number += 1
            unique = f"{plain}-{number}"
        x, y = self.places.get(ident, (None, None))
        node: dict[str, Any] = {"id": unique, "type": kind, **facts}
        node |= {"x": x, "y": y} if x is not None else {}
        node |= {"name": name} if name else {}
        self.nodes[unique] = node
        return unique

    def _approval(self, part: Part) -> str:
        names = {step["stage_name"] for step in self.steps}
        title = part.name or part.id
        stage = next(text for n in range(1, 1000) if (text := title if n == 1 else f"{title[:190]} ({n})") not in names)
        step: dict[str, Any] = {"stage_name": stage}
        self.steps.append(step)
        node = self.made[part.id] = self._node(part.id, "approval", "", step=stage)
        if part.kind != "userTask":
            self.assumed(part, "the task does not say that a person does it; it became an approval")
        approvers = approvers_of(part)
        if approvers:
            step["approvers"] = approvers
        else:
            self.assumed(part, "nobody is named; the requester's manager approves")
        self._note_loop(part)
        self.todo.append(lambda: self._leave(part, node, step))
        return node

    def _leave(self, part: Part, node: str, step: dict[str, Any]) -> None:
        yes, no = self._verdicts(part)
        self.edges.append({"from": node, "to": self._next(part) if yes is None else self._reach(yes), "on": "approved"})
        if no is None:
            self.assumed(part, "BPMN's task cannot be rejected; a rejection ends the request")
        self.edges.append(
            {"from": node, "to": self._end("rejected", "") if no is None else self._reach(no), "on": "rejected"}
        )
        self._timer(part, node, step)

    def _verdicts(self, part: Part) -> tuple[str | None, str | None]:
        """Return where approval and rejection lead, where a gateway right behind a task asks for nothing else."""
        outs = self.flat.outs.get(part.id, [])
        gate = self.flat.parts[outs[0].target] if len(outs) == 1 else None
        if gate is None or gate.kind != "exclusiveGateway" or len(self.flat.ins.get(gate.id, [])) != 1:
            return None, None
        ways = {verdict(flow.name): flow.target for flow in self.flat.outs.get(gate.id, [])}
        if set(ways) != {"approved", "rejected"}:
            return None, None
        self.made[gate.id] = self.made[part.id]
        return ways["approved"], ways["rejected"]

    def _timer(self, part: Part, node: str, step: dict[str, Any]) -> None:
        for event in self.flat.boundaries.get(part.id, []):
            hours = self._hours(event)
            if event.events != ("timerEventDefinition",) or hours is None or "sla_hours" in step:
                self._lost_boundary(event, "only one timer with a duration can sit on a task")
                continue
            step["sla_hours"] = hours
            self.made[event.id] = node
            outs = self.flat.outs.get(event.id, [])
            if not event.interrupting:
                if outs:
                    self._lost_boundary(event, "it became the deadline; its way beside the task is not taken")
                continue
            step["final"] = "expire"
            self.edges.append({"from": node, "to": self._next(event), "on": "expired"})

    def _lost_boundary(self, event: Part, why: str) -> None:
        self.lost(event.kind, event.id, event.name, f"{why} ({', '.join(event.events) or 'no event'})")

    def _note_boundaries(self, part: Part, why: str) -> None:
        for event in self.flat.boundaries.get(part.id, []):
            self._lost_boundary(event, why)

    def _note_loop(self, part: Part) -> None:
        if list(part.element.iter("{*}multiInstanceLoopCharacteristics")) or list(
            part.element.iter("{*}standardLoopCharacteristics")
        ):
            self.lost(part.kind, part.id, part.name, "its repetition is left out; name several approvers instead")

    def _hours(self, part: Part) -> float | None:
        return next((hours for text in texts(part.element, "timeDuration") if (hours := hours_of(text))), None)

    def _action(self, part: Part) -> str:
        wanted = [attribute(part.element, "topic", "class", "delegateExpression", "type") or "", part.name]
        wanted += [slug(text, "") for text in wanted]
        known = next((text for text in wanted if text in self.actions), None)
        if known is None:
            self.assumed(part, f"the catalog has no action for it; it does nothing until it names one ({_NOTHING})")
        node = self.made[part.id] = self._node(part.id, "action", part.name, action=known or _NOTHING)
        self._note_loop(part)
        self._note_boundaries(part, "it sits on an action")
        self._go_on(part, node)
        return node

    def _call(self, part: Part, called: str) -> str:
        node = self.made[part.id] = self._node(part.id, "subprocess", part.name, template=called)
        self.assumed(part, "its input and output are not taken over; fill them in")
        self._note_boundaries(part, "it sits on a sub-process")
        self._go_on(part, node)
        return node

    def _wait(self, part: Part) -> str:
        hours = self._hours(part)
        if hours is not None:
            facts: dict[str, Any] = {"hours": hours}
        else:
            facts = {"event": slug(part.name, slug(part.id, "event"))}
            if "timerEventDefinition" in part.events:
                self.assumed(part, f"only durations are waited for; it waits for the event {facts['event']!r}")
        node = self.made[part.id] = self._node(part.id, "wait", part.name, **facts)
        self._note_boundaries(part, "it sits on a wait")
        self._go_on(part, node)
        return node

    def _finish(self, part: Part) -> str:
        otherwise = "failed" if "errorEventDefinition" in part.events else "completed"
        outcome = verdict(part.name) or slug(part.name, otherwise)
        return self.made.setdefault(part.id, self._end(outcome, part.name, ident=part.id))

    def _end(self, outcome: str, name: str, *, ident: str | None = None) -> str:
        if ident is None:
            found = next((n["id"] for n in self.nodes.values() if n.get("outcome") == outcome), None)
            if found is not None:
                return str(found)
        return self._node(ident or outcome, "terminator", name, outcome=outcome)

    def _next(self, part: Part) -> str:
        """Return where an element leads, through whatever branches there without a gateway."""
        outs = self.flat.outs.get(part.id, [])
        if not outs:
            return self._end("completed", "")
        return self._reach(outs[0].target) if len(outs) == 1 else self._split(part, outs, own=False)

    def _go_on(self, part: Part, node: str) -> None:
        self.todo.append(lambda: self.edges.append({"from": node, "to": self._next(part)}))

    def _branch(self, part: Part) -> str:
        outs = self.flat.outs.get(part.id, [])
        self._note_passed(part)
        if part.kind == "parallelGateway" and len(self.flat.ins.get(part.id, [])) > 1:
            join = self.made[part.id] = self._node(part.id, "join", part.name)
            self._go_on(part, join)
            return join
        if not outs:  # a gateway or a way out that leads nowhere is an end
            return self.made.setdefault(part.id, self._end("completed", ""))
        return self._split(part, outs, own=True)

    def _split(self, part: Part, outs: list[Flow], *, own: bool) -> str:
        if part.kind == "parallelGateway" or (not own and not any(flow.condition for flow in outs)):
            return self._fork(part, outs, own=own)
        return self._decision(part, outs, own=own)

    def _fork(self, part: Part, outs: list[Flow], *, own: bool = False) -> str:
        fork = self._node(part.id if own else f"{part.id}.fork", "fork", part.name if own else "")
        if own:
            self.made[part.id] = fork
        self.todo.append(lambda: self.edges.extend([{"from": fork, "to": self._reach(flow.target)} for flow in outs]))
        return fork

    def _decision(self, part: Part, outs: list[Flow], *, own: bool) -> str:
        ident = part.id if own else f"{part.id}.way"
        node = self._node(ident, "decision", part.name if own else "")
        if own:
            self.made[part.id] = node
        if part.kind in _UNSURE:
            self.assumed(part, "it became a decision: exactly one way is taken")
        conditions = self._conditions(part, outs)

        def lead() -> None:
            for flow in outs:
                told = conditions.get(flow.id)
                edge = {"from": node, "to": self._reach(flow.target)}
                self.edges.append(edge | ({"default": True} if told is None else {"condition": told}))

        self.todo.append(lead)
        return node

    def _conditions(self, part: Part, outs: list[Flow]) -> dict[str, str]:
        """Return a condition for each flow but the default: the file's own, or a choice that the input makes."""
        asked = [flow for flow in outs if flow.id != part.default]
        read = {flow.id: condition_of(flow.condition) if flow.condition else None for flow in asked}
        types: dict[str, str] = {}
        fits = True
        for found in read.values():
            for name, kind in (found or ("", {}))[1].items():
                known = self.variables.get(name, {"type": kind})
                fits = fits and known["type"] == kind and "enum" not in known and types.get(name, kind) == kind
                types[name] = kind
        if fits and all(found is not None for found in read.values()):
            for name, kind in types.items():
                self.variables.setdefault(name, {"name": name, "type": kind, "required": True})
            return {ident: found[0] for ident, found in read.items() if found is not None}
        return self._choice(part, outs, asked)

    def _choice(self, part: Part, outs: list[Flow], asked: list[Flow]) -> dict[str, str]:
        base = slug(part.name, "way", longest=50)
        name = next(text for n in range(1, 1000) if (text := base if n == 1 else f"{base}_{n}") not in self.variables)
        labels: dict[str, str] = {}
        for flow in outs:
            target = self.flat.parts[flow.target]
            label = (flow.name or target.name or flow.id)[:150]
            labels[flow.id] = label if label not in labels.values() else f"{label} ({flow.id[:40]})"
        self.variables[name] = {
            "name": name,
            "type": "string",
            "required": True,
            "enum": list(labels.values()),
            "title": part.name or "Which way",
        }
        self.assumed(part, f"its conditions are not plain enough to take over; the input {name!r} chooses the way")
        return {flow.id: f"{name} == {json.dumps(labels[flow.id], ensure_ascii=False)}" for flow in asked}

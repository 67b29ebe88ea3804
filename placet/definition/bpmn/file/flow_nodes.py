"""The flow nodes of one process, flat: sub-processes and what is in them, and how one leads to the other.

`S.in` and `S.out` stand for the entry to and the exit from a sub-process S. Links are flows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from placet.definition.bpmn.file.reader import File, Flow, Flows, Part
from placet.errors import BlueprintInvalid, Problem
from placet.sentences import sentence

MOST_NODES = 400  # a blueprint has at most 500 nodes, and some become two
JOINING = {"parallelGateway", "inclusiveGateway"}


@dataclass(slots=True, kw_only=True)
class Flat:
    """Parts by id with the flows out of and into each, in the file's order; `entry` is where the process begins.

    A part of kind "pass" does nothing. `level` names the sub-process that a part lies in, "" for the process itself.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    outs: dict[str, list[Flow]] = field(default_factory=dict)
    ins: dict[str, list[Flow]] = field(default_factory=dict)
    boundaries: dict[str, list[Part]] = field(default_factory=dict)  # by what they sit on
    level: dict[str, str] = field(default_factory=dict)
    by_event: list[Part] = field(default_factory=list)  # sub-processes that an event begins
    idle: list[Part] = field(default_factory=list)  # start events beside the one where a level begins
    links: dict[str, str] = field(default_factory=dict)  # from who throws a link to who catches it
    entry: str = ""

    def add(self, flow: Flow) -> None:
        """Add a flow between parts that there are."""
        if flow.source in self.parts and flow.target in self.parts:
            self.outs.setdefault(flow.source, []).append(flow)
            self.ins.setdefault(flow.target, []).append(flow)

    def joins(self, part: Part) -> bool:
        """Whether branches can come together here."""
        return part.kind in JOINING and len(self.ins.get(part.id, [])) > 1

    def following(self, ident: str) -> list[str]:
        """Return what may come next, on the same level: a sub-process counts as one."""
        part = self.parts[ident]
        last = f"{ident}.out" if part.inner is not None else ident
        found = [flow.target for flow in self.outs.get(last, [])]
        return found + [event.id for event in self.boundaries.get(ident, [])]

    def distances(self, start: str, *, around: Collection[str] = ()) -> dict[str, int]:
        """Return how far everything is that can be reached, without going through what is `around`."""
        found = {start: 0}
        pending = deque([start])
        while pending:
            one = pending.popleft()
            if one in around:
                continue
            for target in self.following(one):
                if target not in found:
                    found[target] = found[one] + 1
                    pending.append(target)
        return found

    def before(self, ident: str) -> Iterator[str]:
        """Generate everything from which a part can be reached, the nearest first, inside and outside of its level."""
        seen = {ident}
        pending = deque([ident])
        while pending:
            for source in self._leading(pending.popleft()):
                if source not in seen:
                    seen.add(source)
                    pending.append(source)
                    yield source

    def _leading(self, ident: str) -> list[str]:
        part = self.parts[ident]
        found = [flow.source for flow in self.ins.get(ident, [])]
        if part.kind == "boundaryEvent" and part.attached:
            found.append(part.attached)
        if ident.endswith(".out") and (whole := ident.removesuffix(".out")) in self.parts:
            found += [one for one, level in self.level.items() if level == whole]
        if ident.endswith(".in") and (whole := ident.removesuffix(".in")) in self.parts:
            found.append(whole)
        return [one for one in found if one in self.parts]


def main_process(file: File) -> Flows:
    """Return the process that is meant: the executable one with the most nodes; raises BlueprintInvalid for none."""
    filled = [process for process in file.processes if process.parts]
    if not filled:
        message = "the file holds no process with anything in it; draw one"
        raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))
    return max(filled, key=lambda process: (process.executable, len(process.parts)))


def flatten(process: Flows) -> Flat:
    """Spread a process out; raises BlueprintInvalid where it has more nodes than a blueprint can."""
    flat = Flat()
    _spread(flat, process, "")
    for level in _levels(process):
        for flow in level.flows:
            part = flat.parts.get(flow.source)
            leaves = part is not None and part.inner is not None
            flat.add(_moved(flow, f"{flow.source}.out") if leaves else flow)
        _link(flat, level)
    if len(flat.parts) > MOST_NODES:
        message = sentence(
            "the process has {count} nodes, and {most_nodes} can be imported; split it",
            count=len(flat.parts),
            most_nodes=MOST_NODES,
        )
        raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))
    for level in _levels(process):
        _begin(flat, level, "" if level is process else level.id)
    return flat


def _levels(process: Flows) -> list[Flows]:
    found = [process]
    for part in process.parts.values():
        if part.inner is not None and not _by_event(part):
            found += _levels(part.inner)
    return found


def _by_event(part: Part) -> bool:
    return part.element.get("triggeredByEvent") == "true"


def _spread(flat: Flat, level: Flows, name: str) -> None:
    for ident, part in level.parts.items():
        if part.inner is not None and _by_event(part):
            flat.by_event.append(part)
            continue
        if part.kind == "boundaryEvent":
            flat.boundaries.setdefault(part.attached or "", []).append(part)
        flat.parts[ident] = part
        flat.level[ident] = name
        if part.inner is not None:
            _pass(flat, f"{ident}.out", name)
            _spread(flat, part.inner, ident)


def _pass(flat: Flat, ident: str, level: str) -> None:
    flat.parts[ident] = Part(id=ident, kind="pass", name="", element=Element("pass"))
    flat.level[ident] = level


def _link(flat: Flat, level: Flows) -> None:
    """Lead from the events that throw a link to the one that catches it."""
    caught = {p.link or p.name: p for p in level.parts.values() if _links(p, "intermediateCatchEvent")}
    for part in level.parts.values():
        if _links(part, "intermediateThrowEvent") and (to := caught.get(part.link or part.name)) is not None:
            flat.links[part.id] = to.id
            flat.add(Flow(id="", name="", source=part.id, target=to.id))


def _links(part: Part, kind: str) -> bool:
    return part.kind == kind and "linkEventDefinition" in part.events


def _begin(flat: Flat, level: Flows, name: str) -> None:
    """Lead into a level where it begins: its start event, else everything that nothing leads to, all at once."""
    starts = [part for part in level.parts.values() if part.kind == "startEvent" and part.id in flat.parts]
    if starts:
        first, *others = sorted(starts, key=lambda part: len(part.events))
        flat.idle += others
        entries = [first.id]
    else:
        parts = [part for part in level.parts.values() if part.id in flat.parts]
        free = [p.id for p in parts if not flat.ins.get(p.id) and p.kind != "boundaryEvent"]
        entries = free or [part.id for part in parts][:1]
    if not name and len(entries) == 1:
        flat.entry = entries[0]
        return
    entry = f"{name}.in" if name else "start"
    _pass(flat, entry, name)
    for ident in entries:
        flat.add(Flow(id="", name="", source=entry, target=ident))
    if not name:
        flat.entry = entry


def _moved(flow: Flow, source: str) -> Flow:
    return Flow(id=flow.id, name=flow.name, source=source, target=flow.target, condition=flow.condition)

"""The flow nodes of one process, flat: embedded sub-processes are spread out, each with a way in and a way out."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from placet.bpmn.reader import File, Flow, Flows, Part
from placet.errors import BlueprintInvalid, Problem

_MOST = 400  # a blueprint has at most 500 nodes, and some become two


@dataclass(slots=True, kw_only=True)
class Flat:
    """Parts by id with the flows out of and into each, in the file's order; `entry` is where it begins.

    A part of kind "pass" does nothing: it stands for a way into or out of a sub-process.
    """

    parts: dict[str, Part] = field(default_factory=dict)
    outs: dict[str, list[Flow]] = field(default_factory=dict)
    ins: dict[str, list[Flow]] = field(default_factory=dict)
    boundaries: dict[str, list[Part]] = field(default_factory=dict)  # by what they sit on
    entries: list[str] = field(default_factory=list)

    def add(self, flow: Flow) -> None:
        """Add a flow between parts that there are."""
        if flow.source in self.parts and flow.target in self.parts:
            self.outs.setdefault(flow.source, []).append(flow)
            self.ins.setdefault(flow.target, []).append(flow)


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
    _spread(flat, process)
    flows = [flow for level in _levels(process) for flow in level.flows]
    for flow in flows:
        part = flat.parts.get(flow.source)
        leaves = part is not None and part.inner is not None
        flat.add(_moved(flow, source=f"{flow.source}.out") if leaves else flow)
    for level in _levels(process):
        if level is not process:
            _connect(flat, level)
    if len(flat.parts) > _MOST:
        message = f"the process has {len(flat.parts)} nodes, and {_MOST} can be imported; split it"
        raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))
    flat.entries = _entries(flat, process)
    return flat


def _levels(process: Flows) -> list[Flows]:
    found = [process]
    for part in process.parts.values():
        if part.inner is not None and not _by_event(part):
            found += _levels(part.inner)
    return found


def _by_event(part: Part) -> bool:
    return part.element.get("triggeredByEvent") == "true"


def _spread(flat: Flat, level: Flows) -> None:
    for ident, part in level.parts.items():
        if part.kind == "boundaryEvent":
            flat.boundaries.setdefault(part.attached or "", []).append(part)
        if part.inner is not None and _by_event(part):
            continue
        flat.parts[ident] = part
        if part.inner is not None:
            flat.parts[f"{ident}.out"] = Part(id=f"{ident}.out", kind="pass", name="", element=Element("pass"))
            _spread(flat, part.inner)


def _connect(flat: Flat, level: Flows) -> None:
    """Lead into a sub-process where it begins, and out of it where it ends."""
    for ident in _entries(flat, level):
        flat.add(Flow(id=f"{level.id}.in.{ident}", name="", source=level.id, target=ident))
    for ident, part in level.parts.items():
        if part.kind == "boundaryEvent" or ident not in flat.parts:
            continue
        last = f"{ident}.out" if part.inner is not None else ident
        if not flat.outs.get(last):
            flat.add(Flow(id=f"{last}.end", name="", source=last, target=f"{level.id}.out"))
    for part in level.parts.values():
        # Its ends end the sub-process, not the request; an end with an event of its own still says that it does.
        if part.kind in {"startEvent", "endEvent"} and part.id in flat.parts:
            part.kind = "pass" if not part.events else part.kind


def _entries(flat: Flat, level: Flows) -> list[str]:
    """Return where a level begins: its start events, plain ones first, else whatever nothing leads to."""
    starts = [part for part in level.parts.values() if part.kind == "startEvent"]
    if starts:
        return [part.id for part in sorted(starts, key=lambda part: len(part.events))][:1]
    free = [
        ident
        for ident, part in level.parts.items()
        if ident in flat.parts and not flat.ins.get(ident) and part.kind != "boundaryEvent"
    ]
    return free or [ident for ident in level.parts if ident in flat.parts][:1]


def _moved(flow: Flow, *, source: str) -> Flow:
    return Flow(id=flow.id, name=flow.name, source=source, target=flow.target, condition=flow.condition)

"""Read a BPMN 2.0 file within bounds: no document type, no entities, no external resources."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from placet.errors import BlueprintInvalid, Problem
from placet.sentences import sentence, shortened

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
LONGEST = 2_000_000  # bytes
MOST_ELEMENTS = 20_000
DEEPEST = 60
_LONGEST_TEXT = 4000
CONTAINERS = {"process", "subProcess", "transaction", "adHocSubProcess"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A sequence flow."""

    id: str
    name: str
    source: str
    target: str
    condition: str | None = None


@dataclass(slots=True, kw_only=True)
class Part:
    """One flow node: `kind` is its element's name, `events` those of its event definitions, `inner` a sub-process's.

    `link` is the name that a link event leads to or comes from, `thrown` the error or escalation that it refers to.
    """

    id: str
    kind: str
    name: str
    element: Element
    events: tuple[str, ...] = ()
    default: str | None = None
    attached: str | None = None  # what a boundary event sits on
    interrupting: bool = True
    lane: str | None = None
    link: str | None = None
    thrown: str | None = None
    inner: Flows | None = None


@dataclass(slots=True, kw_only=True)
class Flows:
    """What a process or sub-process holds, in the order of the file."""

    id: str
    name: str
    executable: bool = False
    parts: dict[str, Part] = field(default_factory=dict)
    flows: list[Flow] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What a file holds: its processes, and where each shape is drawn (x, y)."""

    root: Element
    processes: tuple[Flows, ...]
    places: dict[str, tuple[float, float]]


def read_bpmn(content: bytes) -> File:
    """Return what a BPMN file holds; raises BlueprintInvalid for what is no BPMN, or is too much."""
    root = parse(content)
    if root.tag != f"{{{MODEL}}}definitions":
        _refuse(sentence("this is no BPMN 2.0 file: its root is not `definitions` of {model}", model=MODEL))
    pools = {
        pool.get("processRef", ""): _name(pool)
        for pool in root.iter(f"{{{MODEL}}}participant")
        if pool.get("processRef")
    }
    processes = tuple(_flows(element, pools, set()) for element in root.findall(f"{{{MODEL}}}process"))
    return File(root=root, processes=processes, places=_places(root))


def flow_id(element: Element) -> str:
    """Return the id of a sequence flow, which vendors leave out."""
    return element.get("id") or f"{element.get('sourceRef', '')}->{element.get('targetRef', '')}"


def tag(element: Element) -> str:
    """Return an element's name without its namespace; "" for one that is not BPMN's own."""
    space, _, name = str(element.tag).rpartition("}")
    return name if space == f"{{{MODEL}" else ""


def texts(element: Element, *names: str) -> Iterator[str]:
    """Find the texts of elements anywhere inside, by name and in any namespace."""
    for inner in element.iter():
        text = (inner.text or "").strip()
        if text and str(inner.tag).rpartition("}")[2] in names:
            yield text[:_LONGEST_TEXT]


def children(element: Element, *names: str) -> Iterator[Element]:
    """Find elements anywhere inside, by name and in any namespace."""
    for inner in element.iter():
        if str(inner.tag).rpartition("}")[2] in names:
            yield inner


def setting(part: Part, *names: str) -> str | None:
    """Return the first of these attributes that a task or one of its vendor's extensions has."""
    found = attribute(part.element, *names)
    for extensions in part.element:
        for inner in extensions.iter() if found is None and tag(extensions) == "extensionElements" else ():
            found = found or attribute(inner, *names)
    return found


def attribute(element: Element, *names: str) -> str | None:
    """Return the first attribute of these names that is set, in any namespace: vendors have their own."""
    for name in names:
        for key, value in element.attrib.items():
            if key.rpartition("}")[2] == name and value.strip():
                return value.strip()[:_LONGEST_TEXT]
    return None


def parse(content: bytes) -> Element:
    """Return the root of an XML file; raises BlueprintInvalid for what is none, or is too much."""
    if len(content) > LONGEST:
        _refuse(sentence("the file is longer than {longest} bytes; leave out what is only drawn", longest=LONGEST))
    depth = count = 0
    root: Element | None = None
    try:
        # Element by element, so that what is too much is not built first.
        for event, element in iterparse(io.BytesIO(content), events=("start", "end"), forbid_dtd=True):
            if event == "end":
                depth -= 1
                continue
            root = element if root is None else root
            depth, count = depth + 1, count + 1
            if depth > DEEPEST or count > MOST_ELEMENTS:
                _refuse(
                    sentence(
                        "the file is nested deeper than {deepest} levels or has more than {most_elements} elements",
                        deepest=DEEPEST,
                        most_elements=MOST_ELEMENTS,
                    )
                )
    except DefusedXmlException as error:
        message = "the file declares a document type or entities; remove the declaration"
        raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),)) from error
    except (ParseError, ValueError, LookupError) as error:
        message = shortened(sentence("this is no XML: {error}", error=str(error)), 300)
        raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),)) from error
    if root is None:
        _refuse("this is no XML: it is empty")
    return root


def _flows(element: Element, pools: dict[str, str], seen: set[str]) -> Flows:
    found = Flows(
        id=element.get("id", ""),
        name=_name(element) or pools.get(element.get("id", ""), ""),
        executable=element.get("isExecutable") == "true",
    )
    for child in element:
        kind, ident = tag(child), child.get("id", "")
        if kind == "sequenceFlow":
            condition = next(iter(texts(child, "conditionExpression")), None)
            ends = (child.get("sourceRef", ""), child.get("targetRef", ""))
            flow = Flow(id=flow_id(child), name=_name(child), source=ends[0], target=ends[1], condition=condition)
            found.flows.append(flow)
        elif kind.endswith(("Task", "Event", "Gateway", "Activity")) or kind in {"task", *CONTAINERS}:
            if not ident or ident in seen:
                _refuse(
                    sentence(
                        "the id {ident!r} of a {kind} is missing or used twice; give each its own",
                        ident=ident,
                        kind=kind,
                    )
                )
            seen.add(ident)
            found.parts[ident] = _part(child, kind, ident, seen)
    lanes = {
        (ref.text or "").strip(): _name(lane)
        for lane in element.iter(f"{{{MODEL}}}lane")
        for ref in lane.findall(f"{{{MODEL}}}flowNodeRef")
        if _name(lane)
    }
    for ident, part in found.parts.items():
        part.lane = lanes.get(ident)
    return found


def _part(element: Element, kind: str, ident: str, seen: set[str]) -> Part:
    return Part(
        id=ident,
        kind=kind,
        name=_name(element),
        element=element,
        events=tuple(tag(child) for child in element if tag(child).endswith("EventDefinition")),
        default=element.get("default"),
        attached=element.get("attachedToRef"),
        link=next((_name(child) for child in element if tag(child) == "linkEventDefinition"), None),
        thrown=next(
            (ref for child in element for ref in (child.get("errorRef"), child.get("escalationRef")) if ref), None
        ),
        interrupting=element.get("cancelActivity", "true") != "false",
        inner=_flows(element, {}, seen) if kind in CONTAINERS else None,
    )


def _name(element: Element) -> str:
    return " ".join((element.get("name") or "").split())[:200]


def _places(root: Element) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for shape in root.iter():
        drawn = shape.get("bpmnElement")
        if drawn is None or not str(shape.tag).endswith("}BPMNShape"):
            continue
        for bounds in shape:
            try:
                x, y = float(bounds.get("x", "")), float(bounds.get("y", ""))
            except ValueError:
                continue
            if abs(x) < 1e7 and abs(y) < 1e7:
                found[drawn] = (x, y)
    return found


def _refuse(message: str) -> NoReturn:
    raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))

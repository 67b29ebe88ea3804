"""The blueprint while it is being built: its nodes and edges, and what each element of the file became.

A request is in a context: the branches of forks and the sub-processes that it is in, the innermost last. An element
that is come to in two branches becomes two nodes, for in BPMN it is carried out twice.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from placet.definition.action_spec import ActionSpec
from placet.definition.bpmn.dmn.reader import DmnDecisions
from placet.definition.bpmn.elements.form_fields import Field
from placet.definition.bpmn.file.flow_nodes import Flat
from placet.definition.bpmn.file.reader import Flow, Part
from placet.definition.bpmn.file.scope import Scope
from placet.definition.bpmn.file.terms import without_offset
from placet.definition.bpmn.remarks import ImportRemarks
from placet.errors import BlueprintInvalid, Problem
from placet.sentences import sentence

SET = "set_variables"  # the action that sets variables, or does nothing where nothing is said
_MOST_NODES = 480
_MOST_STEPS = 300
_MOST_VARIABLES = 190


class BranchFrame(NamedTuple):
    """A branch of a fork (its node, and which of its branches), or a sub-process (branch -1) that a request is in."""

    name: str
    branch: int


Context = tuple[BranchFrame, ...]


@dataclass(slots=True, kw_only=True)
class Arrival:
    """A branch that ends: `stub` stands for where it arrives, `outcomes` are those of the ends that lead here."""

    stub: str
    branch: int
    outcome: str
    inner: list[Arrival] = field(default_factory=list)  # of a fork that lies in this branch

    def leaves(self) -> list[Arrival]:
        """Return the ends themselves."""
        return [leaf for one in self.inner for leaf in one.leaves()] if self.inner else [self]


@dataclass(slots=True, kw_only=True)
class Fork:
    """A fork that is made: where its branches come together, or how each of them ends."""

    node: str
    part: Part
    context: Context
    branches: int
    closing: str | None  # the gateway at which the branches come together
    join: str | None = None  # the node of that gateway
    raced: bool = False  # whether the first branch to arrive ends the others
    stop: str | None = None  # the join at which one branch ends the others of its sub-process
    leads_to: str | None = None  # the gateway of an outer fork that its branches lead to
    arrivals: list[Arrival] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ImportedStage:
    """An approval: what its people fill in, of which decisions read `wanted`, in the order they were asked for."""

    part: Part
    node: str
    step: dict[str, Any]
    fields: dict[str, Field] = field(default_factory=dict)  # by the blueprint's names of their variables
    wanted: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Build:
    """The shared data of building one blueprint."""

    flat: Flat
    account: ImportRemarks
    root: Element
    places: Mapping[str, tuple[float, float]]
    actions: Mapping[str, ActionSpec]
    processes: Collection[str]
    types: Mapping[str, str] = field(default_factory=dict)  # of the file's items
    forms: Mapping[str, str] = field(default_factory=dict)  # embedded ones
    rules: DmnDecisions = field(default_factory=DmnDecisions)
    starters: frozenset[str] = frozenset()
    given: set[str] = field(default_factory=set)  # what somebody or something in the file fills in, as it spells it
    asked: dict[str, bool] = field(default_factory=dict)  # what the requester fills in: whether it has to be
    at_start: set[str] = field(default_factory=set)  # what of this the file asks before the first approval
    verdicts: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)  # see prepare
    scope: Scope = field(default_factory=Scope)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: list[dict[str, Any]] = field(default_factory=list)  # "via": the flow in the file
    steps: list[dict[str, Any]] = field(default_factory=list)
    stages: list[ImportedStage] = field(default_factory=list)
    made: dict[tuple[str, Context], str] = field(default_factory=dict)
    forks: dict[str, Fork] = field(default_factory=dict)
    decides: dict[str, str] = field(default_factory=dict)  # by decision: the element whose conditions it asks
    guards: set[str] = field(default_factory=set)  # decisions that only ask whether some condition of a fork holds
    instead: dict[str, str] = field(default_factory=dict)  # what stands for a stub
    ahead: dict[str, str] = field(default_factory=dict)  # what is come to before a fork
    declared: dict[str, dict[str, Any]] = field(default_factory=dict)  # facts of variables beside their types
    filled: set[str] = field(default_factory=set)  # variables that the process sets
    read: dict[str, None] = field(default_factory=dict)  # variables that the blueprint reads
    readers: dict[str, str] = field(default_factory=dict)  # by variable: the element that reads it first
    # What follows nodes that are made. A queue, not recursion: a process may be longer than the stack is deep.
    todo: deque[Callable[[], None]] = field(default_factory=deque)

    def node(self, ident: str, kind: str, name: str = "", **facts: Any) -> str:
        """Add a node with an id like that of the file and return it; raises BlueprintInvalid for too many."""
        if len(self.nodes) >= _MOST_NODES:
            message = sentence("the process becomes more than {most_nodes} nodes; split it", most_nodes=_MOST_NODES)
            raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))
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

    def edge(self, source: str, target: str, via: str | None = None, **facts: Any) -> None:
        """Lead from one node to another; `via` is the flow of the file that does."""
        self.edges.append({"from": source, "to": target, **facts, "via": via})

    def end(self, outcome: str, name: str = "", *, ident: str | None = None) -> str:
        """Return the end of the request with an outcome; ends without an element of their own are one."""
        if ident is None:
            found = next((n["id"] for n in self.nodes.values() if n.get("outcome") == outcome), None)
            if found is not None:
                return str(found)
        return self.node(ident or outcome, "terminator", name, outcome=outcome)

    def step(self, part: Part) -> dict[str, Any]:
        """Add a stage that is named as a task is; raises BlueprintInvalid where there are too many."""
        if len(self.steps) >= _MOST_STEPS:
            message = sentence("the process becomes more than {most_steps} stages; split it", most_steps=_MOST_STEPS)
            raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))
        names = {step["stage_name"] for step in self.steps}
        title = part.name or part.id[:200]
        stage = next(text for n in range(1, 1000) if (text := title if n == 1 else f"{title[:190]} ({n})") not in names)
        self.steps.append({"stage_name": stage})
        return self.steps[-1]

    def sets(self, ident: str, values: Mapping[str, Any], target: str, *, name: str = "") -> str:
        """Add an action that sets variables and leads on; returns its node."""
        output = {variable: variable for variable in values}
        node = self.node(ident, "action", name, action=SET, input=dict(values), output=output)
        self.filled.update(values)
        self.read.update(dict.fromkeys(values))
        self.edge(node, target)
        return node

    def fresh(self, name: str, **facts: Any) -> str:
        """Declare a variable of the process's own under a name that is still free, and return that."""
        free = name
        number = 1
        while free in self.scope.spelled or free in self.scope.kinds:
            number += 1
            free = f"{name[:58]}_{number}"
        if len(self.scope.kinds) >= _MOST_VARIABLES:
            message = sentence(
                "the process has more than {most_variables} variables; split it", most_variables=_MOST_VARIABLES
            )
            raise BlueprintInvalid(message, problems=(Problem(pointer="/bpmn", message=message),))
        self.scope.declare(free, facts.get("type", "string"))
        self.declared[free] = facts
        self.read[free] = None
        return free

    def told_offset(self, ident: str, text: str) -> None:
        """Say that a moment without an offset, in what an element says, is in UTC."""
        if without_offset(text):
            self.account.assumed(
                ident, "a moment without an offset is taken as UTC; the file's engine may mean another"
            )

    def along(self, flow: Flow) -> None:
        """Record that an edge of the blueprint follows a flow."""
        if flow.id:
            self.account.mapped(
                flow.id,
                sentence(
                    "it leads from {source!r} to {target!r}",
                    source=flow.source.removesuffix(".out"),
                    target=flow.target,
                ),
            )

    def stage_of(self, part: Part) -> ImportedStage | None:
        """Return the stage that was made last of a task."""
        return next((stage for stage in reversed(self.stages) if stage.part is part), None)

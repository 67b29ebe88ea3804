"""Process: the blueprint that a history is mined for, as miners ask it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from placet.definition.model import ProcessDefinition, parse_definition
from placet.definition.steps import Quorum, Step, WeightedApprover
from placet.definition.variables import Variable
from placet.nodes.registry import NODE_TYPES
from placet.plan.compiler import chain


@dataclass(frozen=True)
class Process:
    """A blueprint's document, and what it says."""

    document: Mapping[str, Any]
    definition: ProcessDefinition

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Process:
        """Read a blueprint; raises BlueprintInvalid."""
        return cls(document, parse_definition(document))

    @property
    def name(self) -> str:
        """Return the name of the template."""
        return self.definition.name

    @cached_property
    def steps(self) -> dict[str, tuple[int, Step]]:
        """Return the stages by name, each with its place in the document."""
        return {step.stage_name: (place, step) for place, step in enumerate(self.definition.process_steps)}

    @cached_property
    def graph(self) -> dict[str, Any]:
        """Return the graph as JSON; that of the chain where the document has none."""
        if self.definition.graph_spec is not None:
            return dict(self.document["graph_spec"])
        return chain(self.definition).model_dump(mode="json", by_alias=True, exclude_unset=True)

    @property
    def is_chain(self) -> bool:
        """Whether the stages follow each other without a graph."""
        return self.definition.graph_spec is None

    def node_of(self, stage: str) -> str | None:
        """Return the one node of a stage; None where it has none or several."""
        found = [node["id"] for node in self.graph["nodes"] if node.get("step") == stage]
        return found[0] if len(found) == 1 else None

    def node(self, name: str) -> Mapping[str, Any]:
        """Return a node by its id."""
        return next(node for node in self.graph["nodes"] if node["id"] == name)

    def after_approval(self, node: str) -> str | None:
        """Return where an approved stage leads; where the blueprint leaves that out, an end of that outcome."""
        leads = [edge["to"] for edge in self._from(node) if edge.get("on") in {None, "approved"}]
        if leads:
            return str(leads[0])
        ends = (one["id"] for one in self.graph["nodes"] if one.get("outcome") == "approved")
        return next(ends, None)

    def ends_unless_approved(self, node: str) -> bool:
        """Whether everything but an approval leads to an end of the request."""
        return all(
            NODE_TYPES[self.node(edge["to"])["type"]].ends
            for edge in self._from(node)
            if edge.get("on") not in {None, "approved"}
        )

    def into(self, node: str) -> list[int]:
        """Return the places of the edges that lead to a node."""
        return [place for place, edge in enumerate(self.graph["edges"]) if edge["to"] == node]

    def _from(self, node: str) -> list[Mapping[str, Any]]:
        return [edge for edge in self.graph["edges"] if edge["from"] == node]

    def asks_for_more_than_a_decision(self, stage: str) -> bool:
        """Whether somebody has to give something that no rule can: a form, a signature, a value for a variable."""
        _, step = self.steps[stage]
        node = self.node_of(stage)
        return step.form is not None or step.sign is not None or (node is not None and "output" in self.node(node))

    @cached_property
    def inputs(self) -> tuple[Variable, ...]:
        """Return the variables that the requester gives and nothing in the process sets."""
        computed = {name for node in self.graph["nodes"] for name in node.get("output") or ()}
        return tuple(variable for variable in self.definition.variables if variable.name not in computed)

    def target_hours(self, stage: str) -> float | None:
        """Return the SLA of a stage in hours of the calendar."""
        _, step = self.steps[stage]
        return step.sla.target_hours if step.sla is not None else step.sla_hours

    def needed(self, stage: str, seats: int) -> int:
        """Return how many of so many seats have to approve; by weight: all, since no task says what its seat weighs."""
        quorum = self.steps[stage][1].quorum
        if quorum == "any":
            return 1
        if not isinstance(quorum, Quorum) or quorum.weight is not None:
            return seats
        return quorum.at_least if quorum.at_least is not None else math.ceil(seats * (quorum.percent or 100) / 100)

    def entries(self, stage: str) -> list[str]:
        """Return the names of the approvers of a stage, in their order; an expression stands as it is written."""
        return [
            one if isinstance(one, str) else one.who if isinstance(one, WeightedApprover) else one.expr
            for one in self.steps[stage][1].approvers
        ]

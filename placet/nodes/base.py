"""What every type of node has: its shape in a blueprint, and how it is compiled.

A type of node is one module here: the model of what is written, and a `NodeType` that says everything else about it.
placet.nodes.registry names them all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Generic, TypeVar

from pydantic import Field

from placet.actions import ActionSpec
from placet.conditions import Expression, Scope, compile_condition
from placet.definition.steps import SeparationOfDuties, Settings, Step
from placet.errors import ConditionInvalid, Problem
from placet.fields import Condition, Identifier, Model, Outcome, Title
from placet.formats import OnChange
from placet.pointer import pointer_to
from placet.points import Point, Way
from placet.shapes import Name

# A field of what came back: its name, or a JSON Pointer to one further inside.
Source = Annotated[str, Field(min_length=1, max_length=300)]
Outputs = Annotated[dict[Name, Source], Field(max_length=100)]


class BaseNode(Model):
    """What every node of a blueprint has: an id, a place in the drawing, and a name to show."""

    id: Identifier
    x: Annotated[float, Field(allow_inf_nan=False)] | None = None
    y: Annotated[float, Field(allow_inf_nan=False)] | None = None
    name: Title | None = None


class EdgeDefinition(Model):
    """A way from one node to another: `on` what a node came to, or under a decision's `condition`."""

    source: Annotated[Identifier, Field(alias="from")]
    target: Annotated[Identifier, Field(alias="to")]
    on: Outcome | None = None
    condition: Condition | None = None
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerContext:
    """What the nodes of one blueprint are compiled with; faults are added to `problems`.

    `children` are the names of the variables of each process that a sub-process node may refer to, by reference.
    """

    start: datetime
    settings: Settings
    duties: SeparationOfDuties  # of every stage that does not say otherwise
    on_change: OnChange
    process_steps: tuple[Step, ...]
    scope: Scope
    ids: frozenset[str]
    actions: Mapping[str, ActionSpec]
    children: Mapping[str, frozenset[str]]
    problems: list[Problem]

    def refuse(self, pointer: str, message: str) -> None:
        """Note a fault."""
        self.problems.append(Problem(pointer=pointer, message=message))

    def step(self, name: str) -> tuple[int, Step] | None:
        """Return the process step with this stage name, and its index; None where there is none."""
        return next(((n, step) for n, step in enumerate(self.process_steps) if step.stage_name == name), None)

    def require_variables(self, output: Mapping[str, str], here: str) -> None:
        """Refuse an `output` that sets what is no variable; `here` is the pointer of its node."""
        for variable in output:
            if variable not in self.scope:
                message = f"there is no variable {variable!r}; declare it, or set another"
                self.refuse(pointer_to(f"{here}/output", variable), message)


# The outgoing edges of a node as they are written, each with its index in the blueprint.
Written = Sequence[tuple[int, EdgeDefinition]]
D = TypeVar("D", bound=BaseNode)


class NodeType(ABC, Generic[D]):
    """One type of node: everything that the rest of the code knows about it."""

    kind: ClassVar[str]  # the `type` of its shape
    begins: ClassVar[bool] = False  # requests begin at it
    has_results: ClassVar[bool]  # it comes to a result, and its edges say on which they are taken
    has_conditions: ClassVar[bool]  # its edges carry conditions

    @abstractmethod
    def compile(self, context: CompilerContext, definition: D, here: str, written: Written) -> Point | None:
        """Compile a node that stands at the pointer `here`, with its outgoing edges; None where it cannot be."""

    def compile_ways(
        self, context: CompilerContext, written: Written, *, chooses: bool | None = None
    ) -> tuple[Way, ...]:
        """Compile the outgoing edges. With `chooses`, by default as `has_conditions`, each needs its condition."""
        wanted = self.has_conditions if chooses is None else chooses
        return tuple(self._way(context, f"/graph_spec/edges/{index}", one, wanted) for index, one in written)

    def _way(self, context: CompilerContext, here: str, one: EdgeDefinition, chooses: bool) -> Way:
        compiled: Expression | None = None
        if one.condition is not None:
            if not self.has_conditions:
                context.refuse(f"{here}/condition", "only the edges of a decision carry a condition; remove it")
            elif chooses:
                try:
                    compiled = compile_condition(one.condition, context.scope)
                except ConditionInvalid as error:
                    context.refuse(f"{here}/condition", error.message)
        elif chooses and not one.default:
            context.refuse(here, 'an edge of a decision needs a "condition", or "default": true')
        if one.on is not None and not self.has_results:
            message = 'only the edges of an approval, action, wait or sub-process carry "on"; remove it'
            context.refuse(f"{here}/on", message)
        return Way(target=one.target, on=one.on, condition=compiled, default=one.default)

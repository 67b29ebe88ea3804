"""Sub-process: another process, run as a request of its own, whose outcome is waited for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from placet.fields import PlainObject, Title
from placet.fillings import compile_filling
from placet.nodes.base import BaseNode, CompilerContext, NodeType, Written
from placet.pointer import pointer_to
from placet.points import Errand, Point
from placet.shapes import Name


class SubprocessNode(BaseNode):
    """Another process, run as a request of its own; its outcome decides the way on."""

    type: Literal["subprocess"]
    template: Title
    version: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    input: PlainObject = Field(default_factory=dict)
    output: Annotated[dict[Name, Name], Field(max_length=100)] = Field(default_factory=dict)

    @property
    def reference(self) -> str:
        """Return what it refers to: a process's name, or name@version."""
        return self.template if self.version is None else f"{self.template}@{self.version}"


class SubprocessType(NodeType[SubprocessNode]):
    """Starts a request of another process, and comes to that request's outcome."""

    kind = "subprocess"
    has_results = True
    has_conditions = False

    def compile(self, context: CompilerContext, definition: SubprocessNode, here: str, written: Written) -> Point:
        """Compile its input, and hold the names on both sides to the other process's variables."""
        ways = self.compile_ways(context, written)
        context.require_variables(definition.output, here)
        filling = compile_filling(definition.input, context.scope, f"{here}/input", context.problems)
        named = definition.reference
        variables = context.children.get(named)
        if variables is None:
            message = (
                f"no process {named!r} is published that can run here, without this one inside; publish it, or name "
                "another"
            )
            context.refuse(f"{here}/template", message)
        else:
            places = [(pointer_to(f"{here}/input", name), name) for name in definition.input]
            places += [(pointer_to(f"{here}/output", to), name) for to, name in definition.output.items()]
            for pointer, name in places:
                if name not in variables:
                    context.refuse(pointer, f"{named!r} has no variable {name!r}; mend the name")
        errand = Errand(name=named, input=filling, output=dict(definition.output))
        return Point(id=definition.id, type=self.kind, ways=ways, errand=errand)

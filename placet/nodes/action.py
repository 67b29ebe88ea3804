"""Action: a run of something out of the action catalog, whose result is waited for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from placet.actions import ActionSpec
from placet.definition.steps import SeparationOfDuties, Step
from placet.fields import LONGEST_TITLE, PlainObject, Title
from placet.fillings import compile_filling
from placet.nodes.approval import stage_of
from placet.nodes.base import BaseNode, CompilerContext, NodeType, Outputs, Written
from placet.pointer import pointer_to
from placet.points import Errand, Point, Seating, Stage


class ActionNode(BaseNode):
    """A run of a catalog action: `{"expr": …}` in `input` is computed, `output` sets variables from what comes back.

    Where the request is changed and comes here again with another input, an action that is not idempotent asks the
    owner before it runs again; with `rerun` it does not.
    """

    type: Literal["action"]
    action: Title
    input: PlainObject = Field(default_factory=dict)
    output: Outputs = Field(default_factory=dict)
    rerun: bool = False


class ActionType(NodeType[ActionNode]):
    """Has an action run, and comes to `done` or `failed`."""

    kind = "action"
    has_results = True
    has_conditions = False

    def compile(self, context: CompilerContext, definition: ActionNode, here: str, written: Written) -> Point:
        """Compile its input, and hold the names of its parameters to the catalog."""
        ways = self.compile_ways(context, written)
        context.require_variables(definition.output, here)
        filling = compile_filling(definition.input, context.scope, f"{here}/input", context.problems)
        spec = context.actions.get(definition.action)
        if spec is None:
            known = ", ".join(sorted(context.actions)[:20]) or "none"
            message = f"there is no action {definition.action!r} in the catalog; there are: {known}"
            context.refuse(f"{here}/action", message)
        else:
            _require_parameters(context, definition, spec, here)
        return Point(
            id=definition.id,
            type=self.kind,
            ways=ways,
            errand=Errand(name=definition.action, input=filling, output=dict(definition.output)),
            repetition=_repetition(context, definition, spec),
        )


def _require_parameters(context: CompilerContext, definition: ActionNode, spec: ActionSpec, here: str) -> None:
    """Hold the names of an action's parameters to its input schema; the values are known when it runs."""
    known = spec.input_schema.get("properties")
    if isinstance(known, dict) and spec.input_schema.get("additionalProperties") is False:
        for name in definition.input:
            if name not in known:
                names = ", ".join(known) or "none"
                message = f"{definition.action!r} takes no {name!r}; it takes: {names}"
                context.refuse(pointer_to(f"{here}/input", name), message)
    for name in spec.input_schema.get("required", ()):
        if name not in definition.input:
            context.refuse(f"{here}/input", f"{definition.action!r} needs {name!r}; add it")


def _repetition(context: CompilerContext, definition: ActionNode, spec: ActionSpec | None) -> Stage | None:
    """Return the stage in which the owner says whether what must not be done twice is done again."""
    if spec is None or spec.is_idempotent or definition.rerun or context.on_change != "restart":
        return None
    step = Step(
        stage_name=f"Run {definition.action} again"[:LONGEST_TITLE],
        approvers=("owner",),
        separation_of_duties=SeparationOfDuties(repeat="allow"),
    )
    return stage_of(context, step, (Seating(who="owner"),))

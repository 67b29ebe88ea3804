"""A plan: a process definition compiled for one request. It is immutable and complete.

Everything that could change later (holidays, time-zone rules, the action catalog, other processes, the blueprint
itself) is frozen in here, so that a replay years from now computes the same deadlines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any

from pydantic import model_validator

from placet.definition.action_spec import ActionSpec
from placet.definition.assignees import AssigneeName, parse_assignee
from placet.definition.formats import STORED, OnChange
from placet.definition.formats.upgrades import upgraded_plan
from placet.definition.variables import Variable
from placet.expressions import Expression
from placet.expressions.moments import Offsets
from placet.frozen import stored_as
from placet.plan.calendar import Calendar
from placet.plan.graph import Node, Stage, approval_stages
from placet.plan.pure_actions import is_pure


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A blueprint compiled for a run. `actions` and `children` are those that its nodes name, as they were then."""

    name: str
    version: str
    digest: str  # sha256 of the blueprint's canonical JSON
    owner: str | None  # a name, see placet.definition.assignees
    start: str  # id of the trigger
    nodes: Annotated[dict[str, Node], stored_as("points")]
    calendar: Calendar
    variables: tuple[Variable, ...]
    max_rounds: int
    jitter: timedelta
    actions: dict[str, ActionSpec] = field(default_factory=dict)  # by name
    children: dict[str, Child] = field(default_factory=dict)  # by reference: name, or name@version
    format: int  # of the blueprint's language; see placet.definition.formats
    rules: int  # of the core, which its requests follow to their end
    on_change: OnChange
    immaterial: tuple[str, ...] = ()  # variables whose change leaves approvals as they are
    require_revision: bool = False
    offsets: Offsets = ()  # of the time zone, where an expression needs it
    stored_format: int = STORED

    @model_validator(mode="before")
    @classmethod
    def _current(cls, raw: Any) -> Any:
        return upgraded_plan(raw)

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Return every expression of the process."""
        return tuple(expression for node in self.nodes.values() for expression in node.expressions)

    @cached_property
    def names(self) -> tuple[AssigneeName, ...]:
        """Return every name that the plan may have to look up in the directory."""
        texts = {name for node in self.nodes.values() for name in node.names}
        if self.owner:
            texts.add(self.owner)
        return tuple(parse_assignee(t) for t in sorted(texts))

    @cached_property
    def people_variables(self) -> tuple[str, ...]:
        """Return the variables that name people, in order."""
        return tuple(sorted({who.root.name for who in self.names if who.root.given}))

    def asked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of an input that names people."""
        return {name: given[name] for name in self.people_variables if name in given}

    @cached_property
    def compares_loads(self) -> bool:
        """Tell whether a task goes to whom has the fewest open ones."""
        return any(stage.least_loaded for stage in self.stages)

    @cached_property
    def reads(self) -> frozenset[str]:
        """Return the variables that a condition, a computed value or the choice of an approver depends on."""
        return frozenset({*self.people_variables, *(name for one in self.expressions for name in one.names)})

    @cached_property
    def growing_expressions(self) -> int:
        """Count the expressions whose work grows with the length of their values."""
        return sum(expression.work_grows_with_values for expression in self.expressions)

    @cached_property
    def set_outside(self) -> frozenset[str]:
        """Return the variables that are set from outside: by forms, events, sub-processes, and actions that are not
        pure.
        """
        found: set[str] = set()
        for node in self.nodes.values():
            action = self.actions.get(node.calls) if node.calls is not None else None
            if action is None or not is_pure(action):
                found |= node.sources.keys()
        return frozenset(found)

    @cached_property
    def stages_by_node(self) -> dict[str, Stage]:
        """Return the approval stages by the ids of their nodes, in the order of these."""
        return approval_stages(self.nodes)

    @property
    def stages(self) -> list[Stage]:
        """List the approval stages in the order of their nodes."""
        return list(self.stages_by_node.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Another process that a sub-process node runs: a published version, compiled."""

    template_id: str
    plan: Plan

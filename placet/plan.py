"""A plan: a blueprint compiled for one request, immutable and fully resolved, what a run starts with.

Everything that could change later (holidays, time-zone rules, the action catalog, other processes, the blueprint
itself) is frozen in here, so that a replay years from now computes the same deadlines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from placet.actions import ActionSpec
from placet.calendar import Calendar
from placet.conditions import Expression
from placet.formats import OnChange
from placet.points import (
    Errand,
    Filling,
    Final,
    Frame,
    Join,
    Level,
    Need,
    Pause,
    Point,
    Repeat,
    Seating,
    Stage,
    Way,
)
from placet.pure import is_pure
from placet.variables import Variable
from placet.who import Who, parse_who
from placet.zones import Offsets

__all__ = [
    "Child",
    "Errand",
    "Filling",
    "Final",
    "Frame",
    "Join",
    "Level",
    "Need",
    "Pause",
    "Plan",
    "Point",
    "Repeat",
    "Seating",
    "Stage",
    "Way",
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A blueprint compiled for a run. `actions` and `children` are those that its nodes name, as they were then."""

    name: str
    version: str
    digest: str  # sha256 of the blueprint's canonical JSON
    owner: str | None  # a name, see placet.who
    start: str  # id of the trigger
    points: dict[str, Point]
    calendar: Calendar
    variables: tuple[Variable, ...]
    max_rounds: int
    jitter: timedelta
    actions: dict[str, ActionSpec] = field(default_factory=dict)  # by name
    children: dict[str, Child] = field(default_factory=dict)  # by reference: name, or name@version
    format: int = 1  # of the blueprint's language; plans from before there were formats have no number
    on_change: OnChange | None = None  # None only in format 1: `upgraded` says what that means
    immaterial: tuple[str, ...] = ()  # variables whose change leaves approvals as they are
    require_revision: bool = False
    offsets: Offsets = ()  # of the time zone, where an expression needs it
    rules: int = 1  # of the core, which its requests follow to their end; see placet.formats

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """Every expression of the process."""
        found: list[Expression | None] = []
        for point in self.points.values():
            found += [way.condition for way in point.ways]
            found += list(point.errand.input.expressions.values()) if point.errand is not None else []
            found += [point.pause.until] if point.pause is not None else []
            found += [seating.when for seating in point.stage.approvers] if point.stage is not None else []
        return tuple(expression for expression in found if expression is not None)

    @cached_property
    def names(self) -> tuple[Who, ...]:
        """Every name the plan can need people for."""
        texts = {s.who for p in self.points.values() if p.stage for s in p.stage.approvers}
        texts |= {lv.to for p in self.points.values() if p.stage for lv in p.stage.levels}
        if self.owner:
            texts.add(self.owner)
        return tuple(parse_who(t) for t in sorted(texts))

    @cached_property
    def naming(self) -> tuple[str, ...]:
        """The variables that name people, in order."""
        return tuple(sorted({who.root.name for who in self.names if who.root.given}))

    def asked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of an input that names people."""
        return {name: given[name] for name in self.naming if name in given}

    @cached_property
    def reads(self) -> frozenset[str]:
        """The variables that anything in the process depends on: a condition, a computed value, an approver."""
        return frozenset({*self.naming, *(name for one in self.expressions for name in one.names)})

    @cached_property
    def heavy(self) -> int:
        """How many of its expressions take the longer, the longer a value is."""
        return sum(expression.heavy for expression in self.expressions)

    @cached_property
    def set_outside(self) -> frozenset[str]:
        """The variables that answers from outside set: forms, events, sub-processes, actions that are not pure."""
        found: set[str] = set()
        for point in self.points.values():
            errand = point.errand
            if errand is not None and not (errand.name in self.actions and is_pure(self.actions[errand.name])):
                found |= errand.output.keys()
            found |= point.pause.output.keys() if point.pause is not None else point.output.keys()
        return frozenset(found)

    @property
    def stages(self) -> list[Stage]:
        """List the approval stages in the order of their nodes."""
        return [p.stage for p in self.points.values() if p.stage is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """Another process that a sub-process node runs: a published version, compiled."""

    template_id: str
    plan: Plan

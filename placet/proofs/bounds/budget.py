"""Budget: whether a request stays within the limits of the engine in the worst case.

Temporal allows 51,200 events and 50 MB in a history and 2 MB in one payload. A run continues as new when the server
suggests it (at 4,096 events or 4 MB), so the state that it passes on and the events of one moment have to fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from placet.definition.variables.shapes import MAX_ITEMS, MAX_LENGTH, Shape
from placet.plan.graph import Stage
from placet.plan.plan import Plan
from placet.proofs.draft import Draft
from placet.proofs.findings import Finding, warning
from placet.proofs.people.approvers import most_seats
from placet.sentences import sentence

PAYLOAD = 2_000_000  # bytes

SEATS = 20  # of a stage whose roles or groups leave their number open
INPUT = 1_000_000  # bytes: the API takes no longer body
TASK = 1_500  # bytes of one task without what people write, with its people's ids
WRITTEN = 10_000  # bytes of a comment
EVENTS_OF_A_MOMENT = 10  # timer, workflow task, directory, recording, update
MOMENTS_OF_A_TASK = 12  # opened, claimed, delegated, reassigned, extended, decided, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBudget:
    """The worst case of one request. `moments` and `events` are None where reminders go on without end."""

    tasks: int
    moments: int | None
    events: int | None
    state_bytes: int
    input_bytes: int

    def described(self) -> dict[str, Any]:
        """Return the budget as JSON values."""
        return {
            "tasks": self.tasks,
            "moments": self.moments,
            "events": self.events,
            "state_bytes": self.state_bytes,
            "input_bytes": self.input_bytes,
        }


def budget_of(draft: Draft, plan: Plan, loops: Mapping[frozenset[str], int] = MappingProxyType({})) -> EngineBudget:
    """Return the worst case of a compiled blueprint; `loops` are those with a bound, each with the most rounds."""
    rounds_of = {name: rounds for group, rounds in loops.items() for name in group}
    stages = [(stage, _seats(draft, name) * rounds_of.get(name, 1)) for name, stage in plan.stages_by_node.items()]
    most = max((seats for _, seats in stages), default=0)
    passes = plan.max_rounds if plan.on_change == "restart" else 1  # from the first node
    rounds = plan.max_rounds - passes  # of the largest stage alone
    tasks = sum(seats for _, seats in stages) * passes + most * rounds
    moments = [_moments(stage) for stage, _ in stages]
    total: int | None = None
    if None not in moments:
        known = [m for m in moments if m is not None]
        total = sum(m * seats for m, (_, seats) in zip(known, stages, strict=True)) * passes
        total += max(known, default=0) * most * rounds + 2 * plan.max_rounds
    declared = sum(_bytes(variable) + len(variable.name) + 6 for variable in plan.variables)
    taken = min(declared, INPUT)
    writers = [min(seats, _writers(stage)) for stage, seats in stages]
    comments = sum(writers) * passes + max(writers, default=0) * rounds
    return EngineBudget(
        tasks=tasks,
        moments=total,
        events=None if total is None else total * EVENTS_OF_A_MOMENT,
        state_bytes=taken + tasks * TASK + comments * WRITTEN,
        input_bytes=taken,
    )


def budget_findings(budget: EngineBudget) -> list[Finding]:
    """Report where the worst case exceeds the limits of the engine."""
    if budget.state_bytes <= PAYLOAD:
        return []
    message = sentence(
        "at worst a request's state takes {state_bytes:,} bytes, and the engine carries "
        "{payload:,} at once; ask for shorter input (max_length), fewer seats or rounds, or "
        "split the process",
        state_bytes=budget.state_bytes,
        payload=PAYLOAD,
    )
    return [warning("engine_budget", "", message)]


def _seats(draft: Draft, name: str) -> int:
    step = draft.nodes[name].step
    seats = most_seats(step) if step is not None else 0
    return SEATS if seats is None else max(seats, 1)


def _writers(stage: Stage) -> int:
    """Return the number of decisions after which a stage is settled at the latest."""
    settles = stage.rejection == "any" and stage.need.kind in {"any", "at_least"}
    return int(stage.need.value) if settles else SEATS


def _moments(stage: Stage) -> int | None:
    """Count the moments at which one task has something due; None where its reminders never end."""
    repeats = stage.remind_every is not None or (stage.sla is not None and stage.final == "wait")
    if stage.sla is None:
        return None if repeats else MOMENTS_OF_A_TASK
    if stage.final == "wait":
        return None
    levels = len(stage.levels) + (32 if stage.to_the_top else 0)
    chain = (stage.levels[-1].after + stage.re_escalate_after * (levels + 1)) if stage.levels else timedelta(0)
    reminders = 0 if stage.remind_every is None else int((stage.sla + chain) / stage.remind_every) + 1
    return MOMENTS_OF_A_TASK + 2 + levels + 1 + len(stage.remind_before) + reminders


def _bytes(shape: Shape) -> int:
    """Estimate the longest JSON text of a shape's values, one byte a character."""
    if shape.type == "list" and shape.items is not None:
        most = MAX_ITEMS if shape.max_length is None else shape.max_length
        return 2 + most * (_bytes(shape.items) + 1)
    if shape.type == "object":
        return 2 + sum(len(name) + 4 + _bytes(inner) for name, inner in (shape.properties or {}).items())
    if shape.type != "string":
        return 90
    if shape.enum is not None:
        return 2 + max(len(str(choice)) for choice in shape.enum)
    return 2 + (MAX_LENGTH if shape.max_length is None else shape.max_length)

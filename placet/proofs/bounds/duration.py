"""Duration: how long a request takes in the worst case, in working hours of its calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from placet.nodes.registry import type_at
from placet.plan.graph import Node, Stage
from placet.plan.plan import Plan
from placet.proofs.draft import Draft
from placet.proofs.findings import Finding, warning
from placet.proofs.people.approvers import most_seats
from placet.proofs.structure.graph import components, cycles
from placet.sentences import sentence

LONGEST_CHAIN = 32  # managers above one person, as placet.directory counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """The worst case: the longest path through the stages, and the time of each further round of changes.

    A round takes the same path again where a change sends the request to its first node, else the longest stage.

    `total` is None where some stage has no end of its own; `way` names the nodes that it was measured along.
    """

    total: timedelta | None
    edge: tuple[str, ...] = ()
    endless: tuple[str, ...] = ()  # stages and waits without an end


def stage_time(stage: Stage, managers: int = LONGEST_CHAIN) -> timedelta | None:
    """Return how long one task of a stage stays open at most; None where nothing ends it.

    `managers` is the longest chain of managers above anybody.
    """
    if stage.sla is None or stage.final == "wait":
        return None
    chain = timedelta(0)
    if stage.levels:
        above = managers if stage.to_the_top else 0
        chain = stage.levels[-1].after + stage.re_escalate_after * (1 + above)
    return stage.sla + chain + (stage.undo or timedelta(0))


def duration_of(
    draft: Draft, plan: Plan, managers: int = LONGEST_CHAIN, loops: Mapping[frozenset[str], int] = MappingProxyType({})
) -> Duration:
    """Return the worst case of a compiled blueprint; time that the requester takes for changes does not count.

    `loops` are those with a bound, each with the most rounds: all of its nodes count for each of them.
    """
    reached = {name for name in draft.nodes if name in plan.nodes}
    times = {name: _node_time(draft, plan.nodes[name], managers) for name in reached}
    endless = tuple(dict.fromkeys(_stage_name(plan, name) for name in draft.nodes if times.get(name, 0) is None))
    if endless or any(frozenset(group) not in loops for group in cycles(draft)):
        return Duration(total=None, endless=endless)
    longest: dict[str, tuple[timedelta, tuple[str, ...]]] = {}
    for group in components(draft):  # those that a node leads to come before it
        inside = frozenset(group)
        onward = (
            draft_edge.target
            for name in group
            for draft_edge in draft.nodes[name].edges
            if draft_edge.target not in inside
        )
        rest, edge = max((longest[t] for t in onward), key=lambda found: found[0], default=(timedelta(0), ()))
        once = sum((times.get(name) or timedelta(0) for name in group), timedelta(0)) * loops.get(inside, 1)
        for name in group:
            longest[name] = (once + rest, (*sorted(group, key=lambda one: one != name), *edge))
    total, edge = longest[plan.start]
    once = max((t for t in times.values() if t is not None), default=timedelta(0))
    again = (total if plan.on_change == "restart" else once) * (plan.max_rounds - 1)
    return Duration(total=total + again, edge=edge)


def duration_findings(draft: Draft, duration: Duration) -> list[Finding]:
    """Report the stages that may wait without end."""
    if not duration.endless:
        return []
    named = ", ".join(repr(name) for name in duration.endless[:10]) + (
        " and more" if len(duration.endless) > 10 else ""
    )
    message = sentence(
        "the worst-case total time is unbounded, because nothing ends the wait at {named}; give "
        'an SLA with a "final" rule other than "wait", or a timeout',
        named=named,
    )
    first = duration.endless[0]
    return [warning("unbounded_time", draft.steps.get(first) or draft.nodes[first].pointer, message)]


def undo_findings(draft: Draft) -> list[Finding]:
    """Report the stages whose decisions stand only after their deadline."""
    found: list[Finding] = []
    for step in draft.definition.process_steps:
        hours = step.sla.target_hours if step.sla is not None else step.sla_hours
        if hours is not None and step.undo_seconds > hours * 3600:
            message = sentence(
                "a decision can be undone for {undo_seconds:g} seconds, longer than the deadline of "
                "{hours:g} hours, and until then the stage neither goes on nor breaches; give fewer "
                "seconds",
                undo_seconds=step.undo_seconds,
                hours=hours,
            )
            found.append(warning("undo_outlasts_deadline", f"{draft.place(step)}/undo_seconds", message))
    return found


def _stage_name(plan: Plan, name: str) -> str:
    stage = plan.stages_by_node.get(name)
    return stage.name if stage is not None else name


def _node_time(draft: Draft, node: Node, managers: int) -> timedelta | None:
    """Return a node's time; in a sequence one seat's begins when the one before has decided."""

    def of_stage(stage: Stage) -> timedelta | None:
        one, step = stage_time(stage, managers), draft.nodes[node.id].step
        if one is None or stage.order == "parallel":
            return one
        seats = most_seats(step) if step is not None else None
        return None if seats is None else one * seats

    return type_at(node).longest(node, of_stage)

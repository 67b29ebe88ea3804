"""Joins that go on before anybody in the other branches can act."""

from __future__ import annotations

from collections.abc import Iterator

from placet.nodes.registry import type_at
from placet.plan.graph import Join, Node
from placet.plan.plan import Plan
from placet.proofs.draft import Draft
from placet.proofs.findings import Finding, warning
from placet.sentences import sentence


def join_findings(draft: Draft, plan: Plan) -> Iterator[Finding]:
    """Report the nodes that a join never waits for, because enough other branches reach it without delay."""
    for node in plan.nodes.values():
        join = node.join
        if join is None or join.every:
            continue
        fork = plan.nodes[join.fork]
        instant = [edge for edge in join.edges if _instant(plan, fork.edges[edge].target, node.id, frozenset())]
        if len(instant) >= join.need:
            yield from _pointless(draft, plan, node, join, instant)


def _pointless(draft: Draft, plan: Plan, node: Node, join: Join, instant: list[int]) -> Iterator[Finding]:
    """Report the first waiting node of each of the other branches."""
    fork, name = plan.nodes[join.fork], node.id
    quick = ", ".join(repr(fork.edges[edge].target) for edge in instant)
    for edge in range(len(fork.edges)):
        first = None if edge in instant else _first_pause(plan, fork.edges[edge].target, name)
        if first is not None:
            message = sentence(
                "nobody waits for {first!r}: the branch of {id!r} through {quick} comes to {name!r} at "
                "once, and {need} of {count} is enough there; let it need all, or put something to wait "
                "for into that branch",
                first=first,
                id=fork.id,
                quick=quick,
                name=name,
                need=join.need,
                count=len(join.edges),
            )
            yield warning("pointless_branch", draft.nodes[first].pointer, message)


def _instant(plan: Plan, name: str, join: str, passed: frozenset[str]) -> bool:
    """Say whether every path from a node reaches the join without waiting."""
    if name == join:
        return True
    node = plan.nodes[name]
    node_type = type_at(node)
    if name in passed or node_type.pauses or node_type.splits or not node.edges:
        return False
    return all(_instant(plan, edge.target, join, passed | {name}) for edge in node.edges)


def _first_pause(plan: Plan, start: str, join: str) -> str | None:
    """Return the first node of a branch that waits."""
    seen: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop(0)
        node = plan.nodes[name]
        if name == join or name in seen:
            continue
        if type_at(node).pauses:
            return name
        seen.add(name)
        pending += [edge.target for edge in node.edges]
    return None

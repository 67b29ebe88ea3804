"""Joins that are passed before anybody in the other branches can act."""

from __future__ import annotations

from collections.abc import Iterator

from placet.check.draft import Draft
from placet.check.findings import Finding, warning
from placet.plan import Plan
from placet.points import Join, Point


def join_findings(draft: Draft, plan: Plan) -> Iterator[Finding]:
    """Name the stages and other nodes that a join never waits for: enough branches come to it without any delay."""
    for point in plan.points.values():
        join = point.join
        if join is None or join.every:
            continue
        fork = plan.points[join.fork]
        instant = [way for way in join.ways if _instant(plan, fork.ways[way].target, point.id, frozenset())]
        if len(instant) >= join.need:
            yield from _pointless(draft, plan, point, join, instant)


def _pointless(draft: Draft, plan: Plan, point: Point, join: Join, instant: list[int]) -> Iterator[Finding]:
    """Name what each of the other branches begins with."""
    fork, name = plan.points[join.fork], point.id
    quick = ", ".join(repr(fork.ways[way].target) for way in instant)
    for way in range(len(fork.ways)):
        first = None if way in instant else _first_pause(plan, fork.ways[way].target, name)
        if first is not None:
            message = (
                f"nobody waits for {first!r}: the branch of {fork.id!r} through {quick} comes to {name!r} at once, and "
                f"{join.need} of {len(join.ways)} is enough there; let the join need all, or put something to wait for "
                "into that branch"
            )
            yield warning("pointless_branch", draft.vertices[first].pointer, message)


def _instant(plan: Plan, name: str, join: str, passed: frozenset[str]) -> bool:
    """Whether every way from a node comes to the join without waiting for anybody or anything."""
    if name == join:
        return True
    point = plan.points[name]
    if name in passed or point.type not in {"decision", "join"} or not point.ways:
        return False
    return all(_instant(plan, way.target, join, passed | {name}) for way in point.ways)


def _first_pause(plan: Plan, start: str, join: str) -> str | None:
    """Return the first node of a branch at which something is waited for."""
    seen: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop(0)
        point = plan.points[name]
        if name == join or name in seen:
            continue
        if point.stage is not None or point.errand is not None or point.pause is not None:
            return name
        seen.add(name)
        pending += [way.target for way in point.ways]
    return None

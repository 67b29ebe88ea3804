"""Where a running request is in its process: at a node, or in several branches of a fork at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from placet.engine.state import JoinProgress, State
from placet.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class AtNode:
    """The request waits at a node."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InBranches:
    """The request is in branches of a fork, each by its number: where it is in those that go on, and at which join the
    others have arrived.
    """

    fork: str
    going: tuple[tuple[int, Position], ...]
    arrived: tuple[tuple[str, tuple[int, ...]], ...]


Position = AtNode | InBranches


def position_of(plan: Plan, state: State) -> Position:
    """Return where a request is that has neither ended nor been returned to its requester."""
    places = (state.stages, state.waits, state.actions, state.children)
    return _position(plan, list(dict.fromkeys(one.node for some in places for one in some)), state.joins, 0)


def _position(plan: Plan, nodes: Sequence[str], joins: Sequence[JoinProgress], depth: int) -> Position:
    """Return the position of a request at these nodes, all in the same branches of the first `depth` forks."""
    frames = plan.nodes[nodes[0]].frames
    if len(frames) == depth:
        return AtNode(node=nodes[0])  # outside of further branches it is at one node only
    fork = frames[depth].fork
    inside: dict[int, list[str]] = {}
    for name in nodes:
        inside.setdefault(plan.nodes[name].frames[depth].edge, []).append(name)
    gathering = {join.node: join.arrived for join in joins}
    return InBranches(
        fork=fork,
        going=tuple((edge, _position(plan, inside[edge], joins, depth + 1)) for edge in sorted(inside)),
        arrived=tuple(
            (name, arrived)
            for name, arrived in gathering.items()
            if (join := plan.nodes[name].join) is not None and join.fork == fork
        ),
    )

"""Find the fork branches that each node lies in, and the join that brings them together.

A node lies in at most one branch of each fork, so that a request is at a node at most once. The branches of a fork meet
in one join and nowhere else. A branch is left only through that join or to a terminator. A fork may have a second join,
for branches that end by themselves: that one needs `every` branch. The other join then needs `any`, so that it does not
wait for branches that never arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from placet.nodes.base import Frames
from placet.nodes.registry import type_at
from placet.plan.graph import Frame, Join, Node
from placet.sentences import sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchConflict:
    """A fault in the branches at a node."""

    node: str
    message: str


def with_branches(nodes: Mapping[str, Node], start: str) -> tuple[dict[str, Node], list[BranchConflict]]:
    """Return the nodes with their frames and joins filled in, and the faults; every edge has to lead to a node."""
    found = _walk(nodes, start)
    joins = {name: _join(name, nodes, arrivals, found) for name, arrivals in found.arrivals.items()}
    result = {
        name: replace(node, frames=found.frames.get(name, ()), join=joins.get(name)) for name, node in nodes.items()
    }
    return result, list(found.conflicts.values())


class _BranchAnalysis:
    def __init__(self) -> None:
        self.frames: dict[str, Frames] = {}
        self.arrivals: dict[str, dict[Frame, None]] = {}  # by join, in the order they were found
        self.closes: dict[tuple[str, bool], str] = {}  # (fork, whether of every branch) -> its join
        self.conflicts: dict[str, BranchConflict] = {}

    def refuse(self, node: str, message: str) -> None:
        self.conflicts.setdefault(node, BranchConflict(node=node, message=message))


def _walk(nodes: Mapping[str, Node], start: str) -> _BranchAnalysis:
    found = _BranchAnalysis()
    pending: list[tuple[str, Frames]] = [(start, ())]
    while pending:
        name, frames = pending.pop(0)
        node = nodes[name]
        node_type = type_at(node)
        if node_type.ends:
            found.frames.setdefault(name, ())
            continue
        if node_type.gathers:
            if not frames:
                found.refuse(
                    name,
                    sentence(
                        "no branch of a fork leads to the join {name!r}; add a fork, or remove the join", name=name
                    ),
                )
                continue
            arriving = found.arrivals.setdefault(name, {})
            fork = frames[-1].fork
            if any(frame.fork != fork for frame in arriving):
                others = sorted({frame.fork for frame in arriving} | {fork})
                found.refuse(
                    name,
                    sentence(
                        "branches of different forks ({others}) meet here; give each fork its own join",
                        others=", ".join(others),
                    ),
                )
                continue
            if (refused := _second(found, nodes, fork, name)) is not None:
                found.refuse(name, refused)
                continue
            arriving[frames[-1]] = None
            frames = frames[:-1]
        if name in found.frames:
            if found.frames[name] != frames:
                found.refuse(name, _two_places(name, found.frames[name], frames))
            continue
        found.frames[name] = frames
        for index, edge in enumerate(node.edges):
            inner = (*frames, Frame(fork=name, edge=index)) if node_type.splits else frames
            pending.append((edge.target, inner))
    return found


def _second(found: _BranchAnalysis, nodes: Mapping[str, Node], fork: str, name: str) -> str | None:
    """Return why a fork cannot have this join beside another one; None where it can."""
    declared = nodes[name].join
    every = declared is not None and declared.every
    one = found.closes.setdefault((fork, every), name)
    if one != name:
        return sentence(
            "the branches of {fork!r} already meet in {one!r}; use one join, or nest a fork", fork=fork, one=one
        )
    other = found.closes.get((fork, not every))
    joins = [nodes[one].join for one in (name, other) if one is not None]
    if other is None or any(join is not None and not join.every and join.need == 1 for join in joins):
        return None
    return sentence(
        "the branches of {fork!r} meet in {other!r} too; beside a join of every branch, the other needs any",
        fork=fork,
        other=other,
    )


def _two_places(name: str, one: Frames, other: Frames) -> str:
    forks = [frame.fork for frame in (*one, *other) if (frame in one) != (frame in other)]
    fork = forks[0] if forks else name
    if one and other and len(one) == len(other):
        return sentence(
            "two branches of {fork!r} lead to {name!r}; bring them together in a join first, or give each its own",
            fork=fork,
            name=name,
        )
    return sentence(
        "{name!r} is reached both inside and outside of a branch of {fork!r}; "
        "a branch is left only through its join, or to a terminator",
        name=name,
        fork=fork,
    )


def _join(name: str, nodes: Mapping[str, Node], arrivals: Mapping[Frame, None], found: _BranchAnalysis) -> Join | None:
    declared = nodes[name].join
    if declared is None or not arrivals:
        return None
    edges = tuple(sorted(frame.edge for frame in arrivals))
    fork = next(iter(arrivals)).fork
    if declared.every:
        return Join(fork=fork, edges=edges, need=len(nodes[fork].edges), every=True)
    need = len(edges) if declared.need == 0 else declared.need
    if need > len(edges):
        found.refuse(
            name,
            sentence(
                "{need} branches can never arrive here, only {count} lead to it; lower what it needs",
                need=need,
                count=len(edges),
            ),
        )
    return Join(fork=fork, edges=edges, need=need)

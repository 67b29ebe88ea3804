"""Runs: where a request comes to from an input on, and with what values, as pure actions compute them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import permutations
from typing import TypeAlias

from placet.expressions.templates import as_json
from placet.expressions.types import ZONE
from placet.proofs.draft import Draft, DraftEdge, DraftNode
from placet.proofs.structure.graph import cycles, reached
from placet.proofs.values.pure_nodes import PureNode

Values: TypeAlias = dict[str, object]
Place: TypeAlias = tuple[str, Values]  # a node, and the values with which a request comes to it

_MOST_PLACES = 6_000  # of one run
_MOST_IN_ALL = 150_000
_MOST_ORDERS = 6  # of the branches of a fork
_MOST_TOGETHER = 20  # values with which the branches of a fork come to its join


class Runs:
    """Follow requests through a draft, whatever people decide.

    `taken`: the edges that a node leads to with these values. `changes`: what may be another after a node, besides what
    a pure action sets there.
    """

    def __init__(
        self,
        draft: Draft,
        pure: Mapping[str, PureNode],
        taken: Callable[[DraftNode, Values], list[DraftEdge]],
        changes: Callable[[DraftNode], frozenset[str]],
    ) -> None:
        self.draft = draft
        self.pure = pure
        self.taken = taken
        self.changes = changes
        self._known: dict[str, Values] = {}
        self._after: dict[tuple[str, int], Values | None] = {}
        self._room = _MOST_IN_ALL
        forks = [node for node in draft.nodes.values() if node.splits and any(v.sets for v in draft.nodes.values())]
        self._shared = {fork.id: shared for fork in forks if (shared := self._of(fork))}

    def places(self, starts: Iterable[Place], base: Values | None) -> dict[str, list[Values]]:
        """Return by node the values with which a request comes to it.

        At nodes after which something may be another, it may become what it is in `base`; None: nothing does but
        what is computed.
        """
        found: dict[str, list[Values]] = {}
        self._follow(starts, base, found, ())
        return found

    def _follow(
        self, starts: Iterable[Place], base: Values | None, found: dict[str, list[Values]], until: Collection[str]
    ) -> list[Place]:
        """Follow from some places on, up to nodes at which it stops; returns the places there."""
        pending, seen, stopped = deque(starts), set[tuple[str, int]](), list[Place]()
        while pending and len(seen) < _MOST_PLACES and self._room > 0:
            name, values = pending.popleft()
            if (name, id(values)) in seen:
                continue
            seen.add((name, id(values)))
            self._room -= 1
            node = self.draft.nodes[name]
            if name in until and not node.end:
                stopped.append((name, values))
                continue
            here = found.setdefault(name, [])
            if not any(values is other for other in here):
                here.append(values)
            pending += self._forked(node, values, base, found) if name in self._shared else self._on(node, values, base)
        return stopped

    def _on(self, node: DraftNode, values: Values, base: Values | None) -> Iterator[Place]:
        if node.end:
            return
        edges = self.taken(node, values)
        if node.id in self.pure:
            after = self._computed(node, values)
            edges = [edge for edge in edges if (edge.on in node.in_vain) is (after is None)]
            values = after if after is not None else values
        changed = self.changes(node)
        for edge in edges:
            yield edge.target, values
            if base is not None and (others := changed - node.sets if edge.on in node.in_vain else changed):
                yield edge.target, self._one({**values, **{name: base[name] for name in others if name in base}})

    def _computed(self, node: DraftNode, values: Values) -> Values | None:
        key = (node.id, id(values))
        if key not in self._after:
            after = self.pure[node.id].after(values)
            self._known.setdefault(f"{id(values)}", values)  # kept, so that its identity stays its own
            self._after[key] = None if after is None else self._one(after)
        return self._after[key]

    def _one(self, values: Values) -> Values:
        """Return the one mapping that stands for these values."""
        told = {name: as_json(value) for name, value in values.items() if name != ZONE}
        return self._known.setdefault(json.dumps(told, sort_keys=True), values)

    def _of(self, fork: DraftNode) -> frozenset[str]:
        """Return the nodes that several branches of a fork lead to; none where no branch sets anything by itself."""
        branches = [reached(self.draft, [edge.target]) for edge in fork.edges]
        shared = frozenset(n for number, one in enumerate(branches) for other in branches[:number] for n in one & other)
        alone = [name for branch in branches for name in branch - shared]
        return shared if any(self.draft.nodes[name].sets for name in alone) else frozenset()

    def _forked(
        self, fork: DraftNode, values: Values, base: Values | None, found: dict[str, list[Values]]
    ) -> Iterator[Place]:
        """Go through the branches one after the other, each of them first once, until their join has enough."""
        # What does not wait comes before everything that another branch has waited for.
        until = self._shared[fork.id] | {name for name, node in self.draft.nodes.items() if node.pauses}
        waiting = [
            [name for name, _ in self._follow([(edge.target, values)], base, found, until)] for edge in fork.edges
        ]
        for first in range(min(len(waiting), _MOST_ORDERS)):
            together: list[Place] = [("", values)]
            for count, names in enumerate((*waiting[first:], *waiting[:first]), 1):
                starts = [(name, one) for name in names for _, one in together]
                arrived = self._follow(starts, base, found, self._shared[fork.id])[:_MOST_TOGETHER]
                together = []
                for place in arrived:
                    join = self.draft.nodes[place[0]]
                    if count == (len(fork.edges) if join.gathers else join.needs):
                        yield place
                    else:
                        together.append(place)


def beside(draft: Draft) -> dict[str, frozenset[str]]:
    """Return by node those that may run at the same time, in other branches of a fork; also for the fork itself."""
    found: dict[str, set[str]] = {}
    looping = {name for group in cycles(draft) for name in group}
    for fork in (node for node in draft.nodes.values() if node.splits):
        if fork.id in looping:  # every node of a branch leads to every other
            return dict.fromkeys(draft.nodes, frozenset(draft.nodes))
        branches = [reached(draft, [edge.target]) for edge in fork.edges]
        for one, other in permutations(branches, 2):
            alone = other - one
            found.setdefault(fork.id, set()).update(alone)
            for name in one - other:
                found.setdefault(name, set()).update(alone)
    return {name: frozenset(others) for name, others in found.items()}

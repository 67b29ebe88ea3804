"""Assignment: which variables certainly have a value where a node is come to, and which nodes set the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from placet.check.draft import Arrow, Draft, Vertex
from placet.check.graph import components


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """What is known of variables that an input may leave out.

    `before`: by node, the variables that certainly have a value, on whatever way the node is come to. `setters`: by
    variable, the nodes that set it. A node that sets a variable is trusted to: what an action or event leaves out of
    its output unsets the variable, which nobody can know beforehand.
    """

    before: Mapping[str, frozenset[str]]
    setters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def missing(self, node: str, names: frozenset[str]) -> frozenset[str]:
        """Return those of these variables that may have no value at a node."""
        return names - self.before.get(node, names)

    def why(self, node: str, names: frozenset[str]) -> str:
        """Say which of the variables missing at a node are set by others, and by which: text to add to a message."""
        told = [
            f"{name!r} is set by {' and '.join(map(repr, self.setters[name][:5]))}, which not every way here passes"
            for name in sorted(self.missing(node, names))
            if name in self.setters
        ]
        return f" ({'; '.join(told)})" if told else ""


def assigned(draft: Draft) -> Assigned:
    """Follow the edges from the trigger on until nothing changes."""
    given = frozenset(v.name for v in draft.blueprint.variables if not v.optional)
    every = frozenset(v.name for v in draft.blueprint.variables)
    before = {entry.id: given for entry in draft.entries}
    leading: dict[str, list[Arrow]] = {}
    for arrow in draft.arrows:
        leading.setdefault(arrow.target, []).append(arrow)
    order = [name for group in reversed(components(draft)) for name in group]
    settled = False
    while not settled:
        settled = True
        for name in order:
            vertex = draft.vertices[name]
            arriving = [
                _after(draft.vertices[arrow.source], arrow, before[arrow.source])
                for arrow in leading.get(name, ())
                if arrow.source in before
            ]
            if not arriving or vertex.entry:
                continue
            # A join of all has waited for each of its branches; in a loop nothing is known that does not hold each time
            found = every.intersection(*arriving) if not vertex.gathers else frozenset().union(*arriving)
            if before.get(name) != found:
                before[name] = found
                settled = False
    setters: dict[str, list[str]] = {}
    for vertex in draft.vertices.values():
        for name in vertex.sets:
            setters.setdefault(name, []).append(vertex.id)
    return Assigned(before=before, setters={name: tuple(nodes) for name, nodes in setters.items()})


def _after(vertex: Vertex, arrow: Arrow, before: frozenset[str]) -> frozenset[str]:
    """Return what has a value once a node is left by an edge: what it sets, unless it failed or waited in vain."""
    if vertex.step is not None:
        kept = before - vertex.sets
        return kept | (vertex.asks if arrow.on in {None, "approved"} else vertex.asks & before)
    if arrow.on in {"failed", "timeout", "cancelled", "withdrawn"}:
        return before
    return before | vertex.sets

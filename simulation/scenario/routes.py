"""Routes: the paths through a process, by decision and stage result, each with the constraints on its input.

They begin at the start of the process, or where a running request is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Protocol

from placet.expressions import Expression
from placet.nodes.registry import type_at
from placet.plan.graph import Edge, Frame, Node
from placet.plan.plan import Plan
from simulation.scenario.live_position import AtNode, InBranches, Position
from simulation.scenario.route_variables import is_pure
from simulation.scenario.witnesses import PathConstraint

MOST_BRANCHES = 1000
MOST_VISITS = 2  # of one node on one route
MOST_NODES = 200  # on one route
_Next = str | Position  # a node to enter, or where a running request is


class Witnesses(Protocol):
    """What tells a route whether the constraints on it can be satisfied."""

    @property
    def undecided(self) -> bool:
        """Whether the last search ended without an answer."""

    def find(self, constraints: Sequence[PathConstraint]) -> tuple[dict[str, Any], str] | None:
        """Return an input that satisfies all constraints, and its source; None where there is none."""

    def steps_after(self, steps: tuple[str, ...], node: Node, result: str, /) -> tuple[str, ...]:
        """Return the steps of what follows a node that waited for something and came to this result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFork:
    """A fork whose join the route has not reached: the first nodes of its branches, and of those still to follow."""

    taken: frozenset[str]
    to_come: tuple[_Next, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path through a process: its nodes, the results of those that wait, and the constraints on the input.

    `nodes` lists the branches of a fork one after the other; `open_forks` are the forks without a join so far, the
    innermost last. `joined` lists the joins, each with the first nodes of the branches that arrived. Where a join waits
    for some branches only, nobody decides in the others, the `unused_branches`.
    """

    nodes: tuple[str, ...]
    results: tuple[tuple[str, str], ...] = ()  # (node, result), in the order of `nodes`
    open_forks: tuple[OpenFork, ...] = ()
    joined: tuple[tuple[str, frozenset[str]], ...] = ()
    unused_branches: frozenset[Frame] = frozenset()
    constraints: tuple[PathConstraint, ...] = ()
    steps: tuple[str, ...] = ()  # the nodes whose results constraints depend on, in their order: see Witnesses
    taken: tuple[dict[str, Any], ...] = ()  # at decision nodes: node, target, condition, default
    witness: dict[str, Any] = field(default_factory=dict)
    witness_from: str = "given"
    standing: tuple[str, ...] = ()  # those of `nodes` at which a running request is before it goes on

    @property
    def condition(self) -> str:
        """The path condition as one expression."""
        return (
            " && ".join(
                dict.fromkeys(constraint.text for constraint in self.constraints if constraint.text is not None)
            )
            or "true"
        )


@dataclass(kw_only=True)
class RouteSearch:
    """Search the routes of a plan depth first; afterwards its fields say what was cut and what is infeasible.

    `begin` is where a running request is, by default the start of the process. `spend` is called before each step, and
    may raise an error that ends the search.
    """

    plan: Plan
    witnesses: Witnesses
    most: int = MOST_BRANCHES
    begin: Position | None = None
    spend: Callable[[], None] = lambda: None
    cut_loops: set[str] = field(default_factory=set)
    cut_long: int = 0
    stopped_at: int | None = None
    infeasible: int = 0
    time_dependent: int = 0  # routes that depend on the time, and are not taken now
    unknown: list[str] = field(default_factory=list)

    def routes(self) -> Iterator[Route]:
        """Yield every feasible route, at most `most` of them; `stopped_at` is set where there are more."""
        found = self.witnesses.find(())
        base, source = found if found is not None else ({}, "given")
        nothing = Route(nodes=(), witness=base, witness_from=source)
        waiting = [*reversed(list(self._enter(nothing, self.begin or self.plan.start)))]
        count = 0
        while waiting:
            self.spend()
            route = waiting.pop()
            node = self.plan.nodes.get(route.nodes[-1])
            if node is None or type_at(node).ends:
                if count >= self.most:
                    self.stopped_at = count
                    return
                count += 1
                yield route
                continue
            waiting += reversed(list(self._next_routes(route, node)))

    def _next_routes(self, route: Route, node: Node) -> Iterator[Route]:
        node_type = type_at(node)
        if node_type.has_conditions:
            yield from self._at_decision(route, node)
        elif node_type.splits and node.edges:
            yield from self._at_fork(route, node)
        elif node_type.gathers and route.open_forks:
            *outer, fork = route.open_forks
            need = node.join.need if node.join is not None else 1
            if len(fork.taken) - len(fork.to_come) >= need:
                joined = (*route.joined, (node.id, fork.taken))
                yield from self._enter(route, node.edges[0].target, open_forks=tuple(outer), joined=joined)
            elif fork.to_come:
                rest = replace(fork, to_come=fork.to_come[1:])
                yield from self._enter(route, fork.to_come[0], open_forks=(*outer, rest))
        elif is_pure(self.plan, node):
            yield from self._at_pure_action(route, node)
        elif results := node_type.results(node):
            for result in results:
                edge = node_type.edge_on(node, result)
                come_to = (*route.results, (node.id, result))
                steps = self.witnesses.steps_after(route.steps, node, result)
                yield from self._enter(route, edge.target if edge else f"({result})", results=come_to, steps=steps)
        elif node.edges:
            yield from self._enter(route, node.edges[0].target)

    def _at_fork(self, route: Route, fork: Node) -> Iterator[Route]:
        yield from self._in_branches(route, fork, {n: edge.target for n, edge in enumerate(fork.edges)}, {})

    def _in_branches(
        self, route: Route, fork: Node, going: Mapping[int, _Next], arrived: Mapping[str, tuple[int, ...]]
    ) -> Iterator[Route]:
        """Continue in the branches of a fork: for every set of branches that may arrive first at its join.

        `going` are the branches that go on, each from its place; `arrived` those that are at a join already. A branch
        that leads to no join is a route of its own: it ends the request, or the join ends it.
        """
        joins = [
            (p.join, arrived.get(p.id, ()))
            for p in self.plan.nodes.values()
            if p.join is not None and p.join.fork == fork.id
        ]
        every = range(len(fork.edges))
        arriving = {edge for join, _ in joins for edge in join.edges}
        found = (
            (waiting, chosen)
            for join, waiting in joins
            for chosen in combinations([edge for edge in join.edges if edge in going], join.need - len(waiting))
        )
        choices = [*dict.fromkeys(found), *(((), (edge,)) for edge in going if edge not in arriving)]
        before = {frame for frame in route.unused_branches if frame.fork == fork.id}
        for waiting, chosen in choices:
            unused_branches = {Frame(fork=fork.id, edge=edge) for edge in every if edge not in {*waiting, *chosen}}
            if fork.id in route.nodes[:-1] and before != unused_branches:
                continue  # in a loop the same branches arrive first again
            first, *others = [going[edge] for edge in chosen]
            taken = frozenset(fork.edges[edge].target for edge in (*waiting, *chosen))
            yield from self._enter(
                route,
                first,
                open_forks=(*route.open_forks, OpenFork(taken=taken, to_come=tuple(others))),
                unused_branches=route.unused_branches | unused_branches,
            )

    def _at_pure_action(self, route: Route, node: Node) -> Iterator[Route]:
        """Continue after a pure action: it fails exactly for the inputs for which its computation fails."""
        node_type = type_at(node)
        for result in node_type.results(node):
            steps = (*route.steps, node.id)
            every = (*route.constraints, PathConstraint(wanted=result == "done", steps=steps))
            found = self._find_input(every, f"{node.id} -> {result}")
            if found is None:
                continue
            edge = node_type.edge_on(node, result)
            yield from self._enter(
                route,
                edge.target if edge else f"({result})",
                results=(*route.results, (node.id, result)),
                constraints=every,
                steps=steps if result == "done" else route.steps,
                witness=found[0],
                witness_from=found[1],
            )

    def _find_input(self, constraints: tuple[PathConstraint, ...], edge_text: str) -> tuple[dict[str, Any], str] | None:
        """Return an input that satisfies all constraints, and its source; note where it is proven impossible."""
        found = self.witnesses.find(constraints)
        if found is None and self.witnesses.undecided:
            self.unknown.append(edge_text)
        elif found is None:
            self.infeasible += 1
        return found

    def _at_decision(self, route: Route, node: Node) -> Iterator[Route]:
        before: list[PathConstraint] = []
        for edge in node.edges:
            if edge.condition is None:
                continue
            met = PathConstraint(wanted=True, expression=edge.condition, steps=route.steps)
            yield from self._choose(route, node, edge, [*before, met])
            before.append(replace(met, wanted=False))
        default = next((w for w in node.edges if w.default), None)
        if default is not None:
            yield from self._choose(route, node, default, before)

    def _choose(self, route: Route, node: Node, edge: Edge, constraints: list[PathConstraint]) -> Iterator[Route]:
        known = {constraint.key for constraint in route.constraints}
        every = (*route.constraints, *(constraint for constraint in constraints if constraint.key not in known))
        found = self._find_input(every, f"{node.id} -> {edge.target}")
        if found is None:
            return
        taken = {
            "node": node.id,
            "to": edge.target,
            "condition": edge.condition.source if edge.condition else None,
            "default": edge.condition is None,
        }
        yield from self._enter(
            route, edge.target, constraints=every, taken=(*route.taken, taken), witness=found[0], witness_from=found[1]
        )

    def _enter(self, route: Route, target: _Next, **changes: Any) -> Iterator[Route]:
        if isinstance(target, InBranches):
            fork, arrived = self.plan.nodes[target.fork], dict(target.arrived)
            yield from self._in_branches(replace(route, **changes), fork, dict(target.going), arrived)
            return
        if isinstance(target, AtNode):
            standing = (*route.standing, target.node)
            yield replace(route, nodes=(*route.nodes, target.node), standing=standing, **changes)
            return
        there = self.plan.nodes.get(target)
        joins = there is not None and type_at(there).gathers  # reached once for each branch
        if route.nodes.count(target) >= MOST_VISITS and not joins:
            self.cut_loops.add(target)
            return
        if len(route.nodes) >= MOST_NODES:
            self.cut_long += 1
            return
        yield replace(route, nodes=(*route.nodes, target), **changes)


def conditions_of(plan: Plan) -> list[Expression]:
    """List every condition of a plan."""
    return [edge.condition for node in plan.nodes.values() for edge in node.edges if edge.condition is not None]

"""Routes: the ways through a process, by decision and by stage result, each with what its input must fulfil."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from placet.expressions import Expression
from placet.nodes.registry import type_at
from placet.plan.plan import Edge, Frame, Node, Plan
from simulation.scenario.pure_steps import is_pure
from simulation.scenario.witnesses import Wish, Witnesses

MOST_BRANCHES = 1000
MOST_VISITS = 2  # of one node on one route
MOST_NODES = 200  # on one route


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A fork that a route is in: where the branches begin that it takes, and those of them that are still to come."""

    taken: frozenset[str]
    to_come: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way through: the nodes, what those that wait for somebody or something come to, and the input's wishes.

    `nodes` name the branches of a fork one after the other; `inside` are the forks that it is in, the innermost last.
    `joined` are the joins that it passes, each with where the branches began that arrived. A join that does not wait
    for all takes the first ones; in the others, the `late` ones, nobody acts.
    """

    nodes: tuple[str, ...]
    results: tuple[tuple[str, str], ...] = ()  # (node, result), in the order of `nodes`
    inside: tuple[Inside, ...] = ()
    joined: tuple[tuple[str, frozenset[str]], ...] = ()
    late: frozenset[Frame] = frozenset()
    wishes: tuple[Wish, ...] = ()
    steps: tuple[str, ...] = ()  # the pure actions that have run, in their order
    taken: tuple[dict[str, Any], ...] = ()  # the decisions: node, target, condition, default
    witness: dict[str, Any] = field(default_factory=dict)
    witness_from: str = "given"

    @property
    def condition(self) -> str:
        """The path condition as one expression."""
        return " && ".join(dict.fromkeys(wish.text for wish in self.wishes if wish.text is not None)) or "true"


@dataclass(kw_only=True)
class Ways:
    """The routes of a plan, found depth first; afterwards it says what was cut and what proved impossible."""

    plan: Plan
    witnesses: Witnesses
    most: int = MOST_BRANCHES
    cut_loops: set[str] = field(default_factory=set)
    cut_long: int = 0
    stopped_at: int | None = None
    infeasible: int = 0
    timed: int = 0  # routes that hang on the moment, and do not come about
    unknown: list[str] = field(default_factory=list)

    def routes(self) -> Iterator[Route]:
        """Yield every feasible route; stops after `most` and says so."""
        found = self.witnesses.find(())
        base, came = found if found is not None else ({}, "given")
        waiting = [Route(nodes=(self.plan.start,), witness=base, witness_from=came)]
        count = 0
        while waiting:
            route = waiting.pop()
            node = self.plan.nodes.get(route.nodes[-1])
            if node is None or type_at(node).ends:
                if count >= self.most:
                    self.stopped_at = count
                    return
                count += 1
                yield route
                continue
            waiting += reversed(list(self._onward(route, node)))

    def _onward(self, route: Route, node: Node) -> Iterator[Route]:
        node_type = type_at(node)
        if node_type.has_conditions:
            yield from self._decided(route, node)
        elif node_type.splits and node.edges:
            yield from self._forked(route, node)
        elif node_type.gathers and route.inside:
            *outer, fork = route.inside
            need = node.join.need if node.join is not None else 1
            if len(fork.taken) - len(fork.to_come) >= need:
                joined = (*route.joined, (node.id, fork.taken))
                yield from self._at(route, node.edges[0].target, inside=tuple(outer), joined=joined)
            elif fork.to_come:
                rest = replace(fork, to_come=fork.to_come[1:])
                yield from self._at(route, fork.to_come[0], inside=(*outer, rest))
        elif is_pure(self.plan, node):
            yield from self._computed(route, node)
        elif results := node_type.results(node):
            for result in results:
                edge = node_type.edge_on(node, result)
                come_to = (*route.results, (node.id, result))
                yield from self._at(route, edge.target if edge else f"({result})", results=come_to)
        elif node.edges:
            yield from self._at(route, node.edges[0].target)

    def _forked(self, route: Route, fork: Node) -> Iterator[Route]:
        """Go on in the branches of a fork, for every choice of those that arrive first where its join takes the first.

        A branch that leads to no join is gone by itself: it ends the request, or the join ends it.
        """
        joins = [p.join for p in self.plan.nodes.values() if p.join is not None and p.join.fork == fork.id]
        every = range(len(fork.edges))
        arriving = {edge for join in joins for edge in join.edges}
        choices = [*dict.fromkeys(chosen for join in joins for chosen in combinations(join.edges, join.need))]
        choices += [(edge,) for edge in every if edge not in arriving]
        before = {frame for frame in route.late if frame.fork == fork.id}
        for chosen in choices:
            late = {Frame(fork=fork.id, edge=edge) for edge in every if edge not in chosen}
            if fork.id in route.nodes[:-1] and before != late:
                continue  # in a loop the same branches are first again
            first, *others = [fork.edges[edge].target for edge in chosen]
            inside = Inside(taken=frozenset((first, *others)), to_come=tuple(others))
            yield from self._at(route, first, inside=(*route.inside, inside), late=route.late | late)

    def _computed(self, route: Route, node: Node) -> Iterator[Route]:
        """Go on from a pure action: it fails for those inputs only for which its computation does."""
        node_type = type_at(node)
        for result in node_type.results(node):
            steps = (*route.steps, node.id)
            every = (*route.wishes, Wish(wanted=result == "done", steps=steps))
            found = self._found(every, f"{node.id} -> {result}")
            if found is None:
                continue
            edge = node_type.edge_on(node, result)
            yield from self._at(
                route,
                edge.target if edge else f"({result})",
                results=(*route.results, (node.id, result)),
                wishes=every,
                steps=steps if result == "done" else route.steps,
                witness=found[0],
                witness_from=found[1],
            )

    def _found(self, wishes: tuple[Wish, ...], told: str) -> tuple[dict[str, Any], str] | None:
        """Return an input that grants all wishes; where there is none, note whether that is proven."""
        found = self.witnesses.find(wishes)
        if found is None and self.witnesses.undecided:
            self.unknown.append(told)
        elif found is None:
            self.infeasible += 1
        return found

    def _decided(self, route: Route, node: Node) -> Iterator[Route]:
        before: list[Wish] = []
        for edge in node.edges:
            if edge.condition is None:
                continue
            met = Wish(wanted=True, expression=edge.condition, steps=route.steps)
            yield from self._choose(route, node, edge, [*before, met])
            before.append(replace(met, wanted=False))
        default = next((w for w in node.edges if w.default), None)
        if default is not None:
            yield from self._choose(route, node, default, before)

    def _choose(self, route: Route, node: Node, edge: Edge, wishes: list[Wish]) -> Iterator[Route]:
        known = {wish.key for wish in route.wishes}
        every = (*route.wishes, *(wish for wish in wishes if wish.key not in known))
        found = self._found(every, f"{node.id} -> {edge.target}")
        if found is None:
            return
        taken = {
            "node": node.id,
            "to": edge.target,
            "condition": edge.condition.source if edge.condition else None,
            "default": edge.condition is None,
        }
        yield from self._at(
            route, edge.target, wishes=every, taken=(*route.taken, taken), witness=found[0], witness_from=found[1]
        )

    def _at(self, route: Route, target: str, **changes: Any) -> Iterator[Route]:
        there = self.plan.nodes.get(target)
        joins = there is not None and type_at(there).gathers  # come to once for each branch
        if route.nodes.count(target) >= MOST_VISITS and not joins:
            self.cut_loops.add(target)
            return
        if len(route.nodes) >= MOST_NODES:
            self.cut_long += 1
            return
        kept = {
            "results": route.results,
            "inside": route.inside,
            "joined": route.joined,
            "late": route.late,
            "wishes": route.wishes,
            "steps": route.steps,
            "taken": route.taken,
            "witness": route.witness,
            "witness_from": route.witness_from,
        }
        yield Route(nodes=(*route.nodes, target), **{**kept, **changes})


def conditions_of(plan: Plan) -> list[Expression]:
    """List every condition of a plan."""
    return [edge.condition for node in plan.nodes.values() for edge in node.edges if edge.condition is not None]

"""Fork and join: where a request goes on in several branches at once, and where they come together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Tag

from placet.audit.reasons import because
from placet.definition.fields import Count, Model, shape
from placet.engine.run import Run
from placet.engine.state import JoinProgress
from placet.json_pointer import pointer_to
from placet.nodes.base import (
    BaseNode,
    CompilerContext,
    Continuation,
    Entered,
    Frames,
    MigrationContext,
    PassingType,
    Written,
)
from placet.nodes.facts import FactsContext, NodeFacts
from placet.plan.graph import Frame, Join, Node
from placet.sentences import sentence


class ForkNode(BaseNode):
    """All outgoing edges are taken at once."""

    type: Literal["fork"]


class AtLeast(Model):
    """So many of a join's branches."""

    at_least: Count


Arrivals = Annotated[
    Annotated[Literal["any", "all", "every"], Tag("text")] | Annotated[AtLeast, Tag("object")], Discriminator(shape)
]


class JoinNode(BaseNode):
    """Where the branches of a fork come together: it goes on once as many as it `need`s have arrived.

    `all` are the branches that lead to it, `every` are the fork's, also those that only lead to a terminator: what
    arrives here then has ended without ending the request.
    """

    type: Literal["join"]
    need: Arrivals = "all"


class ForkType(PassingType[ForkNode]):
    """Takes every edge."""

    kind = "fork"
    splits = True

    def compile(self, context: CompilerContext, definition: ForkNode, here: str, written: Written) -> Node:
        """Compile it."""
        return Node(id=definition.id, type=self.kind, edges=self.compile_edges(context, written))

    def enter(self, run: Run, node: Node) -> Entered:
        """Go on in every branch."""
        if not node.edges:
            return self.pass_on(node)
        run.record("forked", node=node.id, to=[edge.target for edge in node.edges])
        return Continuation(
            tuple((w.target, (*node.frames, Frame(fork=node.id, edge=n))) for n, w in enumerate(node.edges))
        )


class JoinType(PassingType[JoinNode]):
    """Waits for branches, and ends those that it did not wait for."""

    kind = "join"
    gathers = True

    def compile(self, context: CompilerContext, definition: JoinNode, here: str, written: Written) -> Node:
        """Compile it; which branches lead to it is known once every node is compiled, and 0 stands for all."""
        edges = self.compile_edges(context, written)
        needed = definition.need
        need = {"all": 0, "every": 0, "any": 1}[needed] if isinstance(needed, str) else needed.at_least
        join = Join(fork="", edges=(), need=need, every=needed == "every")
        return Node(id=definition.id, type=self.kind, edges=edges, join=join)

    def facts(self, definition: JoinNode, context: FactsContext) -> NodeFacts:
        """Tell for how many of those that lead to it it waits."""
        need = definition.need
        if isinstance(need, str):
            return NodeFacts(gathers=need != "any", needs=int(need == "any"))
        return NodeFacts(needs=need.at_least)

    def arrive(self, run: Run, node: Node, branch: Frames) -> bool:
        """Count an arriving branch; the branches that are not waited for end once enough have arrived."""
        join = _join_of(node)
        before = run.joins.get(node.id)
        gathering = JoinProgress(node=node.id, arrived=(*(before.arrived if before else ()), branch[-1].edge))
        run.joins[node.id] = gathering
        if len(gathering.arrived) < join.need:
            return False
        del run.joins[node.id]
        edges = run.node(join.fork).edges
        run.record("joined", node=node.id, arrived=[edges[n].target for n in gathering.arrived], of=len(join.edges))
        for name in list(run.joins):  # those branches too that have ended in the fork's other join
            if _join_of(run.node(name)).fork == join.fork:
                del run.joins[name]
        run.end_part(lambda other: self.closes(node, other.frames), because("branch_not_needed", node=node.id))
        return True

    def closes(self, node: Node, branch: Frames) -> bool:
        """Whether this is a branch of the fork that the join brings together."""
        depth = len(node.frames)
        same = len(branch) > depth and branch[:depth] == node.frames
        return same and branch[depth].fork == _join_of(node).fork

    def enter(self, run: Run, node: Node) -> Entered:
        """Go on."""
        return self.pass_on(node)

    def migrate(self, run: Run, node: Node, move: MigrationContext) -> None:
        """Translate which branches have arrived; their number must not be enough in the other version."""
        after = move.plan.nodes.get(node.id)
        join = after.join if after is not None else None
        fork = move.plan.nodes[join.fork] if join is not None else None
        here = pointer_to("/nodes", node.id)
        if join is None or fork is None or node.join is None:
            move.refuse(
                here,
                sentence(
                    "join {node_id!r} does not exist in that version, and branches have arrived at it", node_id=node.id
                ),
            )
            return
        same = _translated(run.node(node.join.fork), fork, move.moved)
        arrived = tuple(sorted(same.get(index, -1) for index in run.joins[node.id].arrived))
        if len(set(arrived)) < len(arrived) or not set(arrived) <= set(join.edges):
            move.refuse(
                here,
                sentence("branches that have arrived at join {node_id!r} do not lead to it there", node_id=node.id),
            )
        elif len(arrived) >= join.need:
            message = sentence(
                "enough branches have arrived at join {node_id!r} for that version; move it when it has gone on",
                node_id=node.id,
            )
            move.refuse(here, message)
        else:
            run.joins[node.id] = JoinProgress(node=node.id, arrived=arrived)


def _join_of(node: Node) -> Join:
    assert node.join is not None, f"{node.id} is a join that a branch leads to"  # noqa: S101
    return node.join


def _translated(before: Node, after: Node, moved: Mapping[str, str]) -> dict[int, int]:
    """Map the edges of a fork to those of the other version: by their target, then by their position."""
    free = dict(enumerate(edge.target for edge in after.edges))
    same: dict[int, int] = {}
    for n, edge in enumerate(before.edges):
        target = moved.get(edge.target, edge.target)
        there = next((m for m, to in free.items() if to == target), None)
        if there is not None:
            same[n] = there
            del free[there]
    return same | {n: n for n in range(len(before.edges)) if n not in same and n in free}

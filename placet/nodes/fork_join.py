"""Fork and join: where a request goes on in several branches at once, and where they come together again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Tag

from placet.fields import Count, Model, shape
from placet.nodes.base import BaseNode, CompilerContext, Entered, Frames, GoesOn, Move, PassingType, Written
from placet.pointer import pointer_to
from placet.points import Frame, Join, Point
from placet.reasons import because
from placet.run import Run
from placet.state import Gathering


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

    def compile(self, context: CompilerContext, definition: ForkNode, here: str, written: Written) -> Point:
        """Compile it."""
        return Point(id=definition.id, type=self.kind, ways=self.compile_ways(context, written))

    def enter(self, run: Run, point: Point) -> Entered:
        """Go on in every branch."""
        if not point.ways:
            return self.pass_on(point)
        run.record("forked", node=point.id, to=[way.target for way in point.ways])
        return GoesOn(tuple((w.target, (*point.frames, Frame(fork=point.id, way=n))) for n, w in enumerate(point.ways)))


class JoinType(PassingType[JoinNode]):
    """Waits for branches, and ends those that it did not wait for."""

    kind = "join"
    gathers = True

    def compile(self, context: CompilerContext, definition: JoinNode, here: str, written: Written) -> Point:
        """Compile it; which branches lead to it is known once every node is compiled, and 0 stands for all."""
        ways = self.compile_ways(context, written)
        needed = definition.need
        need = {"all": 0, "every": 0, "any": 1}[needed] if isinstance(needed, str) else needed.at_least
        join = Join(fork="", ways=(), need=need, every=needed == "every")
        return Point(id=definition.id, type=self.kind, ways=ways, join=join)

    def arrive(self, run: Run, point: Point, branch: Frames) -> bool:
        """Take a branch in; the branches that are not waited for end once enough have arrived."""
        join = _join_of(point)
        before = run.joins.get(point.id)
        gathering = Gathering(point=point.id, arrived=(*(before.arrived if before else ()), branch[-1].way))
        run.joins[point.id] = gathering
        if len(gathering.arrived) < join.need:
            return False
        del run.joins[point.id]
        ways = run.point(join.fork).ways
        run.record("joined", node=point.id, arrived=[ways[n].target for n in gathering.arrived], of=len(join.ways))
        for name in list(run.joins):  # those branches too that have ended in the fork's other join
            if _join_of(run.point(name)).fork == join.fork:
                del run.joins[name]
        run.abandon(lambda other: self.closes(point, other.frames), because("branch_not_needed", node=point.id))
        return True

    def closes(self, point: Point, branch: Frames) -> bool:
        """Whether this is a branch of the fork that the join brings together."""
        depth = len(point.frames)
        same = len(branch) > depth and branch[:depth] == point.frames
        return same and branch[depth].fork == _join_of(point).fork

    def enter(self, run: Run, point: Point) -> Entered:
        """Go on."""
        return self.pass_on(point)

    def migrate(self, run: Run, point: Point, move: Move) -> None:
        """Translate which branches have arrived; as many as have arrived must not be enough there."""
        after = move.plan.points.get(point.id)
        join = after.join if after is not None else None
        fork = move.plan.points[join.fork] if join is not None else None
        here = pointer_to("/nodes", point.id)
        if join is None or fork is None or point.join is None:
            move.refuse(here, f"join {point.id!r} is gone there, and branches have arrived")
            return
        same = _translated(run.point(point.join.fork), fork, move.moved)
        arrived = tuple(sorted(same.get(index, -1) for index in run.joins[point.id].arrived))
        if len(set(arrived)) < len(arrived) or not set(arrived) <= set(join.ways):
            move.refuse(here, f"branches that have arrived at join {point.id!r} do not lead to it there")
        elif len(arrived) >= join.need:
            message = f"enough branches have arrived at join {point.id!r} for that version; move it when it has gone on"
            move.refuse(here, message)
        else:
            run.joins[point.id] = Gathering(point=point.id, arrived=arrived)


def _join_of(point: Point) -> Join:
    assert point.join is not None, f"{point.id} is a join that a branch leads to"  # noqa: S101
    return point.join


def _translated(before: Point, after: Point, moved: Mapping[str, str]) -> dict[int, int]:
    """Say which way of a fork is which: those that lead to the same node, and of the others those at the same place."""
    free = dict(enumerate(way.target for way in after.ways))
    same: dict[int, int] = {}
    for n, way in enumerate(before.ways):
        target = moved.get(way.target, way.target)
        there = next((m for m, to in free.items() if to == target), None)
        if there is not None:
            same[n] = there
            del free[there]
    return same | {n: n for n in range(len(before.ways)) if n not in same and n in free}

"""Parallel branches: which gateway joins which of them, and what becomes of branches that only end.

A blueprint's forks are nested: all branches of one meet in one join. So branches that meet earlier than the others get
a fork of their own inside. Branches that only end meet in a join that the file does not have: when the last of them has
ended, whatever is around goes on, and the request ends where nothing is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from placet.definition.bpmn.build import Arrival, BranchFrame, Build, Fork
from placet.definition.bpmn.file.reader import Flow, Part
from placet.sentences import every, sentence

if TYPE_CHECKING:
    from placet.definition.bpmn.walk import Walk

Branch = Flow | list["Branch"]  # a flow, or several that meet before they meet the others


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchMerge:
    """How the flows out of a split come together: the gateway where all do (None: nowhere), and which do earlier."""

    closing: str | None
    branches: tuple[Branch, ...]


def meeting_of(build: Build, split: Part, outs: Sequence[Flow]) -> BranchMerge:
    """Find out where branches meet that begin at a split."""
    around = {split.id}
    far = {flow.id or flow.target: build.flat.distances(flow.target, around=around) for flow in outs}
    level = build.flat.level[split.id]
    gates = [
        ident
        for ident, part in build.flat.parts.items()
        if build.flat.joins(part) and ident != split.id and build.flat.level[ident] == level
    ]
    meets = {gate: [key for key in far if gate in far[key]] for gate in gates}
    whole = [gate for gate in gates if len(meets[gate]) == len(far) > 1]
    closing = min(whole, key=lambda gate: sum(far[key][gate] for key in far), default=None)
    if closing is not None:
        far = {flow.id or flow.target: build.flat.distances(flow.target, around={*around, closing}) for flow in outs}
        meets = {gate: [key for key in far if gate in far[key]] for gate in gates if gate != closing}
    groups: list[list[str]] = []
    for gate in sorted(
        meets, key=lambda gate: (-len(meets[gate]), min((far[k][gate] for k in meets[gate]), default=0))
    ):
        keys = meets[gate]
        if 1 < len(keys) < len(far) and not any(set(keys) & set(group) for group in groups):
            groups.append(keys)
    branches: list[Branch] = []
    placed: set[int] = set()
    for flow in outs:
        number = next((n for n, group in enumerate(groups) if (flow.id or flow.target) in group), None)
        if number is None:
            branches.append(flow)
        elif number not in placed:
            placed.add(number)
            branches.append([other for other in outs if (other.id or other.target) in groups[number]])
    return BranchMerge(closing=closing, branches=tuple(branches))


def finish_forks(walk: Walk) -> None:
    """Bring together the branches that have ended, the innermost first, and go on behind them."""
    build = walk.build
    while True:
        walk.run()
        waiting = [fork for fork in build.forks.values() if fork.arrivals]
        if not waiting:
            return
        _gather(walk, max(waiting, key=lambda fork: len(fork.context)))


def _gather(walk: Walk, fork: Fork) -> None:
    build = walk.build
    arrivals, fork.arrivals = fork.arrivals, []
    arriving = {arrival.branch for arrival in arrivals}
    join = fork.join
    if join is None:
        need = "all" if len(arriving) == fork.branches else "every"
        join = fork.join = build.node(f"{fork.part.id}.ended", "join", need=need)
    for arrival in arrivals:
        build.instead[arrival.stub] = join
    outer = fork.context
    if fork.leads_to is not None:
        build.edge(join, walk.reach(fork.leads_to, outer))
    elif outer and outer[-1].branch < 0:
        build.edge(join, walk.reach(f"{outer[-1].name}.out", outer[:-1]))
    elif outer and build.forks[outer[-1].name].closing is None:
        build.edge(join, walk.arrive(outer, fork.part, "", inner=arrivals))
    elif outer:
        build.edge(join, walk.ended(fork.part, outer, _outcomes(arrivals)[0]))
    else:
        build.edge(join, _outcome(build, fork, arrivals))


def _outcome(build: Build, fork: Fork, arrivals: list[Arrival]) -> str:
    """Return the end of a request whose branches have all ended, each with an outcome of its own."""
    outcomes = _outcomes(arrivals)
    if len(outcomes) < 2:
        return build.end(outcomes[0])
    order = sorted(outcomes, key=_rank)
    if not _alternatives(arrivals):
        final = order[0] if order[0] == "rejected" else "completed"
        build.account.assumed(
            fork.part.id,
            sentence(
                "its branches end as {outcomes}; once all have, the request ends as {final}",
                outcomes=every(outcomes),
                final=final,
            ),
        )
        return build.end(final)
    build.account.assumed(
        fork.part.id,
        sentence(
            "the branches have different outcomes; the request ends with the first of {order} that occurred",
            order=", ".join(order),
        ),
    )
    flags = {outcome: build.fresh(f"ended_{outcome}", type="boolean") for outcome in order[:-1]}
    for leaf in [leaf for arrival in arrivals for leaf in arrival.leaves()]:
        if leaf.outcome in flags:
            build.instead[leaf.stub] = build.sets(
                f"{fork.part.id}.{leaf.outcome}", {flags[leaf.outcome]: True}, build.instead[leaf.stub]
            )
    build.ahead[fork.node] = build.sets(f"{fork.part.id}.begins", dict.fromkeys(flags.values(), False), fork.node)
    node = build.node(f"{fork.part.id}.outcome", "decision")
    before = ""
    for outcome, flag in flags.items():
        build.edge(node, build.end(outcome), condition=f"{flag}{before}")
        before += f" && !{flag}"
    build.edge(node, build.end(order[-1]), default=True)
    return node


def _outcomes(arrivals: list[Arrival]) -> list[str]:
    """Return the outcomes of branches that end. One that is not taken has none: some other is, beside it."""
    leaves = [leaf for arrival in arrivals for leaf in arrival.leaves()]
    return list(dict.fromkeys(leaf.outcome for leaf in leaves if leaf.outcome)) or ["completed"]


def _alternatives(arrivals: list[Arrival]) -> bool:
    """Whether a branch can end with more than one outcome."""
    by_branch: dict[int, set[str]] = {}
    for arrival in arrivals:
        if arrival.inner:
            if _alternatives(arrival.inner):
                return True
        else:
            by_branch.setdefault(arrival.branch, set()).add(arrival.outcome)
    return any(len(outcomes) > 1 for outcomes in by_branch.values())


def _rank(outcome: str) -> tuple[int, str]:
    order = {"rejected": 0, "failed": 1, "approved": 8, "completed": 9}
    return order.get(outcome, 5), outcome


def frames_inside(context: tuple[BranchFrame, ...]) -> list[BranchFrame]:
    """Return the forks that a context is in, since it came into its innermost sub-process; the innermost first."""
    found: list[BranchFrame] = []
    for frame in reversed(context):
        if frame.branch < 0:
            break
        found.append(frame)
    return found

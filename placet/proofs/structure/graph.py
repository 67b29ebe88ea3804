"""The graph: nodes that cannot be reached, paths that never end, loops, and edges that are never taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from placet.proofs.draft import Draft, DraftEdge, DraftNode
from placet.proofs.findings import Finding, error, warning
from placet.sentences import sentence

MOST_ROUNDS = 1_000  # of a loop: as often as a request may come to one node (placet.engine.flow)
_NONE: Mapping[frozenset[str], int] = MappingProxyType({})


def graph_findings(draft: Draft, bounded: Mapping[frozenset[str], int] = _NONE) -> list[Finding]:
    """List the findings that the graph alone gives, whatever the conditions; `bounded` are the loops that are known to
    end, each with its most rounds.
    """
    return [
        *_unreachable(draft),
        *_endless(draft),
        *_loops(draft, bounded),
        *(finding for node in draft.nodes.values() for finding in _edges(node)),
        *_unused_steps(draft),
    ]


def reached(draft: Draft, starts: Iterable[str]) -> set[str]:
    """Return every node that edges lead to from these, and these."""
    return _closure(starts, lambda name: [a.target for a in draft.nodes[name].edges])


def ending(draft: Draft) -> set[str]:
    """Return every node from which an end can be reached by edges."""
    before: dict[str, list[str]] = {}
    for edge in draft.edges:
        before.setdefault(edge.target, []).append(edge.source)
    return _closure([v.id for v in draft.nodes.values() if v.end], lambda name: before.get(name, []))


def cycles(draft: Draft) -> list[list[str]]:
    """List the groups of nodes that form loops, each in the order in which they were written."""
    order = {name: index for index, name in enumerate(draft.nodes)}
    return [sorted(group, key=order.__getitem__) for group in components(draft) if _circular(draft, group)]


def components(draft: Draft) -> list[list[str]]:
    """List the strongly connected components, each before those that lead to it (Tarjan, without recursion)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in draft.nodes:
        if root in number:
            continue
        work = [(root, iter(draft.nodes[root].edges))]
        number[root] = low[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while work:
            name, edges = work[-1]
            following = next(edges, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == number[name]:
                    at = stack.index(name)
                    found.append(stack[at:])
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
            elif following.target not in number:
                number[following.target] = low[following.target] = len(number)
                stack.append(following.target)
                on_stack.add(following.target)
                work.append((following.target, iter(draft.nodes[following.target].edges)))
            elif following.target in on_stack:
                low[name] = min(low[name], number[following.target])
    return found


def _closure(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    seen: set[str] = set()
    pending = list(starts)
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(following(name))
    return seen


def _circular(draft: Draft, group: list[str]) -> bool:
    return len(group) > 1 or any(a.target == group[0] for a in draft.nodes[group[0]].edges)


def _unreachable(draft: Draft) -> Iterator[Finding]:
    if not draft.entries:
        return  # the missing trigger is reported; without one nothing would be reachable
    found = reached(draft, [v.id for v in draft.entries])
    for node in draft.nodes.values():
        if node.id not in found:
            message = sentence("nothing leads from the trigger to {id!r}; add an edge to it, or remove it", id=node.id)
            yield error("unreachable_node", node.pointer, message)


def _endless(draft: Draft) -> Iterator[Finding]:
    """Report the nodes where a path gets stuck: the last ones of those that lead to no end."""
    ends = ending(draft)
    for group in components(draft):
        if group[0] in ends or any(a.target not in group for name in group for a in draft.nodes[name].edges):
            continue
        if any(draft.nodes[name].cut for name in group):
            continue  # the dangling edge is reported, and may be the way out
        for name in sorted(group):
            node = draft.nodes[name]
            what = sentence("leads nowhere") if not node.edges else sentence("leads only in circles")
            message = sentence(
                "{name!r} {what}: no path from here reaches a terminator; add an edge that leads to one",
                name=name,
                what=what,
            )
            yield error("endless_path", node.pointer, message)


def _loops(draft: Draft, bounded: Mapping[frozenset[str], int]) -> Iterator[Finding]:
    for group in cycles(draft):
        rounds = bounded.get(frozenset(group))
        if rounds is not None and rounds <= MOST_ROUNDS:
            continue
        named = " -> ".join(group[:8]) + (" -> ..." if len(group) > 8 else "")
        if rounds is not None:
            message = sentence(
                "the loop {named} may take {rounds:,} rounds, and at most {most:,} are allowed; have a decision leave "
                "it at an earlier number, or count in larger steps",
                named=named,
                rounds=rounds,
                most=MOST_ROUNDS,
            )
        elif any(draft.nodes[name].pauses for name in group):
            message = sentence(
                "the loop {named} can repeat without bound; for rework, let approvers request changes "
                "(settings.max_rounds bounds these) and lead this edge to an end; or count the rounds: "
                "in each round an action adds one to a whole number with a known start, and a decision "
                "leaves the loop at a bound",
                named=named,
            )
        else:
            message = sentence(
                "the loop {named} repeats without anybody being asked; remove the edge that leads back", named=named
            )
        yield error("unbounded_loop", draft.nodes[group[0]].pointer, message)


def _edges(node: DraftNode) -> Iterator[Finding]:
    """Check a node's edges: those that are never taken, and results without an edge."""
    if node.end:
        for edge in node.edges:
            message = sentence("{id!r} is an end, so this edge is never taken; remove it", id=node.id)
            yield error("wrong_edge", edge.pointer, message)
        return
    if not node.chooses:
        for edge in node.edges:
            if edge.default:
                message = 'only the edges of a decision carry "default"; remove it'
                yield error("wrong_edge", f"{edge.pointer}/default", message)
    if node.chooses:
        defaults = [a for a in node.edges if a.default and a.text is None]
        yield from _twice(node, defaults, sentence("defaults"))
    elif node.results:
        yield from _results(node)
    elif not node.splits:
        yield from _twice(node, [a for a in node.edges if a.on is None and a.text is None], sentence("plain edges"))


def _results(node: DraftNode) -> Iterator[Finding]:
    for edge in node.edges:
        if edge.on is not None and edge.on not in node.results:
            known = ", ".join(node.results)
            message = sentence(
                "{id!r} never has the result {on!r}; it has {known}", id=node.id, on=edge.on, known=known
            )
            if edge.on == "expired":
                message += sentence(' (expired needs an SLA and "final": "expire")')
            yield error("wrong_edge", f"{edge.pointer}/on", message)
    for result in node.results:
        # A plain edge stands for what is hoped for.
        taken = [a for a in node.edges if a.on == result or (a.on is None and result in node.plain)]
        yield from _twice(node, taken, sentence("edges for {result!r}", result=result))
    if node.edges and not node.cut and not any(a.on in {None, *node.plain} for a in node.edges):
        what = sentence("an approval") if node.step is not None else repr(node.plain[0])
        message = sentence(
            '{id!r} has no edge for {what}; add an edge with "on": "{plain}"',
            id=node.id,
            what=what,
            plain=node.plain[0],
        )
        yield error("gap", node.pointer, message)


def _twice(node: DraftNode, edges: list[DraftEdge], what: str) -> Iterator[Finding]:
    for edge in edges[1:]:
        message = sentence(
            "{node_id!r} has {count} {what}, and only the first is ever taken; keep one",
            node_id=node.id,
            count=len(edges),
            what=what,
        )
        level = warning if edge.target == edges[0].target else error
        yield level("overlap", edge.pointer, message)


def _unused_steps(draft: Draft) -> Iterator[Finding]:
    used = {v.step.stage_name for v in draft.nodes.values() if v.step is not None}
    for name, pointer in draft.steps.items():
        if name not in used:
            message = sentence("no approval node uses the step {name!r}; add a node for it, or remove it", name=name)
            yield warning("unused_step", pointer, message)

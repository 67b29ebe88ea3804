"""Process variables: those that the process sets itself, which nobody has to enter when a request begins."""

from __future__ import annotations

from placet.definition.assignees import parse_assignee
from placet.definition.model import ProcessDefinition
from placet.proofs.draft import Draft, DraftNode, draft_of
from placet.proofs.people.approvers import approvers_of


def process_variables(definition: ProcessDefinition) -> frozenset[str]:
    """Return the variables that a form of a new request leaves out.

    A node sets each of them: an action, an event, a sub-process, or a decision's form. It is neither required nor read
    where no node can have set it yet: there only a requester's value can count.
    """
    draft = draft_of(definition)
    set_by_nodes = {name for node in draft.nodes.values() for name in node.sets}
    found = {variable.name for variable in definition.variables if not variable.required} & set_by_nodes
    if not found:
        return frozenset()
    set_before = _set_before(draft)
    early = {name for node in draft.nodes.values() for name in _reads(node) - set_before.get(node.id, frozenset())}
    return frozenset(found - early)


def _set_before(draft: Draft) -> dict[str, frozenset[str]]:
    """Return by node what may have been set when it is entered, on one path or another; only for what is reached."""
    known = {node.id: frozenset[str]() for node in draft.entries}
    pending = list(known)
    while pending:
        node = draft.nodes[pending.pop()]
        after = known[node.id] | node.sets
        for edge in node.edges:
            before = known.get(edge.target)
            if before is None or not after <= before:
                known[edge.target] = after | (before or frozenset())
                pending.append(edge.target)
    return known


def _reads(node: DraftNode) -> set[str]:
    """Return the variables that a node reads as it is entered, or to choose its edge."""
    expressions = [one.expression for one in (*node.computes, *node.guards)]
    expressions += [edge.condition for edge in node.edges if edge.condition is not None]
    found = {name for expression in expressions for name in expression.names}
    people = [parse_assignee(name) for _, name in node.names]
    if node.step is not None:
        people += [who for _, who in approvers_of(node.step, "")]
    return found | {who.root.name for who in people if who.root.given and who.root.name is not None}

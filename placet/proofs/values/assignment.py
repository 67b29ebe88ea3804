"""Assignment: which variables certainly have a value when a node is entered, and which nodes set the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from placet.definition.action_spec import ActionSpec
from placet.expressions.templates import expression_of, value_from
from placet.json_pointer import parts_of
from placet.nodes.facts import NamedAction, NamedProcess
from placet.nodes.registry import type_of
from placet.plan.plan import Child
from placet.plan.pure_actions import is_pure
from placet.proofs.draft import Draft, DraftEdge, DraftNode
from placet.proofs.findings import Finding, warning
from placet.proofs.people.approvers import names_of
from placet.proofs.structure.graph import components
from placet.sentences import every, joined, sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedVariables:
    """The knowledge about variables that an input may leave out.

    `before`: by node, the variables that certainly have a value, on every path to the node. `setters`: by variable, the
    nodes that set it. What an answer leaves out unsets its variable: an action is trusted where its output_schema
    requires the value, or where it computes it, a sub-process where its variable always has a value. An event is
    trusted: one that leaves out what the way on needs is refused.
    """

    before: Mapping[str, frozenset[str]]
    setters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def missing(self, node: str, names: frozenset[str]) -> frozenset[str]:
        """Return the variables among these that may have no value at a node."""
        return names - self.before.get(node, names)

    def why(self, node: str, names: frozenset[str]) -> str:
        """Say which of the variables missing at a node are set by others, and by which: text to add to a message."""
        told = [
            sentence(
                "{name!r} is set by {setters}, which not every path here passes",
                name=name,
                setters=every([repr(one) for one in self.setters[name][:5]]),
            )
            for name in sorted(self.missing(node, names))
            if name in self.setters
        ]
        return sentence(" ({told})", told=joined("; ", told)) if told else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetVariables:
    """Which variables a node certainly sets; `copies` does so where the other variable has a value."""

    surely: frozenset[str]
    copies: Mapping[str, str] = field(default_factory=dict)

    def given(self, before: frozenset[str]) -> frozenset[str]:
        return self.surely | {name for name, source in self.copies.items() if source in before}


def assigned(
    draft: Draft,
    actions: Mapping[str, ActionSpec] | None = None,
    children: Mapping[str, Child] | None = None,
) -> AssignedVariables:
    """Follow the edges from the trigger on until nothing changes.

    `actions` and `children` as for a check; what nobody knows is trusted to return what is taken from it.
    """
    sets = _sets(draft, actions, children)
    given = frozenset(v.name for v in draft.definition.variables if not v.optional)
    every = frozenset(v.name for v in draft.definition.variables)
    before = {entry.id: given for entry in draft.entries}
    leading: dict[str, list[DraftEdge]] = {}
    for edge in draft.edges:
        leading.setdefault(edge.target, []).append(edge)
    order = [name for group in reversed(components(draft)) for name in group]
    settled = False
    while not settled:
        settled = True
        for name in order:
            node = draft.nodes[name]
            arriving = [
                _after(draft.nodes[edge.source], sets.get(edge.source), edge, before[edge.source])
                for edge in leading.get(name, ())
                if edge.source in before
            ]
            if not arriving or node.entry:
                continue
            # A join of all has waited for each of its branches; in a loop nothing is known that does not hold each time
            found = every.intersection(*arriving) if not node.gathers else frozenset().union(*arriving)
            if before.get(name) != found:
                before[name] = found
                settled = False
    setters: dict[str, list[str]] = {}
    for node in draft.nodes.values():
        for name in node.sets:
            setters.setdefault(name, []).append(node.id)
    return AssignedVariables(before=before, setters={name: tuple(nodes) for name, nodes in setters.items()})


def _sets(
    draft: Draft, actions: Mapping[str, ActionSpec] | None, children: Mapping[str, Child] | None
) -> dict[str, _SetVariables]:
    """Return by node what it certainly sets, where that is known."""
    defaults = frozenset(v.name for v in draft.definition.variables if v.default is not None)
    found: dict[str, _SetVariables] = {}
    for node in draft.definition.graph_spec.nodes if draft.definition.graph_spec is not None else ():
        named = type_of(node).named(node)
        if isinstance(named, NamedAction) and (spec := (actions or {}).get(named.name)) is not None:
            found[node.id] = _computed(named) if is_pure(spec) else _SetVariables(surely=_returned(named, spec))
        elif isinstance(named, NamedProcess) and (child := (children or {}).get(named.reference)) is not None:
            there = {v.name for v in child.plan.variables if not v.optional}
            surely = frozenset(name for name, source in named.output.items() if source in there)
            found[node.id] = _SetVariables(surely=surely)
    return {name: replace(sets, surely=sets.surely | defaults) for name, sets in found.items()}


def _computed(called: NamedAction) -> _SetVariables:
    surely: set[str] = set()
    copies: dict[str, str] = {}
    for name, source in called.output.items():
        value = value_from(called.input, source)
        text = expression_of(value)
        if text is not None and text.strip().isidentifier():
            copies[name] = text.strip()
        elif value is not None:
            surely.add(name)
    return _SetVariables(surely=frozenset(surely), copies=copies)


def _returned(called: NamedAction, spec: ActionSpec) -> frozenset[str]:
    """Return the variables whose value the output_schema requires."""
    return frozenset(name for name, source in called.output.items() if _required(spec.output_schema, source))


def _required(schema: Any, source: str) -> bool:
    for part in parts_of(source) if source[:1] == "/" else [source]:
        if not isinstance(schema, Mapping) or part not in schema.get("required", ()):
            return False
        schema = schema.get("properties", {}).get(part, {})
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    return kinds != "null" and not (isinstance(kinds, list) and "null" in kinds)


def _after(node: DraftNode, sets: _SetVariables | None, edge: DraftEdge, before: frozenset[str]) -> frozenset[str]:
    """Return what has a value once a node is left by an edge: what it sets, unless it failed or waited in vain."""
    if node.step is not None:
        kept = before - node.sets
        return kept | (node.asks if edge.on in {None, "approved"} else node.asks & before)
    if edge.on in node.in_vain:
        return before
    return before | node.sets if sets is None else (before - node.sets) | (sets.given(before) & node.sets)


def variable_findings(draft: Draft) -> list[Finding]:
    """List the variables that no condition and no approver reads; nothing is reported while a condition is faulty."""
    if any(edge.faulty for edge in draft.edges):
        return []
    used = {name for edge in draft.edges if edge.condition is not None for name in edge.condition.names}
    used |= draft.reads
    used |= {who.root.name for _, who in names_of(draft) if who.root.given}
    return [
        warning(
            "unused_variable",
            f"/variables/{index}",
            sentence(
                "no condition and no approver depends on {name!r}; that is fine where people read it",
                name=variable.name,
            ),
        )
        for index, variable in enumerate(draft.definition.variables)
        if variable.name not in used
    ]

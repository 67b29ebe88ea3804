"""Reachability: which inputs reach a node, as terms of the solver and, to confirm it, by walking the graph.

A request keeps its input along its way, but for two things: where people decide they may request changes, and the
request goes on from there with whatever input it is resubmitted with; and actions, events and sub-processes set
variables. So two answers are kept for each node: what comes to it with one input all the way, and what comes to it at
all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from placet.errors import EvaluationFailed
from placet.expressions import Expression, evaluate
from placet.expressions.types import NAMES, NOW, REQUESTER
from placet.proofs.draft import Draft, DraftNode
from placet.proofs.solver import Undecided
from placet.proofs.solver.prover import Prover, result
from placet.proofs.solver.samples import sample_input
from placet.proofs.structure.graph import components, cycles
from placet.sentences import joined, sentence

Values = dict[str, object]

_EDGES_BACK = 4  # that are looked at in a loop


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachingInput:
    """An input that shows something at a node. `opening`: what the request begins with, where that is another.

    `found` holds also what no input does: the moment, and the facts about the requester.
    """

    found: dict[str, Any]
    opening: dict[str, Any] | None = None

    @property
    def witness(self) -> dict[str, Any]:
        """Return the input alone."""
        return input_of(self.found)

    @property
    def note(self) -> str:
        """Say when and for whom, and how the input gets there, where it is not the one that the request begins with."""
        told = [sentence("at {moment}", moment=self.found[NOW])] if NOW in self.found else []
        if REQUESTER in self.found:
            facts = {name: value for name, value in self.found[REQUESTER].items() if value not in (None, [], "a")}
            told.append(sentence("for a requester with {facts}", facts=json.dumps(facts, ensure_ascii=False)))
        if self.opening is not None:
            told.append(sentence("once its input is the witness: resubmitted, or set by the process"))
        return sentence(" ({told})", told=joined(", ", told)) if told else ""

    @property
    def parts(self) -> dict[str, Any]:
        """Return what goes into a finding."""
        return {"witness": self.witness, "opening": self.opening}


def input_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the input of what was found, without what no input holds."""
    return {name: value for name, value in found.items() if name not in NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class _PathCondition:
    """The condition on an input to reach a node: several terms, each with the variables that it is about."""

    parts: tuple[tuple[Any, frozenset[str]], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Return all variables that this is about."""
        return frozenset(name for _, names in self.parts for name in names)

    def forgetting(self, changed: frozenset[str]) -> _PathCondition:
        """Return what still has to hold once these variables may have other values."""
        return _PathCondition(parts=tuple((term, names) for term, names in self.parts if not names & changed))


class Reach:
    """The inputs that reach each node of a draft. `prover` is asked for nothing that needs no solver."""

    def __init__(self, draft: Draft, prover: Prover) -> None:
        self.draft = draft
        self.prover = prover
        reworks = draft.definition.settings.max_rounds > 1
        # Where a change sends a request to its first node, only what is immaterial may be another further on.
        self.reworks = reworks and draft.definition.on_change == "stage"
        self._immaterial = frozenset(draft.definition.settings.immaterial if reworks else ())
        # What depends on the moment or on the requester may be another at the next node that somebody waits at.
        self._world = frozenset(name for expression in draft.expressions for name in expression.reads if name in NAMES)
        self.changes = self.reworks or bool(self._immaterial | self._world) or any(v.sets for v in draft.nodes.values())
        self.forked = any(v.splits for v in draft.nodes.values())
        self._true = z3.BoolVal(True, ctx=prover.context)
        self._nowhere = _PathCondition(parts=((z3.BoolVal(False, ctx=prover.context), frozenset()),))
        self._set = frozenset(name for v in draft.nodes.values() for name in v.sets)
        self._straight: dict[str, list[_PathCondition]] = {name: [] for name in draft.nodes}
        self._any: dict[str, list[_PathCondition]] = {name: [] for name in draft.nodes}
        self._alive: dict[str, ReachingInput | None] = {}
        self._walks: dict[tuple[int, str], set[str]] = {}
        self._results: dict[tuple[int, str], bool | None] = {}
        self._entries = [entry.id for entry in draft.entries]
        self._kept: dict[int, Values] = {}  # keeps values alive, so that their identity stays theirs
        self._spread()

    def is_reachable(self, name: str) -> bool:
        """Say whether any input reaches a node; where that is not known, yes."""
        if not self._any[name]:
            return False
        try:
            return self.arrival(name) is not None
        except Undecided:
            return True

    def arrival(self, name: str) -> ReachingInput | None:
        """Return an input that reaches a node, None where none does. Raises Undecided."""
        if name not in self._alive:
            self._alive[name] = self.show(name, [], (), lambda _: True)
        return self._alive[name]

    def show(
        self,
        name: str,
        terms: Sequence[Any],
        names: Iterable[str],
        check: Callable[[Values], bool],
        *,
        likely: bool = True,
    ) -> ReachingInput | None:
        """Return an input that comes to a node and for which the terms hold there, None where none does.

        `check` confirms the terms on the input's values; `likely`: one is expected. An input that needs no resubmission
        is preferred. Raises Undecided.
        """
        straight, anyhow = self._joined(self._straight[name]), self._joined(self._any[name])
        doubt: Undecided | None = None
        if straight is not self._nowhere:
            try:
                found = self._find(
                    straight, terms, names, lambda v: check(v) and self._comes(v, name, resubmitted=False), likely
                )
                if found is not None:
                    return ReachingInput(found=found)
            except Undecided as undecided:
                doubt = undecided
        if self.changes and (anyhow != straight or self._world):
            found = self._find(
                anyhow, terms, names, lambda v: check(v) and self._comes(v, name, resubmitted=True), likely
            )
            if found is not None:
                opening = self._opening(found, name)
                return ReachingInput(found=found, opening=opening if opening != input_of(found) else None)
        if doubt is not None:
            raise doubt
        return None

    def circling(self, group: Sequence[str]) -> ReachingInput | None:
        """Return an input that repeats a loop for as long as people let it. Raises Undecided."""
        start, inside = group[0], set(group)
        passed: dict[str, list[_PathCondition]] = {start: []}
        pending, round_trip = [start], None
        while pending and round_trip is None:
            name = pending.pop(0)
            for target, taken in self.leaving(self.draft.nodes[name]):
                if target == start:
                    round_trip = [*passed[name], taken]
                elif target in inside and target not in passed:
                    passed[target] = [*passed[name], taken]
                    pending.append(target)
        if round_trip is None:
            return None
        names = {name for condition in round_trip for name in condition.names}
        terms = [self._term(condition) for condition in round_trip]
        return self.show(start, terms, names, lambda v: self._circles(v, start))

    def _circles(self, values: Values, start: str) -> bool:
        onward = self.onward(self.draft.nodes[start], values)
        return any(start in self._walk(values, name) for name in onward)

    def values(self, witness: dict[str, Any]) -> Values:
        """Return what expressions compute with where this was found."""
        return self.prover.values(witness)

    def result(self, expression: Expression, values: Values) -> bool | None:
        """Return what a condition evaluates to, None where its evaluation fails; remembered."""
        key = (id(values), expression.source)
        if key not in self._results:
            self._kept[id(values)] = values
            self._results[key] = result(expression, values)
        return self._results[key]

    def _evaluates(self, expression: Expression, values: Values) -> bool:
        try:
            evaluate(expression, values)
        except EvaluationFailed:
            return False
        return True

    def _find(
        self,
        path: _PathCondition,
        terms: Sequence[Any],
        names: Iterable[str],
        check: Callable[[Values], bool],
        likely: bool,
    ) -> dict[str, Any] | None:
        asked = [term for term in (self._term(path), *terms) if not z3.is_true(term)]
        if not asked:
            easy = sample_input(self.draft.definition.variables)
            if easy is not None and check(self.values(easy)):
                return easy
        return self.prover.find(asked, names={*names, *path.names}, confirmed=check, likely=likely)

    # Which inputs come to a node, as terms

    def _spread(self) -> None:
        """Follow the edges from the trigger on. In a loop only what its last edges have asked is known."""
        looping = {name for group in cycles(self.draft) for name in group}
        for entry in self.draft.entries:
            self._straight[entry.id].append(_PathCondition())
            self._any[entry.id].append(_PathCondition())
        for group in reversed(components(self.draft)):
            inside = frozenset(group) & looping
            if inside and any(self._any[name] for name in group):
                for name, path in self._around(group).items():
                    self._straight[name], self._any[name] = [path], [path]
            for name in group:
                node = self.draft.nodes[name]
                straight, anyhow = self._joined(self._straight[name]), self._joined(self._any[name])
                if (
                    anyhow is not self._nowhere
                    and (self._renews(node) or self._changed(node))
                    and self.is_reachable(name)
                ):
                    anyhow = self._after(node, anyhow)
                if self._world and node.pauses and straight is not self._nowhere:
                    straight = straight.forgetting(self._world)
                if node.sets:  # from here on the input is another than the one that the request began with
                    straight = self._nowhere
                for target, taken in self.leaving(node):
                    for paths, here in ((self._straight, straight), (self._any, anyhow)):
                        if here is not self._nowhere and target not in inside:
                            paths[target].append(_PathCondition(parts=(*here.parts, *taken.parts)))

    def _around(self, group: Sequence[str]) -> dict[str, _PathCondition]:
        """Return the conditions to reach each node of a loop, by its last edges only."""
        entering = {name: list(self._any[name]) for name in group}
        known = dict.fromkeys(group, _PathCondition())
        for _ in range(_EDGES_BACK):
            arriving = {name: list(paths) for name, paths in entering.items()}
            for name in group:
                node = self.draft.nodes[name]
                after = self._after(node, known[name])
                for target, taken in self.leaving(node):
                    if target in arriving:
                        arriving[target].append(_PathCondition(parts=(*after.parts, *taken.parts)))
            known = {name: self._joined(paths) for name, paths in arriving.items()}
        return known

    def _after(self, node: DraftNode, path: _PathCondition) -> _PathCondition:
        """Return the conditions that still hold once a node is left."""
        return _PathCondition() if self._renews(node) else path.forgetting(self._changed(node))

    def _renews(self, node: DraftNode) -> bool:
        """Whether the whole input may be another after a node: by rework there, or in another branch meanwhile."""
        return self.reworks and self._may_be_returned(node)

    def _may_be_returned(self, node: DraftNode) -> bool:
        return node.step is not None or (self.forked and node.pauses)

    def _changed(self, node: DraftNode) -> frozenset[str]:
        """Return what may be another after a node: set there, or in another branch meanwhile, or as time passes."""
        changed = self._set if self.forked and node.pauses else node.sets
        changed |= self._world if node.pauses else frozenset()
        return changed | self._immaterial if self._may_be_returned(node) else changed

    def leaving(self, node: DraftNode) -> list[tuple[str, _PathCondition]]:
        """Return where a node leads, and the condition for each of its edges."""
        if node.end:
            return []
        if not node.chooses:
            computed = [c.expression for c in node.computes if not c.left_out]
            well = _PathCondition(parts=tuple((z3.Not(self.prover.value(e)[1]), e.reads) for e in computed))
            return [(edge.target, _PathCondition() if edge.on == "failed" else well) for edge in node.edges]
        if node.exhaustive:
            return self._agreeing(node)
        found: list[tuple[str, _PathCondition]] = []
        before: tuple[tuple[Any, frozenset[str]], ...] = ()
        for edge in node.edges:
            if edge.condition is None:
                if edge.faulty:  # it is unknown when it will hold once it is corrected
                    found.append((edge.target, _PathCondition()))
                continue
            (holds, fails), names = self.prover.value(edge.condition), edge.condition.reads
            found.append((edge.target, _PathCondition(parts=(*before, (_and(z3.Not(fails), holds), names)))))
            before = (*before, (_and(z3.Not(fails), z3.Not(holds)), names))
        found += [(a.target, _PathCondition(parts=before)) for a in node.edges if a.default and a.text is None]
        return found

    def _agreeing(self, node: DraftNode) -> list[tuple[str, _PathCondition]]:
        """Return where a table leads whose rules are all looked at, and no other of which may fit."""
        asked = [(edge, edge.condition) for edge in node.edges if edge.condition is not None]
        names = frozenset(name for _, condition in asked for name in condition.reads)
        terms = [(edge, *self.prover.value(condition)) for edge, condition in asked]
        well = [z3.Not(fails) for _, _, fails in terms]
        found = [(edge.target, _PathCondition()) for edge in node.edges if edge.faulty]
        for edge, holds, _ in terms:
            rivals = [
                z3.Not(other)
                for rival, other, _ in terms
                if rival is not edge and (node.hit_policy == "unique" or rival.target != edge.target)
            ]
            found.append((edge.target, _PathCondition(parts=((_and(self._true, *well, holds, *rivals), names),))))
        none = _PathCondition(parts=((_and(self._true, *well, *(z3.Not(holds) for _, holds, _ in terms)), names),))
        return [*found, *((edge.target, none) for edge in node.edges if edge.default)]

    def _term(self, path: _PathCondition) -> Any:
        return _and(self._true, *(term for term, _ in path.parts))

    def _joined(self, paths: list[_PathCondition]) -> _PathCondition:
        if not paths:
            return self._nowhere
        if any(not path.parts for path in paths):
            return _PathCondition()
        names = frozenset(name for path in paths for name in path.names)
        return (
            paths[0]
            if len(paths) == 1
            else _PathCondition(parts=((z3.Or([self._term(path) for path in paths]), names),))
        )

    # The same by walking, to confirm it

    def _comes(self, values: Values, name: str, *, resubmitted: bool) -> bool:
        if any(name in self._walk(values, entry) for entry in self._entries):
            return True
        return resubmitted and any(name in self._walk(values, wait_spec) for wait_spec in self._pauses())

    def _pauses(self) -> list[str]:
        return [
            name
            for name, shown in self._alive.items()
            if shown is not None and (self._renews(self.draft.nodes[name]) or self._changed(self.draft.nodes[name]))
        ]

    def _walk(self, values: Values, start: str) -> set[str]:
        """Return the nodes that this input comes to from one on, whatever people decide."""
        key = (id(values), start)
        if key not in self._walks:
            self._kept[id(values)] = values
            seen: set[str] = set()
            pending = [start]
            while pending:
                name = pending.pop()
                if name not in seen:
                    seen.add(name)
                    pending.extend(self.onward(self.draft.nodes[name], values))
            self._walks[key] = seen
        return self._walks[key]

    def onward(self, node: DraftNode, values: Values) -> list[str]:
        """Return where a node leads with these values, whatever people decide."""
        if node.end:
            return []
        if not node.chooses:
            well = all(self._evaluates(c.expression, values) for c in node.computes if not c.left_out)
            return [edge.target for edge in node.edges if well or edge.on == "failed"]
        if node.exhaustive:
            asked = [(a, self.result(a.condition, values)) for a in node.edges if a.condition is not None]
            fitting = [edge.target for edge, holds in asked if holds]
            agreed = len(fitting) == 1 or (node.hit_policy == "any" and len(set(fitting)) == 1)
            if fitting or any(holds is None for _, holds in asked):
                return fitting[:1] if agreed and all(holds is not None for _, holds in asked) else []
            return [edge.target for edge in node.edges if edge.default][:1]
        for edge in node.edges:
            if edge.condition is not None:
                holds = self.result(edge.condition, values)
                if holds is None:
                    return []
                if holds:
                    return [edge.target]
        return [edge.target for edge in node.edges if edge.default][:1]

    def _opening(self, witness: dict[str, Any], name: str) -> dict[str, Any] | None:
        """Return an input with which a request begins that comes to a node with the witness as its input."""
        values = self.values(witness)
        possible: dict[str, Any] | None = None
        for wait_spec in self._pauses():
            shown = self._alive[wait_spec]
            if shown is None or name not in self._walk(values, wait_spec):
                continue
            begun = shown.opening if shown.opening is not None else shown.witness
            if not self._renews(self.draft.nodes[wait_spec]):
                # Only what the process sets changes on the way: the rest is the witness's from the beginning.
                kept = {key: value for key, value in input_of(witness).items() if key not in self._set}
                begun = kept | {key: value for key, value in begun.items() if key in self._set}
                there = {key: value for key, value in witness.items() if key in NAMES}
                if not self._comes(self.values(begun | there), wait_spec, resubmitted=False):
                    possible = possible or begun
                    continue
            return begun
        return possible


def _and(*terms: Any) -> Any:
    """Return the conjunction, as short as it is."""
    kept = [term for term in terms if not z3.is_true(term)]
    if any(z3.is_not(term) and z3.is_false(term.arg(0)) for term in kept):
        kept = [term for term in kept if not (z3.is_not(term) and z3.is_false(term.arg(0)))]
    if not kept:
        return terms[0] if z3.is_true(terms[0]) else z3.BoolVal(True, ctx=terms[0].ctx)
    return kept[0] if len(kept) == 1 else z3.And(kept)

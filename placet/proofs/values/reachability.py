"""Reachability: which inputs reach a node, as terms of the solver and, to confirm it, by runs through the graph.

A request keeps its input along its way, but for two things: where people decide they may request changes, and the
request goes on from there with whatever input it is resubmitted with; and actions, events and sub-processes set
variables. What a pure action sets is known: it is what its expression comes to with what the variables were before. So
two answers are kept for each node: what comes to it where nothing else changes, and what comes to it at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import z3

from placet.definition.action_spec import ActionSpec
from placet.definition.variables import normalise_input
from placet.errors import EvaluationFailed
from placet.expressions import Expression, evaluate
from placet.expressions.templates import as_json
from placet.expressions.types import NAMES, NOW, REQUESTER
from placet.proofs.draft import Draft, DraftEdge, DraftNode
from placet.proofs.solver import Undecided
from placet.proofs.solver.prover import Prover, result
from placet.proofs.solver.samples import sample_input
from placet.proofs.structure.graph import components, cycles
from placet.proofs.values.paths import PathCondition
from placet.proofs.values.pure_nodes import PureNode, input_in, pure_nodes
from placet.proofs.values.runs import Place, Runs, Values, beside
from placet.sentences import joined, sentence

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
class _Arrival:
    """The values with which a request comes to a node, and those with which it began."""

    values: Values
    opening: Values


class Reach:
    """The inputs that reach each node of a draft. `prover` is asked for nothing that needs no solver."""

    def __init__(self, draft: Draft, prover: Prover, actions: Mapping[str, ActionSpec] | None = None) -> None:
        self.draft = draft
        self.prover = prover
        self._pure = pure_nodes(draft, actions)
        self._runs = Runs(draft, self._pure, self._taken, self._changing)
        reworks = draft.definition.settings.max_rounds > 1
        # Where a change sends a request to its first node, only what is immaterial may be another further on.
        self.reworks = reworks and draft.definition.on_change == "stage"
        self._immaterial = frozenset(draft.definition.settings.immaterial if reworks else ())
        # What depends on the moment or on the requester may be another at the next node that somebody waits at.
        self._world = frozenset(name for expression in draft.expressions for name in expression.reads if name in NAMES)
        self.changes = self.reworks or bool(self._immaterial | self._world) or any(v.sets for v in draft.nodes.values())
        self.forked = any(v.splits for v in draft.nodes.values())
        self._true = z3.BoolVal(True, ctx=prover.context)
        self._nowhere = PathCondition(parts=((z3.BoolVal(False, ctx=prover.context), frozenset()),))
        self._set = frozenset(name for v in draft.nodes.values() for name in v.sets)
        self._straight: dict[str, list[PathCondition]] = {name: [] for name in draft.nodes}
        self._any: dict[str, list[PathCondition]] = {name: [] for name in draft.nodes}
        self._alive: dict[str, ReachingInput | None] = {}
        self._runs_known: dict[tuple[int, str], dict[str, list[Values]]] = {}
        self._based: dict[int, tuple[Values, Values]] = {}
        self._results: dict[tuple[int, str], bool | None] = {}
        self._beside = beside(draft) if self._set else {}
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
        shown: list[_Arrival] = []
        if straight is not self._nowhere:
            try:
                confirmed = self._confirming(check, name, shown, resubmitted=False)
                found = self._find(straight, terms, names, confirmed, likely)
                if found is not None:
                    return self._shown(found, shown[0])
            except Undecided as undecided:
                doubt = undecided
        if self.changes and (anyhow != straight or self._world):
            confirmed = self._confirming(check, name, shown, resubmitted=True)
            found = self._find(anyhow, terms, names, confirmed, likely)
            if found is not None:
                return self._shown(found, shown[0])
        if doubt is not None:
            raise doubt
        return None

    def circling(self, group: Sequence[str]) -> ReachingInput | None:
        """Return an input that repeats a loop for as long as people let it. Raises Undecided."""
        start, inside = group[0], set(group)
        passed: dict[str, list[PathCondition]] = {start: []}
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
        onward = [(name, values) for name in self.onward(self.draft.nodes[start], values)]
        return start in self._places((id(values), f"{start}*"), onward, values)

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
        path: PathCondition,
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
            self._straight[entry.id].append(PathCondition())
            self._any[entry.id].append(PathCondition())
        for group in reversed(components(self.draft)):
            inside = frozenset(group) & looping
            if inside and any(self._any[name] for name in group):
                for name, path in self._around(group).items():
                    self._straight[name], self._any[name] = [path], [path]
            for name in group:
                node = self.draft.nodes[name]
                straight = self._joined(self._straight[name])
                alike = self._any[name] == self._straight[name]
                anyhow = straight if alike else self._joined(self._any[name])
                if anyhow is self._nowhere:
                    continue
                # Where nothing comes, nothing is forgotten.
                after = self._left(node, anyhow, widened=not self._changing(node) or self.is_reachable(name))
                alike = alike and self._changes_alike(node)
                straight_after = after if alike else self._left_straight(node, straight)
                for paths, left in ((self._straight, straight_after), (self._any, after)):
                    for target, path in left:
                        if path is not self._nowhere and target not in inside:
                            paths[target].append(path)

    def _around(self, group: Sequence[str]) -> dict[str, PathCondition]:
        """Return the conditions to reach each node of a loop, by its last edges only."""
        entering = {name: list(self._any[name]) for name in group}
        known = dict.fromkeys(group, PathCondition())
        for _ in range(_EDGES_BACK):
            arriving = {name: list(paths) for name, paths in entering.items()}
            for name in group:
                for target, path in self._left(self.draft.nodes[name], known[name]):
                    if target in arriving:
                        arriving[target].append(path)
            known = {name: self._joined(paths) for name, paths in arriving.items()}
        return known

    def _left(self, node: DraftNode, path: PathCondition, *, widened: bool = True) -> list[tuple[str, PathCondition]]:
        """Return where a node leads with what still holds there; `widened`: with all that may be another by then."""
        if widened and self._renews(node):
            return [(target, PathCondition()) for target, _ in self.leaving(node)]
        return self._with_changes(node, path, lambda target: self._changed(node, target) if widened else frozenset())

    def _left_straight(self, node: DraftNode, path: PathCondition) -> list[tuple[str, PathCondition]]:
        """Return where a node leads with what still holds there while nothing is another but what is computed."""
        if path is self._nowhere or (node.sets and node.id not in self._pure):
            return []  # from here on the input is another than the one that the request began with
        return self._with_changes(node, path, lambda _: self._world if node.pauses else frozenset())

    def _changes_alike(self, node: DraftNode) -> bool:
        only = self._world if node.pauses else frozenset[str]()
        alike = all(self._changed(node, edge.target) == only for edge in node.edges)
        return alike and not self._renews(node) and (not node.sets or node.id in self._pure)

    def _with_changes(
        self, node: DraftNode, path: PathCondition, change: Callable[[str], frozenset[str]]
    ) -> list[tuple[str, PathCondition]]:
        pure = self._pure.get(node.id)
        found: list[tuple[str, PathCondition]] = []
        for number, (target, taken) in enumerate(self.leaving(node)):
            there, changed = path.and_also(taken), change(target)
            if pure is not None and node.edges[number].on not in node.in_vain:
                after = self._computed(node, pure, there, changed)
            else:
                after = self._renamed(there, changed & self._world).forgetting(changed - self._world)
            found.append((target, after))
        return found

    def _computed(self, node: DraftNode, pure: PureNode, path: PathCondition, changed: frozenset[str]) -> PathCondition:
        """Return the conditions once a pure action has set its variables."""
        meanwhile = self._set_by(self._beside.get(node.id, frozenset()))
        known = tuple(self.prover.assigned(*source) for source in pure.sources() if source[0].name not in meanwhile)
        there = replace(path, parts=(*path.parts, *known))
        return self._renamed(there, node.sets | (changed & self._world)).forgetting(changed - self._world)

    def _renamed(self, path: PathCondition, changed: frozenset[str]) -> PathCondition:
        """Return the conditions as ones on what these variables were before."""
        if not changed:
            return path
        parts = self.prover.changed(path.parts, changed, changed - path.computed)
        return PathCondition(parts=tuple(parts), computed=path.computed | changed)

    def _renews(self, node: DraftNode) -> bool:
        """Whether the whole input may be another after a node: by rework there, or in another branch meanwhile."""
        return self.reworks and self._may_be_returned(node)

    def _may_be_returned(self, node: DraftNode) -> bool:
        return node.step is not None or (self.forked and node.pauses)

    def _changed(self, node: DraftNode, target: str) -> frozenset[str]:
        """Return what may be another after a node: set there, or in another branch meanwhile, or as time passes.

        What a pure action sets there is known, and not among these. What is set in another branch may be another where
        somebody waits, and where the branches come together.
        """
        others = self._beside.get(node.id, frozenset())
        if not node.pauses:
            others = frozenset() if node.splits and target in others else others - self._beside.get(target, frozenset())
        own = node.sets if node.id not in self._pure else frozenset()
        return own | self._set_by(others) | self._passing(node)

    def _changing(self, node: DraftNode) -> frozenset[str]:
        """Return what may become anything after a node, in a run."""
        if self._renews(node):
            return frozenset(variable.name for variable in self.draft.definition.variables) | self._world
        nodes = {node.id, *(self._beside.get(node.id, ()) if node.pauses else ())}
        return self._set_by(nodes - self._pure.keys()) | self._passing(node)

    def _passing(self, node: DraftNode) -> frozenset[str]:
        changed = self._world if node.pauses else frozenset()
        return changed | self._immaterial if self._may_be_returned(node) else changed

    def _set_by(self, nodes: Iterable[str]) -> frozenset[str]:
        return frozenset(name for node in nodes for name in self.draft.nodes[node].sets)

    def leaving(self, node: DraftNode) -> list[tuple[str, PathCondition]]:
        """Return where a node leads, and the condition for each of its edges."""
        if node.end:
            return []
        if not node.chooses:
            computed = [c.expression for c in node.computes if not c.left_out]
            well = PathCondition(parts=tuple((z3.Not(self.prover.value(e)[1]), e.reads) for e in computed))
            return [(edge.target, PathCondition() if edge.on == "failed" else well) for edge in node.edges]
        if node.exhaustive:
            return self._agreeing(node)
        found: list[tuple[str, PathCondition]] = []
        before: tuple[tuple[Any, frozenset[str]], ...] = ()
        for edge in node.edges:
            if edge.condition is None:
                if edge.faulty:  # it is unknown when it will hold once it is corrected
                    found.append((edge.target, PathCondition()))
                continue
            (holds, fails), names = self.prover.value(edge.condition), edge.condition.reads
            found.append((edge.target, PathCondition(parts=(*before, (_and(z3.Not(fails), holds), names)))))
            before = (*before, (_and(z3.Not(fails), z3.Not(holds)), names))
        found += [(a.target, PathCondition(parts=before)) for a in node.edges if a.default and a.text is None]
        return found

    def _agreeing(self, node: DraftNode) -> list[tuple[str, PathCondition]]:
        """Return where a table leads whose rules are all looked at, and no other of which may fit."""
        asked = [(edge, edge.condition) for edge in node.edges if edge.condition is not None]
        names = frozenset(name for _, condition in asked for name in condition.reads)
        terms = [(edge, *self.prover.value(condition)) for edge, condition in asked]
        well = [z3.Not(fails) for _, _, fails in terms]
        found = [(edge.target, PathCondition()) for edge in node.edges if edge.faulty]
        for edge, holds, _ in terms:
            rivals = [
                z3.Not(other)
                for rival, other, _ in terms
                if rival is not edge and (node.hit_policy == "unique" or rival.target != edge.target)
            ]
            found.append((edge.target, PathCondition(parts=((_and(self._true, *well, holds, *rivals), names),))))
        none = PathCondition(parts=((_and(self._true, *well, *(z3.Not(holds) for _, holds, _ in terms)), names),))
        return [*found, *((edge.target, none) for edge in node.edges if edge.default)]

    def _term(self, path: PathCondition) -> Any:
        return _and(self._true, *(term for term, _ in path.parts))

    def _joined(self, paths: list[PathCondition]) -> PathCondition:
        if not paths:
            return self._nowhere
        if len(paths) == 1:
            return paths[0]
        if any(not path.parts for path in paths):
            return PathCondition()
        computed = frozenset(name for path in paths for name in path.computed)
        told = [
            replace(path, parts=(*path.parts, *map(self.prover.unchanged, sorted(computed - path.computed))))
            for path in paths
        ]
        names = frozenset(name for path in told for name in path.names)
        term = z3.Or([self._term(path) for path in told])
        return PathCondition(parts=((term, names),), computed=computed)

    # The same by runs, to confirm it

    def _confirming(
        self, check: Callable[[Values], bool], name: str, shown: list[_Arrival], *, resubmitted: bool
    ) -> Callable[[Values], bool]:
        """Return whether a run with these values comes to a node with values that pass; `shown` is that arrival."""

        def confirmed(values: Values) -> bool:
            arrival = next((one for one in self._arrivals(values, name, resubmitted) if check(one.values)), None)
            shown[:] = [arrival] if arrival is not None else []
            return arrival is not None

        return confirmed

    def _arrivals(self, values: Values, name: str, resubmitted: bool) -> Iterator[_Arrival]:
        """Generate what a request comes to a node with, which begins with these values or becomes them on the way."""
        base, opening = self._begun(values)
        entries = [(entry, opening) for entry in self._entries]
        for here in self._places((id(base), ""), entries, None).get(name, ()):
            yield _Arrival(values=here, opening=opening)
        if not resubmitted:
            return
        for here in self._places((id(base), "*"), entries, base).get(name, ()):
            yield _Arrival(values=here, opening=opening)
        for pause, shown in list(self._alive.items()):
            node = self.draft.nodes[pause]
            if shown is None or not self._changing(node):
                continue
            there = self.values(shown.found if shown.opening is None else {**shown.found, **shown.opening})
            if self._renews(node):
                starts = [(pause, base)]
            else:
                # Only these change on the way: the rest is the witness's from the beginning.
                kept = self._set | self._immaterial | self._world
                there = {**base, **{one: there[one] for one in kept if one in there}}
                starts = [(entry, there) for entry in self._entries]
            for here in self._places((id(base), pause), starts, base).get(name, ()):
                yield _Arrival(values=here, opening=there)

    def _begun(self, values: Values) -> tuple[Values, Values]:
        """Return what variables may become on the way to these values, and what they are when the request begins."""
        if id(values) not in self._based:
            self._kept[id(values)] = values
            begun = {
                name: values[key] for name in self._set | self._world if (key := self.prover.opening(name)) in values
            }
            there = {name: value for name, value in begun.items() if name in self._set}
            base = {**values, **there} if there else values
            self._based[id(values)] = base, {**values, **begun} if begun.keys() != there.keys() else base
        return self._based[id(values)]

    def _places(self, key: tuple[int, str], starts: Sequence[Place], base: Values | None) -> dict[str, list[Values]]:
        if key not in self._runs_known:
            self._runs_known[key] = self._runs.places(starts, base)
        return self._runs_known[key]

    def _shown(self, found: dict[str, Any], arrival: _Arrival) -> ReachingInput:
        variables = self.draft.definition.variables
        there, begun = (
            normalise_input(variables, input_in(tuple(variables), values))
            for values in (arrival.values, arrival.opening)
        )
        world = {one: as_json(arrival.values[one]) for one in NAMES if one in found}
        return ReachingInput(found={**there, **world}, opening=begun if begun != there else None)

    def onward(self, node: DraftNode, values: Values) -> list[str]:
        """Return where a node leads with these values, whatever people decide."""
        return [edge.target for edge in self._taken(node, values)]

    def _taken(self, node: DraftNode, values: Values) -> list[DraftEdge]:
        if node.end:
            return []
        if not node.chooses:
            well = all(self._evaluates(c.expression, values) for c in node.computes if not c.left_out)
            return [edge for edge in node.edges if well or edge.on == "failed"]
        defaults = [edge for edge in node.edges if edge.default][:1]
        if node.exhaustive:
            asked = [(a, self.result(a.condition, values)) for a in node.edges if a.condition is not None]
            fitting = [edge for edge, holds in asked if holds]
            agreed = len(fitting) == 1 or (node.hit_policy == "any" and len({edge.target for edge in fitting}) == 1)
            if fitting or any(holds is None for _, holds in asked):
                return fitting[:1] if agreed and all(holds is not None for _, holds in asked) else []
            return defaults
        for edge in node.edges:
            if edge.condition is not None:
                holds = self.result(edge.condition, values)
                if holds is None:
                    return []
                if holds:
                    return [edge]
        return defaults


def _and(*terms: Any) -> Any:
    """Return the conjunction, as short as it is."""
    kept = [term for term in terms if not z3.is_true(term)]
    if any(z3.is_not(term) and z3.is_false(term.arg(0)) for term in kept):
        kept = [term for term in kept if not (z3.is_not(term) and z3.is_false(term.arg(0)))]
    if not kept:
        return terms[0] if z3.is_true(terms[0]) else z3.BoolVal(True, ctx=terms[0].ctx)
    return kept[0] if len(kept) == 1 else z3.And(kept)

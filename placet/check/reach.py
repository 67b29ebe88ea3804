"""Reach: which inputs come to a node, as terms of the solver and, to confirm it, by walking.

A request keeps its input along its way, but for one thing: where people decide they may request changes, and the
request goes on from there with whatever input it is resubmitted with. So two answers are kept for each node: what comes
to it with one input all the way, and what comes to it at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from placet.check.draft import Draft, Vertex
from placet.check.graph import components, cycles
from placet.conditions import Expression
from placet.solver import Undecided
from placet.solver.prover import Prover, result
from placet.solver.samples import sample_input
from placet.variables import values_of

Values = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An input that shows something at a node. `opening`: what the request begins with if it must be resubmitted."""

    witness: dict[str, Any]
    opening: dict[str, Any] | None = None

    @property
    def note(self) -> str:
        """Say how the input gets there, where it takes a resubmission."""
        return " (once it is resubmitted with the witness as its input)" if self.opening is not None else ""

    @property
    def parts(self) -> dict[str, Any]:
        """Return what goes into a finding."""
        return {"witness": self.witness, "opening": self.opening}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """What has to hold of an input to come somewhere, and the variables that this is about."""

    term: Any
    names: frozenset[str]


class Reach:
    """Know for each node of a draft which inputs come to it. `prover` is asked for nothing that needs no solver."""

    def __init__(self, draft: Draft, prover: Prover) -> None:
        self.draft = draft
        self.prover = prover
        self.reworks = draft.blueprint.settings.max_rounds > 1
        self.changes = self.reworks or any(v.rewrites for v in draft.vertices.values())
        self.forked = any(v.splits for v in draft.vertices.values())
        self._true = z3.BoolVal(True, ctx=prover.context)
        self._straight: dict[str, list[_Way]] = {name: [] for name in draft.vertices}
        self._any: dict[str, list[_Way]] = {name: [] for name in draft.vertices}
        self._alive: dict[str, Shown | None] = {}
        self._walks: dict[tuple[int, str], set[str]] = {}
        self._results: dict[tuple[int, str], bool | None] = {}
        self._entries = [entry.id for entry in draft.entries]
        self._kept: dict[int, Values] = {}  # keeps values alive, so that their identity stays theirs
        self._spread()

    def lives(self, name: str) -> bool:
        """Say whether any input comes to a node; where that is not known, yes."""
        if not self._any[name]:
            return False
        try:
            return self.arrival(name) is not None
        except Undecided:
            return True

    def arrival(self, name: str) -> Shown | None:
        """Return an input that comes to a node, None where none does. Raises Undecided."""
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
    ) -> Shown | None:
        """Return an input that comes to a node and for which the terms hold there, None where none does.

        `check` confirms the terms on the input's values; `likely`: one is expected. An input that needs no resubmission
        is preferred. Raises Undecided.
        """
        straight, anyhow = self._joined(self._straight[name]), self._joined(self._any[name])
        doubt: Undecided | None = None
        if not z3.is_false(straight.term):
            try:
                found = self._find(
                    straight, terms, names, lambda v: check(v) and self._comes(v, name, resubmitted=False), likely
                )
                if found is not None:
                    return Shown(witness=found)
            except Undecided as undecided:
                doubt = undecided
        if self.changes and not anyhow.term.eq(straight.term):
            found = self._find(
                anyhow, terms, names, lambda v: check(v) and self._comes(v, name, resubmitted=True), likely
            )
            if found is not None:
                return Shown(witness=found, opening=self._opening(found, name))
        if doubt is not None:
            raise doubt
        return None

    def circling(self, group: Sequence[str]) -> Shown | None:
        """Return an input that goes round a loop for as long as people let it. Raises Undecided."""
        start, inside = group[0], set(group)
        ways: dict[str, list[_Way]] = {start: []}
        pending, round_trip = [start], None
        while pending and round_trip is None:
            name = pending.pop(0)
            for target, taken in self._leaving(self.draft.vertices[name]):
                if target == start:
                    round_trip = [*ways[name], taken]
                elif target in inside and target not in ways:
                    ways[target] = [*ways[name], taken]
                    pending.append(target)
        if round_trip is None:
            return None
        names = {name for way in round_trip for name in way.names}
        return self.show(start, [way.term for way in round_trip], names, lambda v: self._circles(v, start))

    def _circles(self, values: Values, start: str) -> bool:
        onward = self._onward(self.draft.vertices[start], values)
        return any(start in self._walk(values, name) for name in onward)

    def result(self, expression: Expression, values: Values) -> bool | None:
        """Return what a condition evaluates to, None where its evaluation fails; remembered."""
        key = (id(values), expression.source)
        if key not in self._results:
            self._kept[id(values)] = values
            self._results[key] = result(expression, values)
        return self._results[key]

    def _find(
        self, way: _Way, terms: Sequence[Any], names: Iterable[str], check: Callable[[Values], bool], likely: bool
    ) -> dict[str, Any] | None:
        asked = [term for term in (way.term, *terms) if not z3.is_true(term)]
        if not asked:
            easy = sample_input(self.draft.blueprint.variables)
            if easy is not None and check(values_of(self.draft.blueprint.variables, easy)):
                return easy
        return self.prover.find(asked, names={*names, *way.names}, confirmed=check, likely=likely)

    # Which inputs come to a node, as terms

    def _spread(self) -> None:
        """Follow the edges from the trigger on. In a loop, and behind one, anything is taken to be possible."""
        looping = {name for group in cycles(self.draft) for name in group}
        for entry in self.draft.entries:
            certain = _Way(term=self._true, names=frozenset())
            self._straight[entry.id].append(certain)
            self._any[entry.id].append(certain)
        for group in reversed(components(self.draft)):
            for name in group:
                vertex = self.draft.vertices[name]
                if name in looping and any(self._any[other] for other in group):
                    self._straight[name] = [_Way(term=self._true, names=frozenset())]
                    self._any[name] = [_Way(term=self._true, names=frozenset())]
                straight, anyhow = self._joined(self._straight[name]), self._joined(self._any[name])
                if self._renews(vertex) and not z3.is_false(anyhow.term) and self.lives(name):
                    anyhow = _Way(term=self._true, names=frozenset())
                for target, taken in self._leaving(vertex):
                    for ways, here in ((self._straight, straight), (self._any, anyhow)):
                        if not z3.is_false(here.term):
                            ways[target].append(self._and(here, taken))

    def _renews(self, vertex: Vertex) -> bool:
        """Whether the input may be another after a node: by itself, by rework, or in another branch meanwhile."""
        own = vertex.rewrites or (vertex.step is not None and self.reworks)
        return own or (self.forked and vertex.pauses and self.changes)

    def _leaving(self, vertex: Vertex) -> list[tuple[str, _Way]]:
        """Return where a node leads, and what has to hold for each of its edges."""
        if vertex.end:
            return []
        certain = _Way(term=self._true, names=frozenset())
        if not vertex.chooses:
            return [(arrow.target, certain) for arrow in vertex.arrows]
        found: list[tuple[str, _Way]] = []
        before, names = self._true, frozenset[str]()
        for arrow in vertex.arrows:
            if arrow.condition is None:
                if arrow.faulty:  # nobody knows for whom it will hold once it is mended
                    found.append((arrow.target, certain))
                continue
            holds, fails = self.prover.value(arrow.condition)
            names |= arrow.condition.names
            found.append((arrow.target, _Way(term=_and(before, z3.Not(fails), holds), names=names)))
            before = _and(before, z3.Not(fails), z3.Not(holds))
        found += [(a.target, _Way(term=before, names=names)) for a in vertex.arrows if a.default and a.text is None]
        return found

    def _and(self, one: _Way, other: _Way) -> _Way:
        return _Way(term=_and(one.term, other.term), names=one.names | other.names)

    def _joined(self, ways: list[_Way]) -> _Way:
        if any(z3.is_true(way.term) for way in ways):
            return _Way(term=self._true, names=frozenset())
        if not ways:
            return _Way(term=z3.BoolVal(False, ctx=self.prover.context), names=frozenset())
        names = frozenset(name for way in ways for name in way.names)
        return ways[0] if len(ways) == 1 else _Way(term=z3.Or([way.term for way in ways]), names=names)

    # The same by walking, to confirm it

    def _comes(self, values: Values, name: str, *, resubmitted: bool) -> bool:
        if any(name in self._walk(values, entry) for entry in self._entries):
            return True
        return resubmitted and any(name in self._walk(values, pause) for pause in self._pauses())

    def _pauses(self) -> list[str]:
        return [
            name for name, shown in self._alive.items() if shown is not None and self._renews(self.draft.vertices[name])
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
                    pending.extend(self._onward(self.draft.vertices[name], values))
            self._walks[key] = seen
        return self._walks[key]

    def _onward(self, vertex: Vertex, values: Values) -> list[str]:
        if vertex.end:
            return []
        if not vertex.chooses:
            return [arrow.target for arrow in vertex.arrows]
        for arrow in vertex.arrows:
            if arrow.condition is not None:
                holds = self.result(arrow.condition, values)
                if holds is None:
                    return []
                if holds:
                    return [arrow.target]
        return [arrow.target for arrow in vertex.arrows if arrow.default][:1]

    def _opening(self, witness: dict[str, Any], name: str) -> dict[str, Any] | None:
        values = values_of(self.draft.blueprint.variables, witness)
        for pause in self._pauses():
            shown = self._alive[pause]
            if shown is not None and name in self._walk(values, pause):
                return shown.opening if shown.opening is not None else shown.witness
        return None


def _and(*terms: Any) -> Any:
    """Return the conjunction, as short as it is."""
    kept = [term for term in terms if not z3.is_true(term)]
    if any(z3.is_not(term) and z3.is_false(term.arg(0)) for term in kept):
        kept = [term for term in kept if not (z3.is_not(term) and z3.is_false(term.arg(0)))]
    if not kept:
        return terms[0] if z3.is_true(terms[0]) else z3.BoolVal(True, ctx=terms[0].ctx)
    return kept[0] if len(kept) == 1 else z3.And(kept)

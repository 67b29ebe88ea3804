"""Witnesses: inputs that make conditions come out as wanted.

Most are found by trying values at the edges that the conditions themselves name, judged by the core's own evaluation;
only where none of these fits is the solver asked, which also proves that there is none.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING, Any

from placet.conditions import Expression, evaluate
from placet.errors import EvaluationFailed, InputInvalid
from placet.solver import Undecided
from placet.solver.samples import sample
from placet.variables import Variable, normalise_input, values_of

if TYPE_CHECKING:
    from placet.solver.prover import Prover

Wish = tuple[Expression, bool]  # a condition, and how it is to come out

MOST_TRIED = 64  # inputs that every path is tried with
MOST_DIRECTED = 2000  # inputs that are tried for one path before the solver is asked
_ABSENT = object()


class Witnesses:
    """Inputs of one process, tried once each against every condition."""

    def __init__(
        self,
        variables: Sequence[Variable],
        conditions: Sequence[Expression],
        *,
        given: Mapping[str, Any] | None = None,
        people: Mapping[str, str] | None = None,
        seconds: float = 10.0,
    ) -> None:
        self._variables = tuple(variables)
        self._prover: Prover | None = None
        self._end = perf_counter() + seconds  # from then on nothing is searched for any more
        self._candidates = _candidates(self._variables, conditions, given, people or {})
        self._pool: list[dict[str, Any]] = []
        self._values: list[dict[str, object]] = []
        self._came: list[str] = []
        self._masks: dict[tuple[str, bool], tuple[int, int]] = {}  # (source, wanted) -> (mask, how much was tried)
        self._impossible: set[frozenset[tuple[str, bool]]] = set()
        self.asked = 0  # how often the solver was
        self.undecided = False  # whether it could not answer what it was asked last
        base = self._base()
        self._add(base, "given" if given is not None else "sampled")
        for one in itertools.islice(_near(base, self._candidates, self._candidates), MOST_TRIED):
            self._add(one, "edges")

    def find(self, wishes: Sequence[Wish]) -> tuple[dict[str, Any], str] | None:
        """Return an input that grants all wishes and where it comes from; None where there is none.

        Where `undecided` is set afterwards, None only means that none was found.
        """
        key = frozenset((expression.source, wanted) for expression, wanted in wishes)
        self.undecided = False
        if key in self._impossible:
            return None
        if (mask := self._mask(wishes)) or self._try_directed(wishes):
            index = ((mask or self._mask(wishes)) & -(mask or self._mask(wishes))).bit_length() - 1
            return self._pool[index], self._came[index]
        if not self.undecided:
            self._impossible.add(key)
        return None

    def _mask(self, wishes: Sequence[Wish]) -> int:
        mask = (1 << len(self._pool)) - 1
        for expression, wanted in wishes:
            known, tried = self._masks.get((expression.source, wanted), (0, 0))
            for index in range(tried, len(self._pool)):
                if _holds(expression, self._values[index]) is wanted:
                    known |= 1 << index
            self._masks[expression.source, wanted] = (known, len(self._pool))
            mask &= known
            if not mask:
                return 0
        return mask

    def _try_directed(self, wishes: Sequence[Wish]) -> bool:
        if perf_counter() > self._end:
            self.undecided = True
            return False
        names = frozenset().union(*(expression.names for expression, _ in wishes))
        mine = {n: self._candidates[n] for n in self._candidates if n in names}
        base = self._pool[0]
        for one in itertools.islice(_near(base, mine, self._candidates), MOST_DIRECTED if mine else 0):
            values = values_of(self._variables, one)
            if all(_holds(expression, values) is wanted for expression, wanted in wishes):
                self._add(one, "edges")
                return True
        return self._ask(wishes)

    def _ask(self, wishes: Sequence[Wish]) -> bool:
        if self._prover is None:
            from placet.solver.prover import Prover  # loads z3

            self._prover = Prover(self._variables)
        self.asked += 1
        self.undecided = False
        try:
            found = self._prover.witness(wishes)
        except Undecided:
            self.undecided = True
            return False
        if found is not None:
            self._add(found, "solver")
        return found is not None

    def _base(self) -> dict[str, Any]:
        return {name: values[0] for name, values in self._candidates.items() if values[0] is not _ABSENT}

    def _add(self, one: dict[str, Any], came: str) -> None:
        self._pool.append(one)
        self._values.append(values_of(self._variables, one))
        self._came.append(came)


def _holds(expression: Expression, values: Mapping[str, object]) -> bool | None:
    try:
        return evaluate(expression, values) is True
    except EvaluationFailed:
        return None


def _near(
    base: Mapping[str, Any], varied: Mapping[str, Sequence[Any]], every: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    """Yield inputs that differ from the base in one variable, then in two, then all together, then at random."""

    def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
        merged = {**base, **changes}
        return {name: merged[name] for name in every if merged.get(name, _ABSENT) is not _ABSENT}

    names = [name for name in varied if len(varied[name]) > 1]
    for name in names:
        for value in varied[name][1:]:
            yield changed({name: value})
    for one, other in itertools.combinations(names, 2):
        for pair in itertools.product(varied[one][1:], varied[other][1:]):
            yield changed(dict(zip((one, other), pair, strict=True)))
    if len(names) > 2:  # pairs have been tried
        draw = random.Random(0)  # noqa: S311 - for variety, and always the same
        for _ in range(MOST_DIRECTED):
            yield changed({name: draw.choice(varied[name]) for name in names})


def _candidates(
    variables: Sequence[Variable],
    conditions: Sequence[Expression],
    given: Mapping[str, Any] | None,
    people: Mapping[str, str],
) -> dict[str, list[Any]]:
    """Return for each variable the values to try, normalised; the first is what it has where it does not matter."""
    literals: dict[str, list[Any]] = {}
    for expression in conditions:
        found = list(_literals(expression.ast))
        for name in expression.names:
            literals.setdefault(name, []).extend(found)
    tried: dict[str, list[Any]] = {}
    for variable in variables:
        raw: list[Any] = []
        if given is not None and variable.name in given:
            raw.append(given[variable.name])
        elif variable.optional or (given is not None and not variable.required):
            raw.append(_ABSENT)
        else:
            raw.append(people.get(variable.name) or sample(variable))
        if variable.name in literals:
            raw += _edges(variable, literals[variable.name])
            if variable.optional:
                raw.append(_ABSENT)
        values: list[Any] = []
        for index, value in enumerate(raw):
            one = _normal(variable, value)
            if one is None and index == 0:
                one = (value,)  # the solver may know better; the core will say what is wrong with it
            if one is not None and one[0] not in values:
                values.append(one[0])
        tried[variable.name] = values
    return tried


def _normal(variable: Variable, value: Any) -> tuple[Any] | None:
    if value is _ABSENT:
        return (_ABSENT,)
    try:
        return (normalise_input([variable], {variable.name: value})[variable.name],)
    except (InputInvalid, KeyError):
        return None


def _edges(variable: Variable, literals: Sequence[Any]) -> list[Any]:
    if variable.enum is not None:
        return list(variable.enum)
    kind = variable.type
    if kind == "boolean":
        return [True, False]
    found: list[Any] = []
    for literal in literals:
        if kind == "decimal":
            found += _numbers(literal, Decimal(1), Decimal("0.01"))
        elif kind == "integer":
            found += [int(n) for n in _numbers(literal, Decimal(1)) if n == n.to_integral_value()]
        elif kind == "string" and isinstance(literal, str):
            found += [literal, "other"]
        elif kind in {"date", "datetime"} and isinstance(literal, str):
            found += _days(kind, literal)
        elif kind == "list" and variable.items is not None:
            found += [[], [literal], *([sample(variable.items)] * n for n in range(1, 4))]
    bounds = [b for b in (variable.minimum, variable.maximum) if b is not None]
    return list(dict.fromkeys(found)) + bounds if kind != "list" else found


def _numbers(literal: Any, *steps: Decimal) -> list[Decimal]:
    try:
        number = Decimal(str(literal))
    except ArithmeticError:
        return []
    return [number, *(number + s for s in steps), *(number - s for s in steps)]


def _days(kind: str, literal: str) -> list[Any]:
    try:
        at = date.fromisoformat(literal) if kind == "date" else datetime.fromisoformat(literal)
    except ValueError:
        return []
    return [(at + timedelta(days=n)).isoformat() for n in (0, 1, -1)]


def _literals(ast: Mapping[str, Any]) -> Iterator[Any]:
    waiting = [ast]
    while waiting:
        node = waiting.pop()
        if node["op"] == "literal" and not isinstance(node["value"], bool):
            yield node["value"]
        waiting.extend(node["args"])

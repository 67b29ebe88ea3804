"""Witnesses: inputs for which the conditions on a route have the results that the route needs.

Most are found by trying values at the edges that the conditions themselves name, evaluated by the core. Only where none
of these fits is the solver asked, which can also prove that no such input exists.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from placet.definition.variables import Variable, normalise_input, values_of
from placet.engine.run import APPROVED
from placet.errors import EvaluationFailed, InputInvalid
from placet.expressions import Expression, evaluate
from placet.expressions.substitution import substituted
from placet.expressions.templates import as_json
from placet.expressions.types import NAMES, NOW
from placet.plan.graph import Node
from placet.plan.plan import Plan
from placet.proofs.solver import Undecided
from placet.proofs.solver.samples import sample
from simulation.scenario.route_variables import (
    Given,
    as_expressions,
    computations_inside,
    computed_expressions,
    reads_of,
    variables_after,
)

if TYPE_CHECKING:
    from placet.proofs.solver.prover import Prover


@dataclass(frozen=True, slots=True, kw_only=True)
class PathConstraint:
    """A constraint of a route on its input.

    The result of a condition that is evaluated after the computations `steps` have run, in this order; or, without a
    condition, whether the last of these, a pure action, succeeds.
    """

    wanted: bool
    expression: Expression | None = None
    steps: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """The identity of the constraint."""
        return self.expression.source if self.expression is not None else None, self.wanted, self.steps

    @property
    def text(self) -> str | None:
        """The constraint as a part of the path condition; None where it is not about a condition."""
        if self.expression is None:
            return None
        return f"({self.expression.source})" if self.wanted else f"!({self.expression.source})"


MOST_TRIED = 64  # inputs that every path is tried with
MOST_DIRECTED = 2000  # inputs that are tried for one path before the solver is asked
_ABSENT = object()
_VariablesAfter = dict[tuple[str, ...], Given | None]  # the variables after these pure actions have run


class WitnessSearch:
    """Search inputs of one process that satisfy constraints; each input is tried once against each condition."""

    def __init__(
        self,
        plan: Plan,
        conditions: Sequence[Expression],
        *,
        variables: Sequence[Variable] | None = None,
        given: Mapping[str, Any] | None = None,
        people: Mapping[str, str] | None = None,
        context: Mapping[str, object] = MappingProxyType({}),
        seconds: float = 10.0,
    ) -> None:
        """Prepare the search; `context` is what conditions read besides variables (placet.expressions.types).

        `variables` are those of the plan, as far as their values can be had (by default, as they are declared).
        """
        self._plan = plan
        self._variables = plan.variables if variables is None else variables
        self._context = context
        self._prover: Prover | None = None
        self._end = perf_counter() + seconds  # after this time the search gives up
        self._candidates = _candidates(self._variables, conditions, given, people or {})
        self._pool: list[dict[str, Any]] = []
        self._values: list[dict[str, object]] = []
        self._computed: list[_VariablesAfter] = []
        self._time_dependent: dict[tuple[Any, ...], bool] = {}
        self._sources: list[str] = []
        self._masks: dict[tuple[Any, ...], tuple[int, int]] = {}  # by constraint: (bit mask of inputs, inputs tried)
        self._impossible: set[frozenset[tuple[Any, ...]]] = set()
        self.solver_calls = 0  # how often the solver was asked
        self.undecided = False  # whether the last search ended without an answer
        base = self._base()
        self._add(base, "given" if given is not None else "sampled")
        for one in itertools.islice(_near(base, self._candidates, self._candidates), MOST_TRIED):
            self._add(one, "edges")

    def find(self, constraints: Sequence[PathConstraint]) -> tuple[dict[str, Any], str] | None:
        """Return an input that satisfies all constraints, and its source; None where there is none.

        Where `undecided` is set afterwards, None means only that none was found.
        """
        key = frozenset(constraint.key for constraint in constraints)
        self.undecided = False
        if key in self._impossible:
            return None
        if (mask := self._mask(constraints)) or self._search_directed(constraints):
            index = ((mask or self._mask(constraints)) & -(mask or self._mask(constraints))).bit_length() - 1
            return self._pool[index], self._sources[index]
        if not self.undecided:
            self._impossible.add(key)
        return None

    def steps_after(self, steps: tuple[str, ...], node: Node, result: str, /) -> tuple[str, ...]:
        """Return the steps with an approved sub-process that only computes; what others set is a part of the input."""
        computes = result == APPROVED and computations_inside(self._plan, node) is not None
        return (*steps, node.id) if computes else steps

    def _mask(self, constraints: Sequence[PathConstraint]) -> int:
        mask = (1 << len(self._pool)) - 1
        for constraint in constraints:
            known, tried = self._masks.get(constraint.key, (0, 0))
            for index in range(tried, len(self._pool)):
                if self._satisfied(constraint, self._pool[index], self._values[index], self._computed[index]):
                    known |= 1 << index
            self._masks[constraint.key] = (known, len(self._pool))
            mask &= known
            if not mask:
                return 0
        return mask

    def _search_directed(self, constraints: Sequence[PathConstraint]) -> bool:
        if perf_counter() > self._end:
            self.undecided = True
            return False
        names = frozenset().union(*map(self._names, constraints))
        varied = {n: self._candidates[n] for n in self._candidates if n in names}
        base = self._pool[0]
        for one in itertools.islice(_near(base, varied, self._candidates), MOST_DIRECTED if varied else 0):
            if perf_counter() > self._end:
                self.undecided = True
                return False
            values, computed = self._read(one), _VariablesAfter()
            if all(self._satisfied(constraint, one, values, computed) for constraint in constraints):
                self._add(one, "edges")
                return True
        return self._ask_solver(constraints)

    def _satisfied(
        self, constraint: PathConstraint, given: Given, values: Mapping[str, object], computed: _VariablesAfter
    ) -> bool:
        """Whether an input satisfies a constraint, as the core evaluates it.

        `values` are those of the input, and `computed` those after pure actions. A constraint that depends on the time
        at which a node is reached counts as satisfied: the simulated run shows whether it is.
        """
        if self.depends_on_time(constraint):
            return True
        if constraint.steps:
            now = self._after(given, constraint.steps, computed)
            if constraint.expression is None:
                return (now is not None) is constraint.wanted
            if now is None:
                return False
            values = self._read(now)
        return constraint.expression is not None and holds(constraint.expression, values) is constraint.wanted

    def _after(self, given: Given, steps: tuple[str, ...], computed: _VariablesAfter) -> Given | None:
        if not steps:
            return given
        if steps not in computed:
            before = self._after(given, steps[:-1], computed)
            computed[steps] = None if before is None else variables_after(self._plan, before, steps[-1:], self._context)
        return computed[steps]

    def _read(self, given: Given) -> dict[str, object]:
        """Return the values that expressions are evaluated with: these variables and the context."""
        return {**values_of(self._variables, given), **self._context}

    def depends_on_time(self, constraint: PathConstraint) -> bool:
        """Whether a constraint depends on the time at which a node is reached."""
        if constraint.key not in self._time_dependent:
            own = constraint.expression.reads if constraint.expression is not None else frozenset()
            self._time_dependent[constraint.key] = NOW in own or NOW in reads_of(self._plan, constraint.steps)
        return self._time_dependent[constraint.key]

    def _names(self, constraint: PathConstraint) -> frozenset[str]:
        """Return the variables on which a constraint depends."""
        own = constraint.expression.names if constraint.expression is not None else frozenset()
        return own | (reads_of(self._plan, constraint.steps) - frozenset(NAMES))

    def _ask_solver(self, constraints: Sequence[PathConstraint]) -> bool:
        if self._prover is None:
            from placet.proofs.solver.prover import Prover  # loads z3

            self._prover = Prover(self._variables, self._plan.offsets)
        self.solver_calls += 1
        self.undecided = False
        query = self._query(self._prover, constraints)
        if query is None:
            self.undecided = True
            return False
        terms, names = query
        found: list[dict[str, Any]] = []

        def confirmed(values: dict[str, object]) -> bool:
            # Variables that do not matter keep the given value.
            kept = {name: value for name, value in self._pool[0].items() if name not in names}
            given = self._given(values)
            given = None if given is None else {n: v for n, v in given.items() if n in names} | kept
            if given is None:
                return False
            now, computed = self._read(given), _VariablesAfter()
            if all(self._satisfied(constraint, given, now, computed) for constraint in constraints):
                found.append(given)
                return True
            return False

        try:
            if self._prover.find(terms, names=names, confirmed=confirmed) is None:
                return False
        except Undecided:
            self.undecided = True
            return False
        self._add(found[-1], "solver")
        return True

    def _given(self, values: Mapping[str, object]) -> dict[str, Any] | None:
        """Return values as a normalised input; None where they are no valid input."""
        try:
            return normalise_input(self._variables, {v.name: as_json(values.get(v.name)) for v in self._variables})
        except InputInvalid:
            return None

    def _query(self, prover: Prover, constraints: Sequence[PathConstraint]) -> tuple[list[Any], set[str]] | None:
        """Return the constraints as terms of the solver, over the input; None where they cannot be expressed."""
        import z3

        terms: list[Any] = []
        names: set[str] = set()
        for constraint in constraints:
            parts = [] if self.depends_on_time(constraint) else self._parts(constraint)
            if parts is None:
                return None
            well = []
            for expression, shape in parts:
                term, fails = prover.value(expression)
                names |= expression.reads
                if shape is None:
                    well.append(term if constraint.wanted else z3.Not(term))
                    terms.append(z3.Not(fails))
                    continue
                fits = prover.fits(expression, shape)
                if fits is None:
                    return None
                well.append(z3.And(z3.Not(fails), fits))
            if constraint.expression is None and not constraint.wanted and well:
                terms.append(z3.Not(z3.And(well)))
            else:
                terms += well
        return terms, names

    def _parts(self, constraint: PathConstraint) -> list[tuple[Expression, Variable | None]] | None:
        """Return the expressions of a constraint over the input: a condition, or values with their variables."""
        if constraint.expression is not None:
            over = substituted(constraint.expression, as_expressions(self._plan, constraint.steps))
            return None if over is None else [(over, None)]
        *before, last = constraint.steps
        known = as_expressions(self._plan, before)
        shapes = {variable.name: variable for variable in self._variables}
        parts: list[tuple[Expression, Variable | None]] = []
        for name, expression in computed_expressions(self._plan, last).items():
            over = substituted(expression, known) if expression is not None else None
            if over is None:
                return None
            parts.append((over, shapes[name]))
        return parts

    def _base(self) -> dict[str, Any]:
        return {name: values[0] for name, values in self._candidates.items() if values[0] is not _ABSENT}

    def _add(self, one: dict[str, Any], source: str) -> None:
        self._pool.append(one)
        self._values.append(self._read(one))
        self._computed.append({})
        self._sources.append(source)


def holds(expression: Expression, values: Mapping[str, object]) -> bool | None:
    """Return the result of a condition; None where it fails."""
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
    """Return the values to try for each variable, normalised; the first is used where the variable does not matter."""
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
                one = (value,)  # not valid: the core reports what is wrong with it
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

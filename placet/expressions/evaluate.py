"""Evaluate a checked expression: its tree, compiled into closures, on exact values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from placet.audit.reasons import because
from placet.errors import EvaluationFailed
from placet.expressions.expression import Expression
from placet.expressions.program import BUDGET, Program, program_of

_DERIVED = "_program"


@dataclass(slots=True)
class Allowance:
    """The work that several expressions may take together, in the same steps as `BUDGET`."""

    left: int


def evaluate(expression: Expression, values: Mapping[str, object], allowance: Allowance | None = None) -> object:
    """Return the expression's value: bool, int, Decimal, str, date, datetime (UTC), a tuple for a list, a mapping.

    `values` holds a Python value for each variable (see `placet.definition.variables.values_of`); None or nothing
    stands for an absent one. Raises EvaluationFailed, which names line and column, where a value is missing or of
    another type, for a division by zero, a number that overflows, an index out of range, and where the work exceeds
    its bound, or what is left of an `allowance`.
    """
    # The closures live as long as their expression, so no cache is needed.
    program: Program | None = expression.__dict__.get(_DERIVED)
    if program is None:
        program = program_of(expression)
        expression.__dict__[_DERIVED] = program
    most = BUDGET if allowance is None else min(BUDGET, allowance.left)
    budget = [most]
    try:
        return program.run(dict(values) if program.binds else values, budget)
    except RecursionError:
        raise EvaluationFailed(because("nested_too_deep", line=1, column=1)) from None
    finally:
        if allowance is not None:
            allowance.left -= most - budget[0]

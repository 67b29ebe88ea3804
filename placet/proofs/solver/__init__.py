"""Solve conditions: find an input on which conditions hold or do not hold, or prove that there is none.

z3 does the solving; it is loaded when the first question is asked. Every answer is safe in both directions: what cannot
be said exactly is left open to the solver (so "there is none" is a proof), and an input is only returned after the real
evaluator has confirmed it on the real reading of the input.

Exact: booleans, whole numbers (64 bits), decimals, dates, moments, text with `==`, `in`, order, `size`, `startsWith`,
`endsWith`, `contains` and `+`, absent values, fields of objects, lists of up to three items, days and the calendar in
the process's zone, facts about the requester, rounding. Beyond that an answer can be `Undecided`: patterns, small
letters and numbers in texts are tried on sample texts, lists longer than three items are not looked into, a decimal
quotient is known to 33 digits, products of variables and `filter`/`map` results only as far as z3 and the samples go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from placet.definition.variables import Variable
from placet.errors import PlacetError
from placet.expressions import Expression

__all__ = ["Undecided", "witness"]


class Undecided(PlacetError):
    """The solver neither found an input nor proved that there is none, within its bounds of work and memory."""


def witness(conditions: Sequence[tuple[Expression, bool]], variables: Sequence[Variable]) -> dict[str, Any] | None:
    """Return a normalised input on which each condition evaluates to what is asked; None where there is none.

    A condition whose evaluation fails neither holds nor does not hold. The input is as `normalise_input` returns it:
    decimals and dates as text, absent optional variables left out. Raises Undecided. For many questions over the same
    variables one `placet.proofs.solver.prover.Prover` is faster.
    """
    from placet.proofs.solver.prover import Prover

    return Prover(variables).witness(conditions)

"""Whether a value fits a scalar's declaration, as a term of the solver."""

from __future__ import annotations

from typing import Any

import z3

from placet.definition.variables.shapes import MAX_LENGTH, Shape, typed
from placet.proofs.solver.symbols import Symbol, Term, constant, is_expressible
from placet.proofs.solver.texts import Texts

_KINDS = {"string": "string", "integer": "int", "decimal": "decimal", "boolean": "bool", "date": "date"} | {
    "datetime": "timestamp"
}
_LONGEST_NUMBER = 1_200  # characters of a decimal that is written as text


def literal(shape: Shape, value: Any, context: Any) -> Symbol | None:
    """Return the symbol of a literal value that fits a scalar's declaration; None where it is not known."""
    if shape.type not in _KINDS or (shape.type == "string" and not is_expressible(value)):
        return None
    kind = _KINDS[shape.type]
    term = constant(kind, typed(shape, value), context)
    return Symbol(kind=kind, absent=z3.BoolVal(False, context), term=term)


def fits(texts: Texts, symbol: Symbol, shape: Shape) -> Term | None:
    """Return whether a value keeps a scalar's declaration; None where it is of another kind, or no scalar."""
    term, context = symbol.term, texts.context
    if shape.type == "decimal" and symbol.kind == "int":
        term = z3.ToReal(term)
    elif shape.type == "string" and symbol.kind in {"decimal", "date", "timestamp"}:
        free = shape.enum is None and shape.pattern is None and (shape.min_length or 0) <= 1
        long_enough = shape.max_length is None or shape.max_length >= _LONGEST_NUMBER
        return z3.BoolVal(True, context) if free and long_enough else None
    elif _KINDS.get(shape.type) != symbol.kind:
        return None
    kind = _KINDS[shape.type]
    kept = [z3.BoolVal(True, context)]
    if shape.lowest is not None:
        kept.append(term >= constant(kind, shape.lowest, context))
    if shape.highest is not None:
        kept.append(term <= constant(kind, shape.highest, context))
    if shape.enum is not None:
        if kind == "string" and not all(is_expressible(one) for one in shape.choices):
            return None
        kept.append(z3.Or([term == constant(kind, typed(shape, one), context) for one in shape.choices]))
    if shape.scale is not None:
        kept.append(z3.IsInt(term * 10**shape.scale))
    if kind == "string":
        most = MAX_LENGTH if shape.max_length is None else shape.max_length
        kept += [z3.Length(term) >= (shape.min_length or 0), z3.Length(term) <= most]
        if shape.pattern is not None:
            kept.append(texts.matches(term, shape.pattern))
    return z3.And(kept)

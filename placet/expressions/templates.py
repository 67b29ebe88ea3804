"""Templates of values: JSON in which an object with the single key `expr` (`{"expr": "amount * 2"}`) is computed.

Everything else is taken as it is. A computed value is written as JSON: a decimal as text, a date or moment in ISO form.
An expression that is only the name of a variable without a value leaves its member out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from placet.errors import ConditionInvalid, Problem
from placet.expressions import Allowance, Expression, Scope, compile_expression, evaluate, moments
from placet.expressions.number import write_decimal
from placet.json_pointer import parts_of, pointer_to

_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTemplate:
    """JSON values in which every `{"expr": text}` stands for what the expression computes; `expressions` by text."""

    template: dict[str, Any]
    expressions: dict[str, Expression] = field(default_factory=dict)


def compile_template(template: dict[str, Any], scope: Scope, pointer: str, problems: list[Problem]) -> ValueTemplate:
    """Check every expression in JSON values; faults are added to `problems`, by pointers that begin with `pointer`."""
    expressions: dict[str, Expression] = {}
    for here, text in computed_in(template, pointer):
        if text not in expressions:
            try:
                expressions[text] = compile_expression(text, scope)
            except ConditionInvalid as error:
                problems.append(Problem(pointer=here, message=error.message))
    return ValueTemplate(template=template, expressions=expressions)


def computed_in(template: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Generate every expression in JSON values with its place; `pointer` is the place of the whole."""
    pending: list[tuple[Any, str]] = [(template, pointer)]
    while pending:
        value, here = pending.pop()
        if isinstance(value, dict):
            text = expression_of(value) if here != pointer else None
            if text is None:
                pending += [(inner, pointer_to(here, key)) for key, inner in reversed(value.items())]
            else:
                yield f"{here}/expr", text
        elif isinstance(value, list | tuple):
            pending += [(inner, pointer_to(here, index)) for index, inner in reversed(list(enumerate(value)))]


def fill(filling: ValueTemplate, values: Mapping[str, object], allowance: Allowance | None = None) -> dict[str, Any]:
    """Return the JSON values with everything computed, within the allowance; raises EvaluationFailed."""
    filled: dict[str, Any] = {}
    for name, value in filling.template.items():
        found = _filled(value, filling.expressions, values, allowance)
        if found is not _ABSENT:
            filled[name] = found
    return filled


def value_from(output: Any, source: str) -> Any:
    """Return the value at a field, or at a JSON Pointer, of a result; None where there is none."""
    for part in parts_of(source) if source[:1] == "/" else [source]:
        if isinstance(output, Mapping):
            output = output.get(part)
        elif isinstance(output, Sequence) and not isinstance(output, str) and part.isdecimal():
            output = output[int(part)] if int(part) < len(output) else None
        else:
            return None
    return output


def as_json(value: object) -> Any:
    """Return a computed value as JSON."""
    if isinstance(value, Decimal):
        return write_decimal(value)
    if isinstance(value, date):
        return moments.write(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return value


def expression_of(value: object) -> str | None:
    """Return the expression of a computed value; None for a literal one."""
    text = value.get("expr") if isinstance(value, Mapping) and len(value) == 1 else None
    return text if isinstance(text, str) else None


def _filled(
    value: Any, expressions: Mapping[str, Expression], values: Mapping[str, object], allowance: Allowance | None
) -> Any:
    if isinstance(value, Mapping):
        text = expression_of(value)
        if text is not None:
            expression = expressions[text]
            if expression.ast["op"] == "name" and values.get(expression.ast["name"]) is None:
                return _ABSENT
            return as_json(evaluate(expression, values, allowance))
        inner = {key: _filled(one, expressions, values, allowance) for key, one in value.items()}
        return {key: one for key, one in inner.items() if one is not _ABSENT}
    if isinstance(value, list | tuple):
        items = [_filled(one, expressions, values, allowance) for one in value]
        return [one for one in items if one is not _ABSENT]
    return value

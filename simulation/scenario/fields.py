"""Fields: the values that a field of a form or a result may have, by its schema and by the variable that it sets.

A variable has a value in one form (a decimal is text), and its field may ask for another (a number, text with two
digits after the point). Only a value that both accept can come from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from placet.definition.json_schema.validation import schema_problems, value_problems
from placet.definition.variables import Variable, normalise_input
from placet.errors import InputInvalid
from placet.expressions.patterns import PatternInvalid, compile_pattern
from placet.expressions.templates import value_from
from placet.json_pointer import parts_of, pointer_of
from placet.nodes.registry import type_at
from placet.plan.graph import Node
from placet.plan.plan import Plan
from placet.proofs.solver.samples import sample

_FINEST = 12  # digits after the point that a variable may declare
_MOST_CHOICES = 1_000  # that a variable may declare


def with_fields(
    schema: Mapping[str, Any] | None,
    sampled: Mapping[str, Any],
    sources: Mapping[str, str],
    variables: Sequence[Variable],
    required_values: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a sample object in which each field that sets a variable has a value that both accept.

    `sources` are the fields by variable, and `required_values` the values that variables have to get where their fields
    can have them; None where there is to be no value. A field for which nothing fits stays as it was sampled.
    """
    shapes = {variable.name: variable for variable in variables}
    whole = dict(sampled)
    schema = dict(schema or {})
    usable = not schema_problems(schema, "")
    for name, source in sources.items():
        if name in required_values and required_values[name] is None:
            whole = put_value(whole, source, None)
            continue
        wanted = (required_values[name],) if name in required_values else ()
        values = (*wanted, *_usual(schema, whole, source, shapes[name]))
        written = (put_value(whole, source, one) for value in values for one in _writings(shapes[name], value))
        found = next((one for one in written if usable and _takes(schema, whole, one, source)), None)
        if found is not None:
            whole = found
        elif value_from(whole, source) is None:
            whole = put_value(whole, source, sample(shapes[name]))
    return whole


def put_value(sampled: Any, source: str, value: Any) -> dict[str, Any]:
    """Return a copy of an object with a value set at a field or JSON Pointer; None removes the field."""
    *outer, last = _place(source)
    whole: dict[str, Any] = dict(sampled) if isinstance(sampled, Mapping) else {}
    place = whole
    for part in outer:
        inner = place.get(part)
        place[part] = place = dict(inner) if isinstance(inner, Mapping) else {}
    place.pop(last, None)
    if value is not None:
        place[last] = value
    return whole


def variables_from_outside(plan: Plan, given: Mapping[str, Any]) -> tuple[Variable, ...]:
    """Return the variables of a process, narrowed to what can come from outside.

    A variable is narrowed where its value comes from the field of one form or result alone, and not from the input.
    """
    setting = [node for node in plan.nodes.values() if node.sources]
    times = Counter(name for node in setting for name in node.sources)
    fields = {
        name: _field(schema, source)
        for node in setting
        if (schema := _schema(plan, node)) is not None
        for name, source in node.sources.items()
        if times[name] == 1
    }
    return tuple(
        variable
        if variable.required or variable.name in given or variable.name not in fields
        else _narrowed(variable, fields[variable.name])
        for variable in plan.variables
    )


def _schema(plan: Plan, node: Node) -> Mapping[str, Any] | None:
    """Return the schema of what a node takes its values from."""
    if type_at(node).runs_action and node.calls is not None:
        return plan.actions[node.calls].output_schema
    return node.asked.form if node.asked is not None else None


def _place(source: str) -> list[str]:
    return parts_of(source) if source[:1] == "/" else [source]


def _field(schema: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Return the schema of a field; an empty one where the plain keywords do not say it."""
    found: Any = schema
    for part in _place(source):
        inner = found.get("properties") if isinstance(found, Mapping) else None
        found = inner.get(part) if isinstance(inner, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _kinds(field: Mapping[str, Any]) -> set[str]:
    kind = field.get("type", ())
    return {kind} if isinstance(kind, str) else set(kind)


def _narrowed(variable: Variable, field: Mapping[str, Any]) -> Variable:
    """Return the variable with the choices and the bounds of its field, as far as a declaration can say them."""
    kinds, changes = _kinds(field) - {"null"}, dict[str, Any]()
    numeric = bool(kinds) and kinds <= {"integer", "number"}
    if variable.type in {"integer", "decimal"} and numeric:
        changes |= _bounds(variable, field)
    if variable.type == "decimal" and numeric and (digits := _digits(field, kinds)) is not None:
        changes["scale"] = digits if variable.scale is None else min(digits, variable.scale)
    if variable.type == "string":
        changes |= _text_facts(variable, field)
    choices = [field["const"]] if "const" in field else field.get("enum", variable.enum)
    try:
        narrowed = _changed(variable, **changes, enum=None, default=None)
        if choices is not None and variable.type not in {"boolean", "list", "object"}:
            own = _changed(narrowed, enum=variable.enum and _fitting(narrowed, variable.enum))
            narrowed = _changed(own, enum=_fitting(own, choices))
        default = _fitting(narrowed, (variable.default,))
        return _changed(narrowed, default=variable.default) if default else narrowed
    except ValueError:  # both together allow nothing
        return variable


def _changed(variable: Variable, **changes: Any) -> Variable:
    return Variable(**{**{name: getattr(variable, name) for name in Variable.model_fields}, **changes})


def _fitting(variable: Variable, values: Iterable[Any]) -> tuple[Any, ...]:
    """Return the values that fit a variable, as it has them, each once."""
    found = [canonical(variable, value) for value in values if value is not None]
    return tuple(value for n, value in enumerate(found) if value is not None and value not in found[:n])[:_MOST_CHOICES]


def _bounds(variable: Variable, field: Mapping[str, Any]) -> dict[str, Any]:
    whole = variable.type == "integer"
    low, high = _number(field.get("minimum")), _number(field.get("maximum"))
    above, below = _number(field.get("exclusiveMinimum")), _number(field.get("exclusiveMaximum"))
    lows = [low if low is None or not whole else low.to_integral_value(ROUND_CEILING)]
    lows += [above.to_integral_value(ROUND_FLOOR) + 1 if above is not None and whole else None]
    highs = [high if high is None or not whole else high.to_integral_value(ROUND_FLOOR)]
    highs += [below.to_integral_value(ROUND_CEILING) - 1 if below is not None and whole else None]
    found: dict[str, Any] = {}
    for key, numbers, closest in (("minimum", lows, max), ("maximum", highs, min)):
        own = getattr(variable, key)
        known = [n for n in (*numbers, None if own is None else Decimal(str(own))) if n is not None]
        if known:
            number = closest(known)
            found[key] = int(number) if number == number.to_integral_value() else str(number)
    return found


def _number(value: Any) -> Decimal | None:
    return None if isinstance(value, bool) or not isinstance(value, int | float) else Decimal(str(value))


def _digits(field: Mapping[str, Any], kinds: set[str]) -> int | None:
    """Return how many digits after the point the schema of a number allows; None where it does not say."""
    if kinds == {"integer"}:
        return 0
    step = _number(field.get("multipleOf"))
    return next((digits for digits in range(_FINEST + 1) if step == Decimal(1).scaleb(-digits)), None)


def _text_facts(variable: Variable, field: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    least, most, pattern = field.get("minLength"), field.get("maxLength"), field.get("pattern")
    if isinstance(least, int):
        found["min_length"] = max(least, variable.min_length or 0)
    if isinstance(most, int):
        found["max_length"] = most if variable.max_length is None else min(most, variable.max_length)
    if isinstance(pattern, str) and variable.pattern is None:
        try:
            compile_pattern(pattern)
        except PatternInvalid:
            return found
        found["pattern"] = pattern
    return found


def canonical(variable: Variable, value: Any) -> Any:
    """Return a value as the variable has it; None where it does not fit."""
    try:
        return normalise_input([variable], {variable.name: value}).get(variable.name)
    except InputInvalid:
        return None


def _usual(schema: Mapping[str, Any], whole: Mapping[str, Any], source: str, variable: Variable) -> Iterator[Any]:
    """Generate values to try where none is required: what the schema's sample has, and what the variable's has."""
    field = _field(schema, source)
    narrowed = _narrowed(variable, field)
    yield value_from(whole, source)
    yield sample(narrowed)
    yield from narrowed.enum or ()
    yield from (n for n in (narrowed.minimum, narrowed.maximum) if n is not None)
    for key, step in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        if (number := _number(field.get(key))) is not None:
            yield number + step


def _writings(variable: Variable, value: Any) -> Iterator[Any]:
    """Generate the ways to write a value in JSON that the variable reads as this value."""
    known = canonical(variable, value) if value is not None else None
    if known is None:
        return
    yield known
    if variable.type == "decimal":
        number = Decimal(known)
        others = (int(number) if number == number.to_integral_value() else float(number), f"{number:.2f}")
        yield from (other for other in others if canonical(variable, other) == known)  # without rounding


def _takes(schema: dict[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], source: str) -> bool:
    """Whether a field has a value that its schema accepts, which breaks nothing else."""
    place = pointer_of(_place(source))
    problems = {(problem.pointer, str(problem.message)) for problem in value_problems(schema, after, "")}
    if not problems:
        return True
    if any(f"{pointer}/".startswith(f"{place}/") for pointer, _ in problems):
        return False
    return problems <= {(problem.pointer, str(problem.message)) for problem in value_problems(schema, before, "")}

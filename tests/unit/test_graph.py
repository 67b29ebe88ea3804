"""What a compiled node says of itself, whatever its type, leaves none of its fields out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from itertools import count
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from placet.expressions import Expression
from placet.plan.graph import Node

NUMBERS = count()
# The texts in a node that name no person and are the place of no value: a new field is to be added here, or to what a
# node says of itself. What a repetition names is the owner, whom the plan itself names.
OTHER_TEXTS = {
    "id",
    "type",
    "outcome",
    "edges/target",
    "edges/on",
    "frames/fork",
    "join/fork",
    "call_spec/name",
    "call_spec/input/template",
    "values/template",
    "wait_spec/event",
    "stage/name",
    "stage/form",
    "stage/comment_required",
    "stage/sign/reasons",
    "repetition/name",
    "repetition/approvers/who",
    "repetition/levels/to",
    "repetition/form",
    "repetition/comment_required",
    "repetition/sign/reasons",
}


def filled(kind: Any) -> Any:
    """Return a value of a type with every field and every collection filled, and with no text twice."""
    of, parts = get_origin(kind), get_args(kind)
    if kind is Expression:
        return Expression(source=f"e{next(NUMBERS)}", ast={"op": "name", "name": "x", "args": [], "type": "bool"})
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{one.name: filled(hints[one.name]) for one in fields(kind)})
    if of in {Union, UnionType}:
        return filled(next(part for part in parts if part is not NoneType))
    if of is tuple:
        return tuple(filled(part) for part in parts if part is not Ellipsis)
    if of is dict:
        return {filled(parts[0]): filled(parts[1])}
    if of is Literal:
        return parts[0]
    plain: dict[Any, Any] = {bool: True, int: 1, float: 1.0, timedelta: timedelta(hours=1)}
    return plain[kind] if kind in plain else f"t{next(NUMBERS)}"


def leaves(kind: Any, value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Generate the texts, expressions and items of dictionaries in a value of a type, each with its place."""
    of, parts = get_origin(kind), get_args(kind)
    if of in {Union, UnionType}:
        yield from leaves(next(part for part in parts if part is not NoneType), value, place)
    elif of is tuple:
        for part in value:
            yield from leaves(parts[0], part, place)
    elif of is dict:
        ((key, inner),) = value.items()
        yield place, inner if isinstance(inner, Expression) else (key, inner)
    elif is_dataclass(kind) and kind is not Expression:
        for one in fields(kind):
            inner = f"{place}/{one.name}".lstrip("/")
            yield from leaves(get_type_hints(kind)[one.name], getattr(value, one.name), inner)
    elif kind in {Expression, str}:
        yield place, value


NODE: Node = filled(Node)
LEAVES = list(leaves(Node, NODE))


def test_a_node_tells_every_expression_in_it() -> None:
    expressions = [value for _, value in LEAVES if isinstance(value, Expression)]
    assert len(expressions) == 6
    assert sorted(e.source for e in NODE.expressions) == sorted(e.source for e in expressions)


def test_a_node_tells_every_name_and_every_place_of_a_value_in_it() -> None:
    told = {*NODE.names, *NODE.sources.items()}
    texts = [(place, value) for place, value in LEAVES if not isinstance(value, Expression)]
    assert {place for place, value in texts if value not in told} == OTHER_TEXTS
    assert told <= {value for _, value in texts}


def test_a_node_tells_what_it_runs_and_what_it_waits_for() -> None:
    found = dict(LEAVES)
    assert (NODE.calls, NODE.event) == (found["call_spec/name"], found["wait_spec/event"])
    empty = Node(id="n", type="trigger")
    assert (empty.calls, empty.event, empty.asked) == (None, None, None)
    assert (empty.names, empty.sources, empty.expressions) == (frozenset(), {}, ())

"""Substitution: replace variables in an expression by the expressions that they were computed from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placet.expressions.expression import Expression, Node
from placet.expressions.types import Type

MOST_NODES = 2_000  # of what comes of it


def constant(value: Any, of: Type) -> Expression:
    """Return the expression that stands for a scalar in canonical JSON
    (`placet.definition.variables.normalise_input`)."""
    source = f"{value}" if of.number else repr(value)
    node = {"op": "literal", "type": of.present.described(), "at": 0, "args": [], "value": value}
    return Expression(source=source, ast=node)


def widened(expression: Expression, of: Type) -> Expression | None:
    """Return an expression as one of this scalar type; None where its values are of another."""
    described = of.present.described()
    if expression.ast["type"] == described:
        return expression
    if described == "decimal" and expression.ast["type"] == "int":
        node = {"op": "decimal", "type": "decimal", "at": 0, "args": [expression.ast]}
        return Expression(source=f"decimal({expression.source})", ast=node)
    return None


def substituted(expression: Expression, given: Mapping[str, Expression | None]) -> Expression | None:
    """Return the expression with variables replaced by what they were computed from, each of the variable's own type.

    None where it reads a variable of which that is not known (its value is None), or where it would get too long.
    """
    read = expression.names & given.keys()
    if not read:
        return expression
    if any(given[name] is None for name in read):
        return None
    places: list[tuple[int, str, Expression]] = []
    ast = _replaced(expression.ast, {name: made for name in read if (made := given[name]) is not None}, places)
    if _size(ast) > MOST_NODES:
        return None
    return Expression(source=_text(expression.source, places), ast=ast)


def _replaced(node: Node, given: Mapping[str, Expression], places: list[tuple[int, str, Expression]]) -> Node:
    if node["op"] == "name" and node["name"] in given:
        made = given[node["name"]]
        places.append((node["at"], node["name"], made))
        return made.ast
    return {**node, "args": [_replaced(arg, given, places) for arg in node["args"]]}


def _text(source: str, places: list[tuple[int, str, Expression]]) -> str:
    """Write the expression as its author would have; where a name does not stand in the text, say what it is."""
    told: list[str] = []
    for at, name, made in sorted(set(places), key=lambda place: place[0], reverse=True):
        if source[at : at + len(name)] == name:
            source = f"{source[:at]}({made.source}){source[at + len(name) :]}"
        else:
            told.append(f"{name} = {made.source}")
    return source + (f" /* {', '.join(told)} */" if told else "")


def _size(node: Node) -> int:
    return 1 + sum(_size(arg) for arg in node["args"])

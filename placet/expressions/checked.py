"""A part of an expression that has been checked: the node that is stored for it, and its type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from placet.expressions.expression import Node
from placet.expressions.types import DECIMAL, INT, Type, list_of
from placet.sentences import sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A node and its type. `path` tells whether it may be absent at run time."""

    node: Node
    type: Type
    path: bool = False


def typed(op: str, of: Type, at: int, args: Iterable[Checked] = (), **more: Any) -> Checked:
    """Return what an operator makes of its arguments; `at` is its place in the text, `more` what else is stored."""
    node = {"op": op, "type": of.present.described(), "at": at, "args": [arg.node for arg in args], **more}
    return Checked(node=node, type=of.present)


def optional(checked: Checked) -> Checked:
    """Return the same of a variable, a field or an item."""
    return replace(checked, path=True)


def widened(checked: Checked) -> Checked:
    """Turn an int into the equal decimal, a list of ints into the list of equal decimals."""
    node = checked.node
    if checked.type.kind == "int" and node["op"] == "literal":
        return typed("literal", DECIMAL, node["at"], value=str(node["value"]))
    of = DECIMAL if checked.type.kind == "int" else list_of(DECIMAL)
    return typed("decimal", of, node["at"], [checked])


def alike(left: Checked, right: Checked) -> tuple[Checked, Checked] | None:
    """Bring two operands to one type, None where they have none in common."""
    if left.type == right.type:
        return left, right
    decimals = (DECIMAL, list_of(DECIMAL))
    for of, narrow in zip(decimals, (INT, list_of(INT)), strict=True):
        if {left.type, right.type} == {of, narrow}:
            return (left, widened(right)) if left.type == of else (widened(left), right)
    return None


def said(of: Type) -> str:
    """Return the name of a type for a sentence: a string, an int."""
    text = str(of)
    return sentence("an {type}", type=text) if text[0] in "aeiou" else sentence("a {type}", type=text)


def holds_object(of: Type) -> bool:
    """Tell whether a type is an object, or a list that has objects in it."""
    return of.kind == "object" or (of.item is not None and holds_object(of.item))

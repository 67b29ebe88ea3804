"""Approvers that an expression chooses: each possible name, with the condition under which it is chosen.

The possible names stand in the text: quoted names, and variables that hold people, alone, in a list, or on the sides of
`? :`. So the people a request may need are known beforehand, and a proof can tell when each of them is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from placet.definition.assignees import parse_assignee
from placet.errors import BlueprintInvalid, ConditionInvalid
from placet.expressions import Expression, Scope, compile_expression
from placet.expressions.expression import Node, place
from placet.expressions.syntax import parse
from placet.expressions.types import STRING, list_of
from placet.sentences import sentence

MOST_NAMES = 20  # of one expression: each carries the whole condition under which it is chosen

_GIVES = sentence(
    'an approver\'s expression gives names: quoted ones such as "role:cfo", or variables that hold people, alone, in a '
    "list, or chosen by ? and :"
)


def choices(text: str, scope: Scope) -> list[tuple[str, Expression | None]]:
    """Return the names that an expression may come to, each with when it does (None: always).

    Raises ConditionInvalid.
    """
    whole = compile_expression(text, scope)
    found: dict[str, list[Node | None]] = {}
    for count, (name, guard) in enumerate(_names(text, whole.ast, None), 1):
        if count > MOST_NAMES:
            raise ConditionInvalid(
                sentence(
                    "line 1, column 1: an approver is chosen among at most {most_names} names; split it",
                    most_names=MOST_NAMES,
                )
            )
        found.setdefault(name, []).append(guard)
    return [(name, _any(text, name, guards)) for name, guards in found.items()]


def names_in(text: str) -> list[str]:
    """Return the quoted names of an expression, as far as it can be read without the variables' types."""
    try:
        pending = [parse(text)]
    except ConditionInvalid:
        return []
    found: list[str] = []
    while pending:
        syntax = pending.pop()
        if syntax.kind == "string":
            found.append(syntax.value)
        elif syntax.kind == "name":
            found.append(f"input:{syntax.name}")
        elif syntax.kind == "list":
            pending += reversed(syntax.args)
        elif syntax.name == "_?_:_":
            pending += reversed(syntax.args[1:])
    return list(dict.fromkeys(name for name in found if _is_name(name)))


def _is_name(text: str) -> bool:
    try:
        parse_assignee(text)
    except BlueprintInvalid:
        return False
    return True


def _names(text: str, node: Node, guard: Node | None) -> Iterator[tuple[str, Node | None]]:
    if node["op"] == "if":
        test, yes, no = node["args"]
        yield from _names(text, yes, _both(guard, test))
        yield from _names(text, no, _both(guard, _not(test)))
    elif node["op"] == "list":
        for item in node["args"]:
            yield from _names(text, item, guard)
    elif node["op"] == "literal" and node["type"] == "string":
        try:
            parse_assignee(node["value"])
        except BlueprintInvalid as error:
            raise ConditionInvalid(
                sentence("{text}: {message}", text=place(text, node["at"]), message=error.message)
            ) from None
        yield node["value"], guard
    elif node["op"] == "name" and node["type"] == STRING.described():
        yield f"input:{node['name']}", guard
    elif node["op"] == "name" and node["type"] == list_of(STRING).described():
        yield f"inputs:{node['name']}", guard
    else:
        raise ConditionInvalid(sentence("{text}: {gives}", text=place(text, node["at"]), gives=_GIVES))


def _any(text: str, name: str, guards: list[Node | None]) -> Expression | None:
    if None in guards:
        return None
    whole, *others = [guard for guard in guards if guard is not None]
    for other in others:
        whole = _node("or", whole, other)
    # Conditions are told apart by their text.
    return Expression(source=f"{text} /* {name} */", ast=whole)


def _both(one: Node | None, other: Node) -> Node:
    return other if one is None else _node("and", one, other)


def _not(node: Node) -> Node:
    return _node("not", node)


def _node(op: str, *args: Node) -> Node:
    made: dict[str, Any] = {"op": op, "type": "bool", "at": args[0]["at"], "args": list(args)}
    return made

"""A checked expression: what a plan stores and `evaluate` runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

from placet.expressions.functions import needs_zone
from placet.expressions.types import NOW, REQUESTER, ZONE, Type, type_from
from placet.sentences import sentence

Node: TypeAlias = dict[str, Any]  # its shape is in the docstring of placet.expressions


_LOOKING = {"matches", "contains", "startsWith", "endsWith", "in", "call"}


@dataclass(frozen=True, kw_only=True)
class Expression:
    """An expression's text and its checked tree. Both are plain JSON; treat the tree as immutable."""

    source: str
    ast: Node

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the variables that the expression reads."""
        found: set[str] = set()
        pending = [self.ast]
        while pending:
            node = pending.pop()
            if node["op"] == "name":
                found.add(node["name"])
            pending.extend(node["args"])
        return frozenset(found)

    @cached_property
    def world(self) -> frozenset[str]:
        """Return what it reads that no variable holds (placet.expressions.types): moment, zone, requester."""
        found: set[str] = set()
        pending = [self.ast]
        while pending:
            node = pending.pop()
            op = node["op"]
            if op in {"now", "today"}:
                found.add(NOW)
            if op == "requester":
                found.add(REQUESTER)
            if op == "today" or (op == "call" and needs_zone(node["function"], _types(node))):
                found.add(ZONE)
            pending.extend(node["args"])
        return frozenset(found)

    @property
    def reads(self) -> frozenset[str]:
        """Return what its value depends on: variables, and the moment and the requester where it asks for them."""
        return self.names | (self.world & {NOW, REQUESTER})

    @cached_property
    def work_grows_with_values(self) -> bool:
        """Say whether its work grows with the length of its values, as where it goes through a list or a text."""
        pending = [self.ast]
        while pending:
            node = pending.pop()
            of = node["type"]
            if isinstance(of, dict):
                of = of.get("optional", of)
            joins = node["op"] == "add" and of == "string"
            if node["op"] in _LOOKING or joins or (isinstance(of, dict) and "list" in of):
                return True
            pending.extend(node["args"])
        return False

    def __hash__(self) -> int:
        """Hash by the text: the tree is a dictionary."""
        return hash(self.source)

    def __getstate__(self) -> dict[str, Any]:
        """Leave derived values (compiled closures) out of copies and pickles."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _types(node: Node) -> list[Type]:
    return [type_from(arg["type"]) for arg in node["args"]]


def place(source: str, at: int) -> str:
    """Return `line L, column C` for an offset."""
    line, column = position(source, at)
    return sentence("line {line}, column {column}", line=line, column=column)


def position(source: str, at: int) -> tuple[int, int]:
    """Return line and column (both from 1, in characters) of an offset."""
    before = source[: max(at, 0)]
    return before.count(chr(10)) + 1, len(before) - before.rfind(chr(10))

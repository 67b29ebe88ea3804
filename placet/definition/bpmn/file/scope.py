"""Scope: the types of a file's variables, inferred from their use, and its expressions in the blueprint's language.

A file's expressions are read one after the other, and what one says of a variable holds for the next. An expression
that contradicts what is known is refused, and has said nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from placet.definition.bpmn.file.terms import Term, Unclear, moment_of
from placet.definition.bpmn.file.words import slug
from placet.definition.variables.shapes import RESERVED
from placet.sentences import sentence

_ORDERING = {"lt", "le", "gt", "ge"}
_SIGNS = {
    "or": "||", "and": "&&", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "in": "in",
    "add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%",
}  # fmt: skip
_BINDS = {"if": 0, "or": 1, "and": 2, "add": 4, "sub": 4, "mul": 5, "div": 5, "mod": 5, "neg": 6, "not": 6}
_COMPARES = 3
_VALUE = 7
_KINDS = {"string": "text", "integer": "number", "decimal": "number", "boolean": "bool", "date": "date"}
_TYPES = {"text": "string", "number": "decimal", "bool": "boolean", "date": "date", "timestamp": "datetime"}
_MOST_MEMBERS = 200


@dataclass(slots=True, eq=False)
class ValueKind:
    """The inferred type of one value: `of` is text, number, bool, date, timestamp, list, object, or None so far."""

    of: str | None = None
    fields: dict[str, ValueKind] = field(default_factory=dict)
    item: ValueKind | None = None
    same: ValueKind | None = None  # the one that it has become one with
    absent: bool = False  # whether something asks if it is there
    ordered: bool = False
    whole: bool = False  # whole numbers only

    def state(self) -> Callable[[], None]:
        """Return what makes this what it is now again."""
        names = ("of", "item", "same", "absent", "ordered", "whole")
        values, fields = [getattr(self, name) for name in names], dict(self.fields)

        def restore() -> None:
            for name, value in zip(names, values, strict=True):
                setattr(self, name, value)
            self.fields = fields

        return restore

    def root(self) -> ValueKind:
        """Return the one that stands for all that are the same."""
        found = self
        while found.same is not None:
            found = found.same
        return found


@dataclass(slots=True)
class Scope:
    """The variables of a file by their names in the blueprint, and how each is called in the file."""

    kinds: dict[str, ValueKind] = field(default_factory=dict)
    spelled: dict[str, str] = field(default_factory=dict)  # in the file -> in the blueprint

    def name_of(self, spelling: str) -> str:
        """Return the blueprint's name of a variable."""
        found = self.spelled.get(spelling)
        if found is None:
            plain = spelling if _usable(spelling) else slug(spelling, "value")
            found, number = plain, 1
            while found in self.spelled.values():
                number += 1
                found = f"{plain[:58]}_{number}"
            self.spelled[spelling] = found
        return found

    def declare(self, spelling: str, kind: str) -> str:
        """Say what type of the blueprint a variable has, where that is not known to be another; returns its name."""
        name = self.name_of(spelling)
        known = self.kinds.setdefault(name, ValueKind()).root()
        if known.of is None and kind in {*_KINDS, "datetime"}:
            known.of = _KINDS.get(kind, "timestamp")
            known.whole = kind == "integer"
        elif known.of is None and kind == "list":
            known.of, known.item = "list", ValueKind("text")
        return name

    def condition(self, term: Term) -> str:
        """Return a condition as the blueprint writes it; raises Unclear."""
        return self.expression(term, "bool")

    def expression(self, term: Term, of: str | None = None) -> str:
        """Return any expression, or one of a kind; raises Unclear."""
        return self.written(self.understood(term, of))

    def understood(self, term: Term, of: str | None = None) -> Term:
        """Return an expression with the names of the blueprint and its sides of one kind; raises Unclear."""
        names = [self.spelled[name] for name in term.names() if name in self.spelled]
        before = [kind.state() for kind in _reachable(self.kinds[name] for name in names if name in self.kinds)]
        known, spelled = len(self.kinds), len(self.spelled)
        try:
            read, kind = self.read(term)
            if of is not None:
                _unite(kind, ValueKind(of))
        except Unclear:
            for restore in before:
                restore()
            for names_of, count in ((self.kinds, known), (self.spelled, spelled)):
                for name in list(names_of)[count:]:
                    del names_of[name]
            raise
        return read

    def kind_of(self, term: Term) -> str | None:
        """Return the kind of an expression that was understood before, None where it is not known."""
        if term.op == "name":
            kind = self.kinds.get(str(term.value))
        elif term.op == "field":
            inner = self._kind(term.args[0])
            kind = inner.fields.get(str(term.value)) if inner is not None else None
        else:
            return term.op if term.op in _TYPES else None
        return kind.root().of if kind is not None else None

    def may_be_absent(self, term: Term) -> bool:
        """Say whether something asks if an expression, that was understood before, is there."""
        kind = self._kind(term)
        return kind is not None and kind.absent

    def _kind(self, term: Term) -> ValueKind | None:
        if term.op == "name":
            found = self.kinds.get(str(term.value))
        else:
            inner = self._kind(term.args[0]) if term.op == "field" else None
            found = inner.fields.get(str(term.value)) if inner is not None else None
        return found.root() if found is not None else None

    # Reading

    def read(self, term: Term) -> tuple[Term, ValueKind]:
        """Return the term with its names as the blueprint has them, and what it is."""
        op = term.op
        if op == "name":
            name = self.name_of(str(term.value))
            return Term("name", value=name), self.kinds.setdefault(name, ValueKind())
        if op in {"text", "number", "bool", "date", "timestamp"}:
            return term, ValueKind(op)
        if op == "null":
            return term, ValueKind()
        if op == "field":
            return self.member(term)
        args, kinds = zip(*(self.read(arg) for arg in term.args), strict=True) if term.args else ((), ())
        return self.applied(op, list(args), list(kinds))

    def member(self, term: Term) -> tuple[Term, ValueKind]:
        of, kind = self.read(term.args[0])
        base = kind.root()
        if base.of is None:
            base.of = "object"
        if base.of != "object":
            raise Unclear(sentence("{value!r} is asked of what has no members", value=term.value))
        name = str(term.value) if _usable(str(term.value)) else slug(str(term.value), "member")
        if len(base.fields) >= _MOST_MEMBERS:
            raise Unclear("it has too many members")
        return Term("field", (of,), value=name), base.fields.setdefault(name, ValueKind())

    def applied(self, op: str, args: list[Term], kinds: list[ValueKind]) -> tuple[Term, ValueKind]:
        found = Term(op, tuple(args))
        if op in {"and", "or", "not"}:
            _all(kinds, "bool")
        elif op in {"eq", "ne", *_ORDERING}:
            found = _compared(op, args, kinds)
        elif op in {"add", "sub", "mul", "div", "mod", "neg"}:
            _unite(kinds[0], kinds[-1])
            if op != "add" or kinds[0].root().of not in {"text", "list"}:
                _all(kinds, "number")
            return found, kinds[0]
        elif op == "if":
            _all(kinds[:1], "bool")
            _unite(kinds[1], kinds[2])
            return found, kinds[1]
        elif op == "list":
            item = ValueKind()
            for kind in kinds:
                _unite(item, kind)
            return found, ValueKind("list", item=item)
        elif op in {"size", "index", "in"}:
            return self.of_list(found, kinds)
        elif op == "contains" and kinds[0].root().of == "list":
            return self.of_list(Term("in", (args[1], args[0])), kinds[::-1])
        elif op in {"contains", "startsWith", "endsWith"}:
            _all(kinds, "text")
        elif op == "empty":
            kinds[0].root().absent = True
        else:
            raise Unclear(sentence("{op!r} has no counterpart", op=op))
        return found, ValueKind("bool")

    def of_list(self, term: Term, kinds: list[ValueKind]) -> tuple[Term, ValueKind]:
        """Hold what is counted, looked into or searched to be a list."""
        if term.op == "size":
            if kinds[0].root().of != "text":
                _unite(kinds[0], ValueKind("list", item=ValueKind()))
            return term, ValueKind("number")
        listed = kinds[1] if term.op == "in" else kinds[0]
        _unite(listed, ValueKind("list", item=ValueKind()))
        item = listed.root().item or ValueKind()
        if term.op == "index":
            return term, item
        _unite(item, kinds[0])
        return term, ValueKind("bool")

    # Writing

    def written(self, term: Term, above: int = 0) -> str:
        """Write a term that was read as CEL, in brackets where what is above it binds more tightly."""
        op, args = term.op, term.args
        binds = _BINDS.get(op, _COMPARES if op in _SIGNS else _VALUE)
        text = self.plain(term)
        if text is None:
            if op == "if":
                one, two, three = (self.written(arg, 1) for arg in args)
                text = f"{one} ? {two} : {three}"
            elif op in {"not", "neg"}:
                text = ("!" if op == "not" else "-") + self.written(args[0], 6)
            elif op == "empty":
                text, binds = self.emptiness(args[0])
            else:
                left = self.written(args[0], binds + (1 if binds == _COMPARES else 0))
                text = f"{left} {_SIGNS[op]} {self.written(args[1], binds + 1)}"
        return f"({text})" if binds < above else text

    def plain(self, term: Term) -> str | None:
        op, args = term.op, term.args
        if op == "text":
            return json.dumps(str(term.value), ensure_ascii=False)
        if op in {"date", "timestamp"}:
            return f'{op}("{term.value}")'
        if op in {"name", "number"}:
            return str(term.value)
        if op in {"bool", "null"}:
            return "null" if op == "null" else str(term.value).lower()
        if op == "field":
            return f"{self.written(args[0], _VALUE)}.{term.value}"
        if op == "index":
            return f"{self.written(args[0], _VALUE)}[{self.written(args[1])}]"
        if op == "list":
            return "[" + ", ".join(self.written(arg) for arg in args) + "]"
        if op == "size":
            return f"size({self.written(args[0])})"
        if op in {"contains", "startsWith", "endsWith"}:
            return f"{self.written(args[0], _VALUE)}.{op}({self.written(args[1])})"
        return None

    def emptiness(self, of: Term) -> tuple[str, int]:
        text = self.written(of, _COMPARES + 1)
        kind = self.kind_of(of)
        if kind == "text":
            return f'{text} == null || {text} == ""', 1
        return (f"{text} == null || size({text}) == 0", 1) if kind == "list" else (f"{text} == null", _COMPARES)

    def shape(self, name: str) -> dict[str, Any]:
        """Return what is declared of a variable: its type, and whether it has to be there."""
        kind = self.kinds.get(name, ValueKind()).root()
        return {**_shape(kind, 0), **({} if kind.absent else {"required": True})}


def _reachable(kinds: Iterable[ValueKind]) -> list[ValueKind]:
    """Return these and all that they have become one with, or hold."""
    found: dict[int, ValueKind] = {}
    pending = list(kinds)
    while pending:
        kind = pending.pop()
        if id(kind) not in found:
            found[id(kind)] = kind
            pending += [*kind.fields.values(), *(one for one in (kind.item, kind.same) if one is not None)]
    return list(found.values())


def _usable(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) is not None and name not in RESERVED


def _shape(kind: ValueKind, depth: int) -> dict[str, Any]:
    of = kind.of or ("number" if kind.ordered else "text")
    if of == "list" and depth < 6:
        return {"type": "list", "items": _shape((kind.item or ValueKind()).root(), depth + 1)}
    if of == "object" and depth < 6 and kind.fields:
        inner = {name: member.root() for name, member in kind.fields.items()}
        members = {
            name: {**_shape(one, depth + 1), **({} if one.absent else {"required": True})}
            for name, one in inner.items()
        }
        return {"type": "object", "properties": members}
    return {"type": "integer" if of == "number" and kind.whole else _TYPES.get(of, "string")}


def _unite(one: ValueKind, other: ValueKind) -> None:
    left, right = one.root(), other.root()
    if left is right:
        return
    if left.of is not None and right.of is not None and left.of != right.of:
        raise Unclear(sentence("{left} and {right} are not comparable", left=left.of, right=right.of))
    left.of = left.of or right.of
    right.same = left
    left.absent |= right.absent
    left.ordered |= right.ordered
    left.whole |= right.whole and left.of == "number"
    for name, member in right.fields.items():
        if name in left.fields:
            _unite(left.fields[name], member)
        else:
            left.fields[name] = member
    if left.item is None:
        left.item = right.item
    elif right.item is not None:
        _unite(left.item, right.item)


def _all(kinds: Sequence[ValueKind], of: str) -> None:
    for kind in kinds:
        _unite(kind, ValueKind(of))


def _compared(op: str, args: list[Term], kinds: list[ValueKind]) -> Term:
    if op in {"eq", "ne"} and any(arg.op == "null" for arg in args):
        for arg, kind in zip(args, kinds, strict=True):
            if arg.op not in {"null", "name", "field", "index"}:
                raise Unclear("only a variable can be absent")
            kind.root().absent = True
        return Term(op, tuple(args))
    found = _alike(args, kinds)
    for kind in kinds:
        kind.root().ordered |= op in _ORDERING
    return Term(op, tuple(found))


def _alike(args: list[Term], kinds: list[ValueKind]) -> list[Term]:
    """Bring the sides of a comparison to one kind: engines compare a number, or a date, with its text."""
    found = list(args)
    for index, other in ((0, 1), (1, 0)):
        of = kinds[other].root().of
        if args[index].op == "text" and of not in {"text", None}:
            text = str(args[index].value)
            moment = moment_of(text)
            if of == "number" and text.replace(".", "", 1).lstrip("-").isdecimal():
                found[index] = Term("number", value=text)
            elif of == "bool" and text.lower() in {"true", "false"}:
                found[index] = Term("bool", value=text.lower() == "true")
            elif moment is not None and moment.op == of:
                found[index] = moment
            kinds[index] = ValueKind(found[index].op)
    _unite(kinds[0], kinds[1])
    return found

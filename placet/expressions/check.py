"""Check a parsed expression against the types of its variables, and write the tree that is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from placet.expressions import moments
from placet.expressions.checked import Checked, alike, holds_object, optional, said, typed, widened
from placet.expressions.choice import choice
from placet.expressions.expression import Expression
from placet.expressions.functions import ARITHMETIC, FUNCTIONS, MOST_DIGITS, overload
from placet.expressions.number import write_decimal
from placet.expressions.patterns import PatternInvalid, compile_pattern
from placet.expressions.syntax import Syntax, parse, refuse
from placet.expressions.types import (
    BOOL,
    DATE,
    DECIMAL,
    INT,
    NULL,
    REQUESTER_TYPE,
    REQUESTER_WORD,
    STRING,
    TIMESTAMP,
    Kind,
    Scope,
    Type,
    list_of,
)
from placet.sentences import either, joined, sentence

_EQUALITY = {"_==_": "eq", "_!=_": "ne"}
_ORDER = {"_<_": "lt", "_<=_": "le", "_>_": "gt", "_>=_": "ge"}
_ARITHMETIC = {"_+_": "add", "_-_": "sub", "_*_": "mul", "_/_": "div", "_%_": "mod"}
_LOGIC = {"_&&_": "and", "_||_": "or"}
_TEXT = ("startsWith", "endsWith", "contains", "matches")
_MACROS = ("exists", "all", "exists_one", "filter", "map")
_ORDERED = {"int", "decimal", "string", "date", "timestamp"}
_KNOWN = (*_TEXT, *_MACROS, "size", "has", "now", "today", *FUNCTIONS)
_HINTS = {
    "date": sentence('write a date as date("2026-01-31")'),
    "timestamp": sentence('write a moment as timestamp("2026-01-31T09:00:00Z")'),
    "string": sentence("put text in quotes"),
}


def compile_condition(text: str, scope: Scope, *, expect: Type = BOOL) -> Expression:
    """Parse and type-check an expression over `scope`; its result is of type `expect`.

    Raises ConditionInvalid, which names line and column and says what to do.
    """
    checked = _Checker(text, scope).checked(parse(text))
    wanted = expect.present
    if wanted.kind == "decimal" and checked.type.kind == "int":
        checked = widened(checked)
    if checked.type != wanted:
        refuse(
            text,
            0,
            sentence(
                "the expression gives {found}; {wanted} is needed here", found=said(checked.type), wanted=said(wanted)
            ),
        )
    return Expression(source=text, ast=checked.node)


def compile_expression(text: str, scope: Scope, *, kinds: Sequence[Kind] = ()) -> Expression:
    """Parse and type-check an expression whose result may be of any of these kinds, or of any at all.

    Raises ConditionInvalid, which names line and column and says what to do.
    """
    checked = _Checker(text, scope).checked(parse(text))
    if checked.type == NULL:
        refuse(text, 0, "null alone is no value; leave it out instead")
    if kinds and checked.type.kind not in kinds:
        wanted = either([said(Type(kind=kind)) for kind in kinds])
        refuse(
            text,
            0,
            sentence("the expression gives {found}; {wanted} is needed here", found=said(checked.type), wanted=wanted),
        )
    return Expression(source=text, ast=checked.node)


class _Checker:
    """Check one expression. `items` holds the macro variables around the node at hand."""

    def __init__(self, source: str, scope: Scope) -> None:
        self.source = source
        self.scope = scope
        self.items: dict[str, Type] = {}

    def refuse(self, at: int, message: str) -> NoReturn:
        refuse(self.source, at, message)

    def checked(self, syntax: Syntax) -> Checked:
        return _BY_KIND[syntax.kind](self, syntax)

    def value(self, syntax: Syntax) -> Checked:
        """Check a node that must not be the word null."""
        checked = self.checked(syntax)
        if checked.type == NULL:
            self.refuse(syntax.at, "null can only be compared with == or !=")
        return checked

    def of_type(self, syntax: Syntax, wanted: Type, where: str) -> Checked:
        checked = self.value(syntax)
        if checked.type != wanted:
            self.refuse(
                syntax.at,
                sentence(
                    "{where} needs {wanted}, this is {found}",
                    where=where,
                    wanted=said(wanted),
                    found=said(checked.type),
                ),
            )
        return checked

    # Leaves

    def literal(self, syntax: Syntax) -> Checked:
        if syntax.kind == "decimal":
            return typed("literal", DECIMAL, syntax.at, value=write_decimal(syntax.value))
        of = {"null": NULL, "bool": BOOL, "int": INT, "string": STRING}[syntax.kind]
        return typed("literal", of, syntax.at, value=syntax.value)

    def named(self, syntax: Syntax) -> Checked:
        name = syntax.name
        if name in self.items:
            return optional(typed("item", self.items[name], syntax.at, name=name))
        if name in self.scope:
            return optional(typed("name", self.scope[name], syntax.at, name=name))
        if name == REQUESTER_WORD:
            return typed("requester", REQUESTER_TYPE, syntax.at)
        return self.refuse(
            syntax.at,
            sentence(
                "unknown name {name!r}; {choice}",
                name=name,
                choice=choice(name, [*self.scope, *self.items], sentence("names")),
            ),
        )

    def listed(self, syntax: Syntax) -> Checked:
        if not syntax.args:
            self.refuse(syntax.at, "an empty list has no type; compare size(...) with 0 instead")
        items = [self.value(item) for item in syntax.args]
        if {item.type for item in items} == {INT, DECIMAL}:
            items = [widened(item) if item.type == INT else item for item in items]
        for item in items:
            if item.type != items[0].type:
                self.refuse(
                    item.node["at"],
                    sentence(
                        "a list holds one type: this is {found}, the first {other}",
                        found=said(item.type),
                        other=said(items[0].type),
                    ),
                )
        return typed("list", list_of(items[0].type), syntax.at, items)

    def selected(self, syntax: Syntax) -> Checked:
        target, of = self.field_of(syntax)
        return optional(typed("field", of, syntax.at, [target], field=syntax.name))

    def field_of(self, syntax: Syntax) -> tuple[Checked, Type]:
        if syntax.target is None:
            self.refuse(syntax.at, "this field belongs to nothing; write object.field")
        target = self.value(syntax.target)
        if target.type.kind != "object":
            self.refuse(
                syntax.at,
                sentence(
                    "{found} has no fields, so no {name!r}; only objects do", found=said(target.type), name=syntax.name
                ),
            )
        of = target.type.field(syntax.name)
        if of is None:
            fields = [name for name, _ in target.type.fields]
            self.refuse(
                syntax.at,
                sentence(
                    "unknown field {name!r}; {choice}",
                    name=syntax.name,
                    choice=choice(syntax.name, fields, sentence("fields")),
                ),
            )
        return target, of

    # Calls

    def called(self, syntax: Syntax) -> Checked:
        name, args = syntax.name, syntax.args
        if name in _EQUALITY:
            return self.equality(syntax)
        if name in _ORDER:
            return self.order(syntax)
        if name in _ARITHMETIC:
            return self.arithmetic(syntax)
        if name in _LOGIC:
            sides = [self.of_type(arg, BOOL, name.strip("_")) for arg in args]
            return typed(_LOGIC[name], BOOL, syntax.at, sides)
        if name == "!_":
            return typed("not", BOOL, syntax.at, [self.of_type(args[0], BOOL, "!")])
        if name == "-_":
            number = self.value(args[0])
            if not number.type.number:
                self.refuse(syntax.at, sentence("- needs a number, this is {found}", found=said(number.type)))
            return typed("neg", number.type, syntax.at, [number])
        if name == "_?_:_":
            return self.conditional(syntax)
        if name == "@in":
            return self.membership(syntax)
        if name == "_[_]":
            return self.indexed(syntax)
        return self.function(syntax)

    def both(self, syntax: Syntax, sides: Sequence[Checked] | None = None) -> tuple[Checked, Checked]:
        """Bring the two operands of an operator to one type; they are checked where they have not been."""
        left, right = sides or [self.value(arg) for arg in syntax.args]
        pair = alike(left, right)
        if pair is None:
            kinds = sorted({left.type.kind, right.type.kind} & _HINTS.keys())
            operator = syntax.name.strip("_").removeprefix("@")
            message = sentence(
                "{operator} mixes {left} and {right}", operator=operator, left=said(left.type), right=said(right.type)
            )
            if kinds:
                hints = joined(", ", [_HINTS[kind] for kind in kinds])
                message = sentence("{message}; {hints}", message=message, hints=hints)
            self.refuse(syntax.at, message)
        return pair

    def equality(self, syntax: Syntax) -> Checked:
        op = _EQUALITY[syntax.name]
        nulls = [arg.kind == "null" for arg in syntax.args]
        if any(nulls):
            subject = self.checked(syntax.args[nulls.index(False)]) if not all(nulls) else None
            if subject is None or not subject.path:
                self.refuse(
                    syntax.at, "only a variable, a field or an item can be null; compare one of these with null"
                )
            absent = typed("is_null", BOOL, syntax.at, [subject])
            return absent if op == "eq" else typed("not", BOOL, syntax.at, [absent])
        left, right = self.both(syntax)
        if holds_object(left.type):
            self.refuse(syntax.at, "objects cannot be compared as a whole; compare their fields")
        return typed(op, BOOL, syntax.at, [left, right])

    def order(self, syntax: Syntax) -> Checked:
        left, right = self.both(syntax)
        if left.type.kind not in _ORDERED:
            self.refuse(syntax.at, sentence("{found} has no order; use == or !=", found=said(left.type)))
        return typed(_ORDER[syntax.name], BOOL, syntax.at, [left, right])

    def arithmetic(self, syntax: Syntax) -> Checked:
        op = _ARITHMETIC[syntax.name]
        sides = [self.value(arg) for arg in syntax.args]
        if sides[0].type == TIMESTAMP and sides[1].type == INT:  # hours
            sides[1] = widened(sides[1])
        # Each side is checked once: twice would double the work with each level.
        timed = ARITHMETIC.get((op, sides[0].type.kind, sides[1].type.kind))
        if timed is not None:
            return typed("call", timed[1], syntax.at, sides, function=timed[0])
        left, right = self.both(syntax, sides)
        kind = left.type.kind
        if op == "mod" and kind == "decimal":
            self.refuse(syntax.at, "% is for whole numbers only")
        if not (left.type.number or (op == "add" and kind in {"string", "list"})):
            hint = sentence("; write hoursBetween(earlier, later)") if (op, kind) == ("sub", "timestamp") else ""
            self.refuse(
                syntax.at,
                sentence(
                    "{name} is not defined for {found}{hint}",
                    name=syntax.name.strip("_"),
                    found=said(left.type),
                    hint=hint,
                ),
            )
        return typed(op, left.type, syntax.at, [left, right])

    def conditional(self, syntax: Syntax) -> Checked:
        test = self.of_type(syntax.args[0], BOOL, sentence("the test before ?"))
        left, right = (self.value(arg) for arg in syntax.args[1:])
        pair = alike(left, right)
        if pair is None:
            self.refuse(
                syntax.at,
                sentence(
                    "both sides of : need one type; these are {found} and {other}",
                    found=said(left.type),
                    other=said(right.type),
                ),
            )
        return typed("if", pair[0].type, syntax.at, [test, *pair])

    def membership(self, syntax: Syntax) -> Checked:
        needle, hay = (self.value(arg) for arg in syntax.args)
        if hay.type.kind != "list" or hay.type.item is None:
            hint = {
                "string": sentence("; write text.contains(part)"),
                "object": sentence("; write has(object.field)"),
            }.get(hay.type.kind, "")
            self.refuse(
                syntax.at,
                sentence("in needs a list on its right, this is {found}{hint}", found=said(hay.type), hint=hint),
            )
        if holds_object(needle.type):
            self.refuse(syntax.at, "objects cannot be compared as a whole; use list.exists(x, x.field == ...)")
        if needle.type == INT and hay.type.item == DECIMAL:
            needle = widened(needle)
        elif needle.type == DECIMAL and hay.type.item == INT:
            hay = widened(hay)
        elif needle.type != hay.type.item:
            self.refuse(
                syntax.at,
                sentence(
                    "in mixes {found} and {other}; both need one type", found=said(needle.type), other=said(hay.type)
                ),
            )
        return typed("in", BOOL, syntax.at, [needle, hay])

    def indexed(self, syntax: Syntax) -> Checked:
        target = self.value(syntax.args[0])
        if target.type.kind != "list" or target.type.item is None:
            hint = sentence("; write object.field") if target.type.kind == "object" else ""
            self.refuse(
                syntax.at,
                sentence("only a list has items by number, this is {found}{hint}", found=said(target.type), hint=hint),
            )
        index = self.of_type(syntax.args[1], INT, sentence("an index"))
        return optional(typed("index", target.type.item, syntax.at, [target, index]))

    def function(self, syntax: Syntax) -> Checked:
        name, target = syntax.name, syntax.target
        if name in _MACROS and target is not None:
            return self.macro(syntax, target)
        if name in _TEXT and target is not None:
            return self.text(syntax, target)
        if name == "size":
            return self.sized(syntax)
        if target is None and name in {"now", "today"}:
            if syntax.args:
                if name == "now":
                    self.refuse(syntax.at, "now() takes no arguments; it is the time at which the node was entered")
                self.refuse(syntax.at, "today() takes no arguments; it is the date on which the node was entered")
            return typed(name, TIMESTAMP if name == "now" else DATE, syntax.at)
        if target is None and name == "has":
            if len(syntax.args) != 1:
                self.refuse(syntax.at, "has() takes one argument")
            return self.has(syntax)
        if target is None and name in {"date", "timestamp"} and [arg.kind for arg in syntax.args] == ["string"]:
            return self.moment(syntax)
        if name in FUNCTIONS and not (target is not None and name in {"date", "timestamp"}):
            return self.call(syntax)
        if name in _KNOWN:
            way = f"{name}(x)" if target is not None else f"x.{name}(...)"
            self.refuse(syntax.at, sentence("write {way}", way=way))
        return self.refuse(
            syntax.at,
            sentence(
                "unknown function {name!r}; {choice}", name=name, choice=choice(name, _KNOWN, sentence("functions"))
            ),
        )

    def call(self, syntax: Syntax) -> Checked:
        name = syntax.name
        args = [self.value(arg) for arg in (*([syntax.target] if syntax.target is not None else []), *syntax.args)]
        if name in {"min", "max"} and {arg.type for arg in args} == {INT, DECIMAL}:
            args = [widened(arg) if arg.type == INT else arg for arg in args]
        if name in {"round", "decimal"} and args and args[0].type == INT:
            args[0] = widened(args[0])
        if name == "decimal" and len(args) == 1 and args[0].type == DECIMAL:
            return args[0]
        return self._call(syntax, args)

    def _call(self, syntax: Syntax, args: list[Checked]) -> Checked:
        name = syntax.name
        found = overload(name, [arg.type for arg in args])
        if found is None and name in {"date", "timestamp"} and [arg.type for arg in args] == [STRING]:
            self.refuse(
                syntax.args[0].at,
                sentence("{name}() takes text only as quoted text; {hints}", name=name, hints=_HINTS[name]),
            )
        if found is None:
            edges = dict.fromkeys(", ".join(map(str, one.takes)) for one in FUNCTIONS[name][:12])
            given = ", ".join(str(arg.type) for arg in args) or sentence("nothing")
            self.refuse(
                syntax.at,
                sentence(
                    "{name}() does not take {given}; it takes: {edges}",
                    name=name,
                    given=given,
                    edges=either(list(edges)),
                ),
            )
        if name == "round" and len(args) > 1:
            digits = args[1].node.get("value") if args[1].node["op"] == "literal" else None
            if not isinstance(digits, int) or not 0 <= digits <= MOST_DIGITS:
                self.refuse(
                    syntax.at,
                    sentence(
                        "round() takes the digits after the point as a number from 0 to {most_digits}",
                        most_digits=MOST_DIGITS,
                    ),
                )
        return typed("call", found.gives, syntax.at, args, function=name)

    def macro(self, syntax: Syntax, target: Syntax) -> Checked:
        name, args = syntax.name, syntax.args
        if len(args) != 2 and not (name == "map" and len(args) == 3):
            self.refuse(syntax.at, sentence("write list.{name}(x, expression over x)", name=name))
        over = self.value(target)
        if over.type.kind != "list" or over.type.item is None:
            self.refuse(
                syntax.at, sentence("{name}() goes over a list, this is {found}", name=name, found=said(over.type))
            )
        if args[0].kind != "name" or not args[0].name.isidentifier():
            self.refuse(args[0].at, sentence("the first argument of {name}() is a new name, such as x", name=name))
        item = args[0].name
        if item in self.scope or item in self.items:
            self.refuse(args[0].at, sentence("{item!r} is a name already; choose another one for the items", item=item))
        self.items[item] = over.type.item
        try:
            if len(args) == 3:
                kept = self.of_type(args[1], BOOL, "the test in map()")
                over = typed("filter", over.type, syntax.at, [over, kept], item=item)
            body = self.value(args[-1])
        finally:
            del self.items[item]
        if name == "map":
            return typed(name, list_of(body.type), syntax.at, [over, body], item=item)
        if body.type != BOOL:
            self.refuse(
                args[1].at, sentence("{name}() needs a bool, this is {found}", name=name, found=said(body.type))
            )
        return typed(name, over.type if name == "filter" else BOOL, syntax.at, [over, body], item=item)

    def text(self, syntax: Syntax, target: Syntax) -> Checked:
        name = syntax.name
        if len(syntax.args) != 1:
            self.refuse(syntax.at, sentence("{name}() takes one argument", name=name))
        sides = [self.of_type(target, STRING, f"{name}()"), self.of_type(syntax.args[0], STRING, f"{name}()")]
        if name == "matches":
            if syntax.args[0].kind != "string":
                self.refuse(syntax.args[0].at, "matches() takes its pattern as quoted text, not from a variable")
            try:
                compile_pattern(syntax.args[0].value)
            except PatternInvalid as error:
                self.refuse(syntax.args[0].at, error.args[0])
        return typed(name, BOOL, syntax.at, sides)

    def sized(self, syntax: Syntax) -> Checked:
        subjects = [*([syntax.target] if syntax.target is not None else []), *syntax.args]
        if len(subjects) != 1:
            self.refuse(syntax.at, "size() takes one argument")
        subject = self.value(subjects[0])
        if subject.type.kind not in {"string", "list"}:
            self.refuse(
                syntax.at, sentence("size() is for a string or a list, this is {found}", found=said(subject.type))
            )
        return typed("size", INT, syntax.at, [subject])

    def has(self, syntax: Syntax) -> Checked:
        [argument] = syntax.args
        if argument.kind != "select":
            self.refuse(argument.at, "has() takes object.field; for a variable write name != null")
        target, _ = self.field_of(argument)
        return typed("has", BOOL, syntax.at, [target], field=argument.name)

    def moment(self, syntax: Syntax) -> Checked:
        [argument] = syntax.args
        of, read = (DATE, moments.read_date) if syntax.name == "date" else (TIMESTAMP, moments.read_timestamp)
        try:
            value = moments.write(read(argument.value))
        except ValueError as error:
            self.refuse(argument.at, error.args[0])
        return typed("literal", of, syntax.at, value=value)


_BY_KIND: dict[str, Callable[[_Checker, Syntax], Checked]] = {
    "null": _Checker.literal,
    "bool": _Checker.literal,
    "int": _Checker.literal,
    "decimal": _Checker.literal,
    "string": _Checker.literal,
    "name": _Checker.named,
    "list": _Checker.listed,
    "select": _Checker.selected,
    "call": _Checker.called,
}

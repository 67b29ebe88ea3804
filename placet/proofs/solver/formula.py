"""Formulas: a checked expression as terms of the solver.

Each node becomes what it evaluates to and whether its evaluation fails. What z3 cannot say exactly becomes an unknown,
the same for the same text, so that a condition and its negation stay opposites.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import z3

from placet.expressions import Expression, moments
from placet.expressions.expression import Node
from placet.expressions.moments import Offsets
from placet.expressions.number import INT_MAX, INT_MIN
from placet.expressions.types import NOW, REQUESTER, Type, type_from
from placet.proofs.solver import function_terms
from placet.proofs.solver.symbols import ITEMS, Declarations, Symbol, Term, constant, items_of
from placet.proofs.solver.texts import Texts

_QUOTIENT = 10**33  # a decimal quotient is right to this share of itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a node evaluates to, unless `fails` (a z3 Bool) holds."""

    symbol: Symbol
    fails: Term


class Formulas:
    """Turn expressions into terms over the declared symbols."""

    def __init__(self, declarations: Declarations, symbols: dict[str, Symbol], offsets: Offsets = ()) -> None:
        self.declarations = declarations
        self.context = declarations.context
        self.symbols = symbols
        self.offsets = offsets  # of the process's time zone
        self.locals: dict[str, Term] = {}  # what clocks show, by the moment's term
        self.overflows: list[Term] = []  # each: some arithmetic on whole numbers exceeds 64 bits
        self.absences: list[Term] = []  # each: a value that an expression needs is absent
        self.texts = Texts(self.context)
        self._opaque: dict[str, Symbol] = {}
        self._items: dict[str, Symbol] = {}

    def value(self, expression: Expression) -> Value:
        """Return the terms of an expression."""
        return self.node(expression.ast)

    def node(self, node: Node) -> Value:
        """Return the terms of a node."""
        return _OPS[node["op"]](self, node)

    # Helpers

    def scalar(self, kind: str, term: Term, *fails: Term) -> Value:
        """Return the value of a scalar that fails where any of these hold."""
        symbol = Symbol(kind=kind, absent=self.declarations.false(), term=term)
        return Value(symbol=symbol, fails=self.any(fails))

    def valued(self, symbol: Symbol, *fails: Term) -> Value:
        """Return a value that fails where any of these hold."""
        return Value(symbol=symbol, fails=self.any(fails))

    def any(self, terms: Sequence[Term]) -> Term:
        """Return the disjunction of Bools, without those that are false."""
        kept = [t for t in terms if not z3.is_false(t)]
        return z3.Or(kept) if len(kept) > 1 else kept[0] if kept else self.declarations.false()

    def opaque(self, node: Node) -> Symbol:
        """Return the unknown that stands for a node; the same for the same text over the same items."""
        key = json.dumps([_bare(node), sorted((name, id(item)) for name, item in self._items.items())])
        if key not in self._opaque:
            self._opaque[key] = self._unknown(type_from(node["type"]), f"opaque{len(self._opaque)}")
        return self._opaque[key]

    def _unknown(self, of: Type, hint: str) -> Symbol:
        fresh, false = self.declarations.fresh, self.declarations.false()
        if of.kind == "list" and of.item is not None:
            length = fresh("Int", hint)
            self.declarations.now.demands.append(length >= 0)
            items = tuple(self._unknown(of.item, hint) for _ in range(ITEMS))
            return Symbol(kind="list", absent=false, length=length, items=items)
        if of.kind == "object":
            fields = {name: self._unknown(inner, hint) for name, inner in of.fields}
            fields = {
                name: replace(fields[name], absent=fresh("Bool", hint)) if inner.optional else fields[name]
                for name, inner in of.fields
            }
            return Symbol(kind="object", absent=false, fields=fields)
        sorts = {"string": "String", "bool": "Bool", "decimal": "Real"}
        return Symbol(kind=of.kind, absent=false, term=fresh(sorts.get(of.kind, "Int"), hint))

    def equal(self, left: Symbol, right: Symbol) -> Term:
        """Return whether two values are equal; what lies beyond the known items is left open."""
        if left.kind != "list":
            return left.term == right.term
        known = min(len(left.items), len(right.items))
        pairs = zip(left.items[:known], right.items[:known], strict=True)
        same = [z3.Implies(left.length > n, self.equal(one, other)) for n, (one, other) in enumerate(pairs)]
        rest = z3.Or(left.length <= known, self.declarations.fresh("Bool", "rest"))
        return z3.And([left.length == right.length, *same, rest])

    def read_from(self, one: Symbol, other: Symbol) -> Term:
        """Return what holds where a variable's value has been read from another value, as far as that is known."""
        if one.kind == "decimal" and other.kind == "int":
            return one.term == z3.ToReal(other.term)
        if one.kind != other.kind:
            return z3.BoolVal(True, self.context)
        if one.kind == "list":
            pairs = zip(one.items, other.items, strict=False)
            items = [z3.Implies(one.length > n, self.read_from(*pair)) for n, pair in enumerate(pairs)]
            return z3.And([one.length == other.length, *items])
        if one.kind == "object":
            members = [name for name in one.fields if name in other.fields]
            return z3.And(
                [z3.BoolVal(True, self.context)]
                + [
                    z3.Or(
                        other.fields[name].absent,
                        z3.And(z3.Not(one.fields[name].absent), self.read_from(one.fields[name], other.fields[name])),
                    )
                    for name in members
                ]
            )
        return one.term == other.term

    # Leaves

    def _literal(self, node: Node) -> Value:
        kind, value = node["type"], node["value"]
        if kind == "date":
            value = moments.read_date(value)
        elif kind == "timestamp":
            value = moments.read_timestamp(value)
        elif kind == "string":
            if not self.texts.mention(value):
                return self.valued(self.opaque(node))
        elif kind in {"int", "decimal"}:
            self.texts.mention_number(Decimal(value))
        return self.scalar(kind, constant(kind, value, self.context))

    def _name(self, node: Node) -> Value:
        symbol = self.symbols[node["name"]]
        return Value(symbol=symbol, fails=self._absence(symbol))

    def _now(self, _: Node) -> Value:
        return Value(symbol=self.symbols[NOW], fails=self.declarations.false())

    def _today(self, _: Node) -> Value:
        shown = function_terms.local(self, self.symbols[NOW].term, self.offsets)
        return self.scalar("date", function_terms.day_of(shown))

    def _requester(self, _: Node) -> Value:
        return Value(symbol=self.symbols[REQUESTER], fails=self.declarations.false())

    def _item(self, node: Node) -> Value:
        return Value(symbol=self._items[node["name"]], fails=self.declarations.false())

    def _field(self, node: Node) -> Value:
        target = self.node(node["args"][0])
        inner = target.symbol.fields[node["field"]]
        return Value(symbol=inner, fails=self.any([target.fails, self._absence(inner)]))

    def _absence(self, symbol: Symbol) -> Term:
        if not z3.is_false(symbol.absent):
            self.absences.append(symbol.absent)
        return symbol.absent

    def _has(self, node: Node) -> Value:
        target = self.node(node["args"][0])
        return self.scalar("bool", z3.Not(target.symbol.fields[node["field"]].absent), target.fails)

    def _is_null(self, node: Node) -> Value:
        [subject] = node["args"]
        if subject["op"] == "name":
            return self.scalar("bool", self.symbols[subject["name"]].absent)
        if subject["op"] == "field":
            has = self._has(subject)
            return self.scalar("bool", z3.Not(has.symbol.term), has.fails)
        return self.scalar("bool", self.declarations.false(), self.node(subject).fails)

    def _index(self, node: Node) -> Value:
        target, index = (self.node(arg) for arg in node["args"])
        at, items = index.symbol.term, target.symbol.items
        outside = z3.Or(at < 0, at >= target.symbol.length)
        symbol = self.opaque(node)
        if z3.is_int_value(at) and 0 <= at.as_long() < len(items):
            symbol = items[at.as_long()]
        elif symbol.term is not None:
            term = symbol.term
            for number, item in enumerate(items):
                term = z3.If(at == number, item.term, term)
            symbol = replace(symbol, term=term)
        return Value(symbol=symbol, fails=self.any([target.fails, index.fails, outside]))

    def _list(self, node: Node) -> Value:
        items = [self.node(arg) for arg in node["args"]]
        symbol = items_of([item.symbol for item in items], self.context)
        return Value(symbol=symbol, fails=self.any([item.fails for item in items]))

    # Logic

    def _and(self, node: Node) -> Value:
        left, right = (self.node(arg) for arg in node["args"])
        late = z3.And(left.symbol.term, right.fails) if not z3.is_false(right.fails) else right.fails
        return self.scalar("bool", z3.And(left.symbol.term, right.symbol.term), left.fails, late)

    def _or(self, node: Node) -> Value:
        left, right = (self.node(arg) for arg in node["args"])
        late = z3.And(z3.Not(left.symbol.term), right.fails) if not z3.is_false(right.fails) else right.fails
        return self.scalar("bool", z3.Or(left.symbol.term, right.symbol.term), left.fails, late)

    def _not(self, node: Node) -> Value:
        inner = self.node(node["args"][0])
        return self.scalar("bool", z3.Not(inner.symbol.term), inner.fails)

    def _if(self, node: Node) -> Value:
        test, yes, no = (self.node(arg) for arg in node["args"])
        late = z3.If(test.symbol.term, yes.fails, no.fails)
        fails = self.any([test.fails, late]) if not (z3.is_false(yes.fails) and z3.is_false(no.fails)) else test.fails
        symbol = yes.symbol
        if symbol.term is None:
            symbol = self.opaque(node)
        else:
            symbol = replace(symbol, term=z3.If(test.symbol.term, symbol.term, no.symbol.term))
        return Value(symbol=symbol, fails=fails)

    def _compare(self, node: Node) -> Value:
        left, right = (self.node(arg) for arg in node["args"])
        if node["op"] in {"eq", "ne"}:
            same = self.equal(left.symbol, right.symbol)
            if left.symbol.kind == "list" and not (left.symbol.whole or right.symbol.whole):
                same = self.opaque(node | {"op": "eq"}).term  # the same unknown for == and !=
            term = same if node["op"] == "eq" else z3.Not(same)
        else:
            relation: dict[str, Callable[[Term, Term], Term]] = {
                "lt": lambda one, other: one < other,
                "le": lambda one, other: one <= other,
                "gt": lambda one, other: other < one,
                "ge": lambda one, other: other <= one,
            }
            term = relation[node["op"]](left.symbol.term, right.symbol.term)
        return self.scalar("bool", term, left.fails, right.fails)

    def _in(self, node: Node) -> Value:
        needle, hay = (self.node(arg) for arg in node["args"])
        items = hay.symbol.items
        found = [z3.And(hay.symbol.length > n, self.equal(item, needle.symbol)) for n, item in enumerate(items)]
        term = self.any(found)
        if not hay.symbol.whole:
            term = z3.If(hay.symbol.length <= len(items), term, self.opaque(node).term)
        return self.scalar("bool", term, needle.fails, hay.fails)

    # Numbers

    def _decimal(self, node: Node) -> Value:
        inner = self.node(node["args"][0])
        if inner.symbol.kind == "int":
            return self.scalar("decimal", z3.ToReal(inner.symbol.term), inner.fails)
        items = tuple(replace(item, kind="decimal", term=z3.ToReal(item.term)) for item in inner.symbol.items)
        return Value(symbol=replace(inner.symbol, items=items), fails=inner.fails)

    def _neg(self, node: Node) -> Value:
        inner = self.node(node["args"][0])
        return self.number(inner.symbol.kind, -inner.symbol.term, inner.fails)

    def _arithmetic(self, node: Node) -> Value:
        left, right = (self.node(arg) for arg in node["args"])
        one, other = left.symbol, right.symbol
        if one.kind == "string":
            return self.scalar("string", z3.Concat(one.term, other.term), left.fails, right.fails)
        if one.kind == "list":
            joined = self._joined(node, one, other)
            return Value(symbol=joined, fails=self.any([left.fails, right.fails]))
        operate: dict[str, Callable[[Term, Term], Term]] = {
            "add": lambda a, b: a + b,
            "sub": lambda a, b: a - b,
            "mul": lambda a, b: a * b,
        }
        return self.number(one.kind, operate[node["op"]](one.term, other.term), left.fails, right.fails)

    def _divide(self, node: Node) -> Value:
        left, right = (self.node(arg) for arg in node["args"])
        dividend, divisor = left.symbol.term, right.symbol.term
        zero = divisor == 0
        if left.symbol.kind == "decimal":
            quotient = self.near(node, dividend / divisor, unless=zero)
            return self.scalar("decimal", quotient, left.fails, right.fails, zero)
        # Towards zero, as the evaluator does; z3's own division goes with the sign of the divisor.
        down = z3.If(dividend < 0, -dividend, dividend) / z3.If(divisor < 0, -divisor, divisor)
        ratio = z3.If((dividend < 0) != (divisor < 0), -down, down)
        term = ratio if node["op"] == "div" else dividend - ratio * divisor
        return self.number("int", term, left.fails, right.fails, zero)

    def near(self, node: Node, exact: Term, *, unless: Term | None = None) -> Term:
        """Return the quotient that a node computes, which is as near to the exact one as the evaluator's."""
        quotient = self.opaque(node).term
        share = z3.If(exact < 0, -exact, exact) / z3.RealVal(_QUOTIENT, ctx=self.context)
        close = z3.And(quotient >= exact - share, quotient <= exact + share)
        self.declarations.now.demands.append(close if unless is None else z3.Or(unless, close))
        self.declarations.now.guesses.append(quotient == exact)
        return quotient

    def number(self, kind: str, term: Term, *fails: Term) -> Value:
        """Return the value of a number, which fails too where a whole one exceeds 64 bits."""
        if kind != "int":
            return self.scalar(kind, term, *fails)
        overflow = z3.Or(term < INT_MIN, term > INT_MAX)
        self.overflows.append(overflow)
        return self.scalar(kind, term, *fails, overflow)

    # Text and lists

    def _joined(self, node: Node, one: Symbol, other: Symbol) -> Symbol:
        if one.whole and z3.is_int_value(one.length) and z3.is_int_value(other.length):
            return items_of([*one.items, *other.items], self.context)
        return replace(self.opaque(node), length=one.length + other.length)

    def _size(self, node: Node) -> Value:
        inner = self.node(node["args"][0])
        length = inner.symbol.length if inner.symbol.kind == "list" else z3.Length(inner.symbol.term)
        return self.scalar("int", length, inner.fails)

    def _text_test(self, node: Node) -> Value:
        left, right = (self.node(arg) for arg in node["args"])
        text, part = left.symbol.term, right.symbol.term
        if node["op"] == "matches":
            term = self.texts.matches(text, node["args"][1]["value"])
        else:
            test: dict[str, Callable[[], Term]] = {
                "startsWith": lambda: z3.PrefixOf(part, text),
                "endsWith": lambda: z3.SuffixOf(part, text),
                "contains": lambda: z3.Contains(text, part),
            }
            term = test[node["op"]]()
        return self.scalar("bool", term, left.fails, right.fails)

    # Macros

    def _each(self, node: Node, over: Symbol) -> list[Value]:
        found = []
        for item in over.items:
            self._items[node["item"]] = item
            found.append(self.node(node["args"][1]))
        self._items.pop(node["item"], None)
        return found

    def _quantified(self, node: Node) -> Value:
        over = self.node(node["args"][0])
        each = self._each(node, over.symbol)
        length, op = over.symbol.length, node["op"]
        there = [length > n for n in range(len(each))]
        holds = [value.symbol.term for value in each]
        fails = [over.fails]
        if op == "exists_one":
            fails += [z3.And(is_there, value.fails) for is_there, value in zip(there, each, strict=True)]
            ones = [z3.If(z3.And(is_there, hold), 1, 0) for is_there, hold in zip(there, holds, strict=True)]
            term = z3.Sum(ones) == 1 if ones else self.declarations.false()
        else:
            # It stops at the first item that settles it; a failure behind that one is never met.
            goes_on = [z3.Not(hold) if op == "exists" else hold for hold in holds]
            for n, value in enumerate(each):
                if not z3.is_false(value.fails):
                    fails.append(z3.And([there[n], *goes_on[:n], value.fails]))
            pairs = zip(there, holds, strict=True)
            if op == "exists":
                term = self.any([z3.And(is_there, hold) for is_there, hold in pairs])
            else:
                term = z3.And(
                    [z3.Implies(is_there, hold) for is_there, hold in pairs] or [z3.BoolVal(True, self.context)]
                )
        if not over.symbol.whole:
            # "All" is "none that does not", so that a condition and its opposite are opposites here too.
            turned = (
                node if op != "all" else {**node, "op": "exists", "args": [node["args"][0], _opposite(node["args"][1])]}
            )
            rest = self.opaque(turned).term
            rest = z3.Not(rest) if op == "all" else rest
            self.declarations.now.guesses.append(z3.Or(length <= len(each), rest == term))
            term = z3.If(length <= len(each), term, rest)
        return self.scalar("bool", term, *fails)

    def _derived(self, node: Node) -> Value:
        over = self.node(node["args"][0])
        each = self._each(node, over.symbol)
        there = [over.symbol.length > n for n in range(len(each))]
        fails = [over.fails, *(z3.And(is_there, value.fails) for is_there, value in zip(there, each, strict=True))]
        if node["op"] == "map":
            items = tuple(value.symbol for value in each)
            symbol = replace(over.symbol, absent=self.declarations.false(), items=items)
            return Value(symbol=symbol, fails=self.any(fails))
        symbol = self.opaque(node)
        kept = [z3.If(z3.And(is_there, v.symbol.term), 1, 0) for is_there, v in zip(there, each, strict=True)]
        length = z3.Sum(kept) if kept else z3.IntVal(0, ctx=self.context)
        if not over.symbol.whole:
            length = z3.If(over.symbol.length <= len(each), length, symbol.length)
            self.declarations.now.demands.append(symbol.length <= over.symbol.length)
        return Value(symbol=replace(symbol, length=length), fails=self.any(fails))


_OPS: dict[str, Callable[[Formulas, Node], Value]] = {
    "literal": Formulas._literal,
    "name": Formulas._name,
    "item": Formulas._item,
    "now": Formulas._now,
    "today": Formulas._today,
    "requester": Formulas._requester,
    "call": function_terms.call,
    "field": Formulas._field,
    "has": Formulas._has,
    "is_null": Formulas._is_null,
    "index": Formulas._index,
    "list": Formulas._list,
    "decimal": Formulas._decimal,
    "and": Formulas._and,
    "or": Formulas._or,
    "not": Formulas._not,
    "if": Formulas._if,
    "in": Formulas._in,
    "add": Formulas._arithmetic,
    "sub": Formulas._arithmetic,
    "mul": Formulas._arithmetic,
    "div": Formulas._divide,
    "mod": Formulas._divide,
    "neg": Formulas._neg,
    "size": Formulas._size,
    "exists": Formulas._quantified,
    "all": Formulas._quantified,
    "exists_one": Formulas._quantified,
    "filter": Formulas._derived,
    "map": Formulas._derived,
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), Formulas._compare),
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), Formulas._text_test),
}


_OPPOSITES = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}


def _opposite(node: Node) -> Node:
    """Return the node that holds where this one does not, with the negation as far inside as it goes."""
    op, args = node["op"], node["args"]
    if op == "not":
        return dict(args[0])
    if op in _OPPOSITES:
        return {**node, "op": _OPPOSITES[op]}
    if op in {"and", "or"}:
        return {**node, "op": "or" if op == "and" else "and", "args": [_opposite(arg) for arg in args]}
    return {"op": "not", "type": "bool", "at": node["at"], "args": [node]}


def _bare(node: Node) -> Any:
    """Return a node without its places in the text."""
    kept = {key: value for key, value in node.items() if key not in {"at", "args"}}
    return {**kept, "args": [_bare(arg) for arg in node["args"]]}

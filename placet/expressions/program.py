"""Compile a checked tree into closures.

Each closure takes the frame (variables and macro items by name) and the budget (one number, counted down, so that no
expression keeps a workflow busy) and returns the node's value.
"""

from __future__ import annotations

import decimal
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from placet.audit.reasons import InvalidValue, Reason, because
from placet.audit.sealed import Sealed
from placet.errors import EvaluationFailed, ValueAbsent
from placet.expressions import moments
from placet.expressions.expression import Expression, Node, position
from placet.expressions.functions import implementation
from placet.expressions.moments import local
from placet.expressions.number import EXACT, INT_MAX, INT_MIN, QUOTIENT
from placet.expressions.patterns import compile_pattern
from placet.expressions.types import NOW, REQUESTER, ZONE, type_from
from placet.expressions.values import Absent, WrongType, reader

BUDGET = 250_000  # nodes visited inside macros, items and blocks of text looked through
MAX_TEXT = 100_000  # characters of a string that an expression puts together
MAX_ITEMS = 10_000  # items of a list that an expression puts together

Frame: TypeAlias = Mapping[str, Any]
Budget: TypeAlias = list[int]
Run: TypeAlias = Callable[[Any, Budget], Any]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_INT: dict[str, Callable[[int, int], int]] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
_DECIMAL: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "add": EXACT.add,
    "sub": EXACT.subtract,
    "mul": EXACT.multiply,
    "div": QUOTIENT.divide,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """Hold a runnable expression. `binds`: it has macros, which write their items into the frame."""

    run: Run
    binds: bool


def program_of(expression: Expression) -> Program:
    """Compile an expression. Raises EvaluationFailed where its tree is none that `compile_condition` writes."""
    builder = _Builder(expression.source)
    try:
        run = builder.build(expression.ast)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, RecursionError):
        raise EvaluationFailed(because("stored_form", line=1, column=1)) from None
    return Program(run=run, binds=builder.binds)


class _Builder:
    def __init__(self, source: str) -> None:
        self.source = source
        self.binds = False

    def build(self, node: Node) -> Run:
        return _BUILD[node["op"]](self, node)

    def failed(self, node: Node, code: str, **parameters: Any) -> EvaluationFailed:
        return EvaluationFailed(self.placed(node, code, **parameters))

    def placed(self, node: Node, code: str, **parameters: Any) -> Reason:
        line, column = position(self.source, node["at"])
        return because(code, line=line, column=column, **parameters)

    def spend(self, node: Node, budget: Budget, cost: int) -> None:
        budget[0] -= cost
        if budget[0] < 0:
            raise self.failed(node, "too_much_work")

    # Leaves

    def literal(self, node: Node) -> Run:
        value = _constant(node)
        return lambda _frame, _budget: value

    def name(self, node: Node) -> Run:
        name, of = node["name"], type_from(node["type"])
        read = reader(of)
        scalar = of.kind != "list"

        def run(frame: Frame, budget: Budget) -> Any:
            try:
                value = read(frame[name])
            except (KeyError, Absent):
                raise ValueAbsent(self.placed(node, "variable_absent", variable=name), variable=name) from None
            except WrongType as unfit:
                raise self.failed(node, "variable_unfit", variable=name, type=str(of), cause=unfit.reason) from None
            if not scalar:
                self.spend(node, budget, len(value))
            return value

        return run

    def now(self, node: Node) -> Run:
        def run(frame: Frame, _budget: Budget) -> datetime:
            moment = frame.get(NOW)
            if not isinstance(moment, datetime):
                raise self.failed(node, "no_moment_here")
            return moment

        return run

    def today(self, node: Node) -> Run:
        now = self.now(node)

        def run(frame: Frame, budget: Budget) -> date:
            try:
                return local(now(frame, budget), frame.get(ZONE, ())).date()
            except OverflowError:
                raise self.failed(node, "no_such_day_here") from None

        return run

    def requester(self, node: Node) -> Run:
        def run(frame: Frame, _budget: Budget) -> Mapping[str, Any]:
            facts = frame.get(REQUESTER)
            if not isinstance(facts, Mapping):
                raise self.failed(node, "no_requester_here")
            return facts

        return run

    def call(self, node: Node) -> Run:
        args = self.args(node)
        compute = implementation(node["function"], [type_from(arg["type"]) for arg in node["args"]])

        def run(frame: Frame, budget: Budget) -> Any:
            values = [arg(frame, budget) for arg in args]
            for value in values:
                if isinstance(value, str | tuple):
                    self.spend(node, budget, len(value) >> (6 if isinstance(value, str) else 0))
            try:
                return compute(frame, *values)
            except InvalidValue as unfit:
                raise self.failed(node, "call_failed", function=node["function"], cause=unfit.reason) from None

        return run

    def item(self, node: Node) -> Run:
        name = node["name"]
        return lambda frame, _budget: frame[name]  # typed already: the list that it is from was read as its type

    def field(self, node: Node) -> Run:
        [target] = self.args(node)
        field, of = node["field"], type_from(node["type"])
        read = reader(of)

        def run(frame: Frame, budget: Budget) -> Any:
            try:
                return read(target(frame, budget).get(field))
            except Absent:
                raise self.failed(node, "field_absent", field=field) from None
            except WrongType as unfit:
                raise self.failed(node, "field_unfit", field=field, type=str(of), cause=unfit.reason) from None

        return run

    def has(self, node: Node) -> Run:
        [target] = self.args(node)
        field = node["field"]
        return lambda frame, budget: target(frame, budget).get(field) is not None

    def is_null(self, node: Node) -> Run:
        [subject] = node["args"]
        if subject["op"] == "name":
            name = subject["name"]
            return lambda frame, _budget: frame.get(name) is None
        if subject["op"] == "field":
            has = self.has(subject)
            return lambda frame, budget: not has(frame, budget)
        # Items and list entries are never absent; reading one still finds an index out of range.
        read = self.build(subject)
        return lambda frame, budget: read(frame, budget) is None

    def index(self, node: Node) -> Run:
        target, index = self.args(node)

        def run(frame: Frame, budget: Budget) -> Any:
            items, at = target(frame, budget), index(frame, budget)
            if not 0 <= at < len(items):
                raise self.failed(node, "no_item", index=Sealed(at), count=len(items))
            return items[at]

        return run

    def listed(self, node: Node) -> Run:
        items = self.args(node)
        if all(arg["op"] == "literal" for arg in node["args"]):
            constant = tuple(_constant(arg) for arg in node["args"])
            return lambda _frame, _budget: constant
        return lambda frame, budget: tuple([item(frame, budget) for item in items])

    # Logic

    def conjunction(self, node: Node) -> Run:
        left, right = self.args(node)
        return lambda frame, budget: left(frame, budget) and right(frame, budget)

    def disjunction(self, node: Node) -> Run:
        left, right = self.args(node)
        return lambda frame, budget: left(frame, budget) or right(frame, budget)

    def negation(self, node: Node) -> Run:
        [inner] = self.args(node)
        return lambda frame, budget: not inner(frame, budget)

    def conditional(self, node: Node) -> Run:
        test, yes, no = self.args(node)
        return lambda frame, budget: yes(frame, budget) if test(frame, budget) else no(frame, budget)

    def compare(self, node: Node) -> Run:
        left, right = self.args(node)
        relation = _COMPARE[node["op"]]
        if node["args"][1]["op"] == "literal":
            value = _constant(node["args"][1])
            return lambda frame, budget: relation(left(frame, budget), value)
        if type_from(node["args"][0]["type"]).item is None:
            return lambda frame, budget: relation(left(frame, budget), right(frame, budget))

        def run(frame: Frame, budget: Budget) -> Any:
            one, other = left(frame, budget), right(frame, budget)
            self.spend(node, budget, len(one))
            return relation(one, other)

        return run

    def membership(self, node: Node) -> Run:
        needle, hay = self.args(node)

        def run(frame: Frame, budget: Budget) -> bool:
            value, items = needle(frame, budget), hay(frame, budget)
            self.spend(node, budget, len(items))
            return value in items

        return run

    # Numbers

    def decimal(self, node: Node) -> Run:
        [inner] = self.args(node)
        if type_from(node["type"]).kind == "decimal":
            return lambda frame, budget: Decimal(inner(frame, budget))
        return lambda frame, budget: tuple([Decimal(item) for item in inner(frame, budget)])

    def add(self, node: Node) -> Run:
        if type_from(node["type"]).kind in {"string", "list"}:
            return self.joined(node)
        return self.arithmetic(node)

    def divide(self, node: Node) -> Run:
        return self.arithmetic(node) if type_from(node["type"]).kind == "decimal" else self.whole(node)

    def minus(self, node: Node) -> Run:
        [inner] = self.args(node)
        if type_from(node["type"]).kind == "decimal":
            return lambda frame, budget: EXACT.minus(inner(frame, budget))
        return lambda frame, budget: self.int64(node, -inner(frame, budget))

    def int64(self, node: Node, value: int) -> int:
        if not INT_MIN <= value <= INT_MAX:
            raise self.failed(node, "beyond_64_bits")
        return value

    def arithmetic(self, node: Node) -> Run:
        left, right = self.args(node)
        if type_from(node["type"]).kind == "int":
            whole = _INT[node["op"]]
            return lambda frame, budget: self.int64(node, whole(left(frame, budget), right(frame, budget)))
        exact = _DECIMAL[node["op"]]

        def run(frame: Frame, budget: Budget) -> Decimal:
            try:
                return exact(left(frame, budget), right(frame, budget))
            except decimal.Inexact:
                raise self.failed(node, "inexact") from None
            except (decimal.DivisionByZero, decimal.DivisionUndefined, decimal.InvalidOperation):
                raise self.failed(node, "division_by_zero") from None
            except decimal.DecimalException:
                raise self.failed(node, "number_too_large") from None

        return run

    def whole(self, node: Node) -> Run:
        left, right = self.args(node)
        quotient = node["op"] == "div"

        def run(frame: Frame, budget: Budget) -> int:
            dividend, divisor = left(frame, budget), right(frame, budget)
            if divisor == 0:
                raise self.failed(node, "division_by_zero")
            # Towards zero, as in CEL; Python's // goes down.
            ratio = abs(dividend) // abs(divisor)
            if (dividend < 0) != (divisor < 0):
                ratio = -ratio
            return self.int64(node, ratio) if quotient else dividend - ratio * divisor

        return run

    # Text and lists

    def joined(self, node: Node) -> Run:
        left, right = self.args(node)
        of_text = type_from(node["type"]).kind == "string"
        limit, code = (MAX_TEXT, "text_too_long") if of_text else (MAX_ITEMS, "list_too_long")

        def run(frame: Frame, budget: Budget) -> Any:
            one, other = left(frame, budget), right(frame, budget)
            size = len(one) + len(other)
            if size > limit:
                raise self.failed(node, code, limit=limit)
            self.spend(node, budget, size >> 4)
            return one + other

        return run

    def size(self, node: Node) -> Run:
        [inner] = self.args(node)
        return lambda frame, budget: len(inner(frame, budget))

    def text(self, node: Node, test: Callable[[str, str], bool]) -> Run:
        left, right = self.args(node)

        def run(frame: Frame, budget: Budget) -> bool:
            text = left(frame, budget)
            self.spend(node, budget, len(text) >> 6)
            return test(text, right(frame, budget))

        return run

    def starts_with(self, node: Node) -> Run:
        return self.text(node, str.startswith)

    def ends_with(self, node: Node) -> Run:
        return self.text(node, str.endswith)

    def contains(self, node: Node) -> Run:
        return self.text(node, str.__contains__)

    def matches(self, node: Node) -> Run:
        text = self.build(node["args"][0])
        pattern = compile_pattern(node["args"][1]["value"])

        def run(frame: Frame, budget: Budget) -> bool:
            subject = text(frame, budget)
            self.spend(node, budget, len(subject) * pattern.size)  # the worst case; it is rarely met
            return pattern.search(subject)

        return run

    # Macros

    def bound(self, node: Node) -> tuple[Callable[[dict[str, Any], Budget], Iterator[Any]], Run]:
        """Return the items, each bound to its name and its work counted, and the body to run on each."""
        items, body = self.args(node)
        name, cost = node["item"], 1 + _count(node["args"][1])

        def each(frame: dict[str, Any], budget: Budget) -> Iterator[Any]:
            for item in items(frame, budget):
                self.spend(node, budget, cost)
                frame[name] = item
                yield item

        self.binds = True
        return each, body

    def each_exists(self, node: Node) -> Run:
        each, body = self.bound(node)
        return lambda frame, budget: any(body(frame, budget) for _ in each(frame, budget))

    def each_all(self, node: Node) -> Run:
        each, body = self.bound(node)
        return lambda frame, budget: all(body(frame, budget) for _ in each(frame, budget))

    def each_exists_one(self, node: Node) -> Run:
        each, body = self.bound(node)
        return lambda frame, budget: sum(body(frame, budget) for _ in each(frame, budget)) == 1

    def each_filter(self, node: Node) -> Run:
        each, body = self.bound(node)
        return lambda frame, budget: tuple([item for item in each(frame, budget) if body(frame, budget)])

    def each_map(self, node: Node) -> Run:
        each, body = self.bound(node)
        return lambda frame, budget: tuple([body(frame, budget) for _ in each(frame, budget)])

    def args(self, node: Node) -> list[Run]:
        return [self.build(arg) for arg in node["args"]]


_BUILD: dict[str, Callable[[_Builder, Node], Run]] = {
    "literal": _Builder.literal,
    "name": _Builder.name,
    "item": _Builder.item,
    "now": _Builder.now,
    "today": _Builder.today,
    "requester": _Builder.requester,
    "call": _Builder.call,
    "field": _Builder.field,
    "has": _Builder.has,
    "is_null": _Builder.is_null,
    "index": _Builder.index,
    "list": _Builder.listed,
    "decimal": _Builder.decimal,
    "and": _Builder.conjunction,
    "or": _Builder.disjunction,
    "not": _Builder.negation,
    "if": _Builder.conditional,
    "in": _Builder.membership,
    "add": _Builder.add,
    "sub": _Builder.arithmetic,
    "mul": _Builder.arithmetic,
    "div": _Builder.divide,
    "mod": _Builder.whole,
    "neg": _Builder.minus,
    "size": _Builder.size,
    "startsWith": _Builder.starts_with,
    "endsWith": _Builder.ends_with,
    "contains": _Builder.contains,
    "matches": _Builder.matches,
    "exists": _Builder.each_exists,
    "all": _Builder.each_all,
    "exists_one": _Builder.each_exists_one,
    "filter": _Builder.each_filter,
    "map": _Builder.each_map,
    **dict.fromkeys(_COMPARE, _Builder.compare),
}


def _count(node: Node) -> int:
    return 1 + sum(_count(arg) for arg in node["args"])


def _constant(node: Node) -> Any:
    read: dict[str, Callable[[str], Any]] = {
        "decimal": Decimal,
        "date": moments.read_date,
        "timestamp": moments.read_timestamp,
    }
    value = node["value"]
    return read[node["type"]](value) if node["type"] in read else value

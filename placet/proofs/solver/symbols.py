"""Symbols: a blueprint's variables as unknowns of the solver, and the way back from a model to an input."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

import z3

from placet.definition.variables import Variable
from placet.definition.variables.shapes import MAX_ITEMS, MAX_LENGTH, Shape
from placet.expressions import moments
from placet.expressions.number import DIGITS, INT_MAX, INT_MIN, write_decimal
from placet.expressions.types import NOW, REQUESTER

Term: TypeAlias = Any  # z3 carries no types

ITEMS = 3  # of a list, that are looked into
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
# z3's characters end at U+2FFFF. A text with any later ones behaves as one with others that no condition mentions, for
# which there is room as long as those that conditions mention end before.
_BEYOND = 0x2FF00
_ESCAPED = re.compile(r"\\u\{([0-9a-fA-F]+)\}|\\u([0-9a-fA-F]{4})")

_TEXT = Shape(type="string", required=True, min_length=1, max_length=200)
_PERHAPS = Shape(type="string", min_length=1, max_length=200)
_NAMES = Shape(type="list", required=True, items=Shape(type="string"), max_length=200)


class Unreadable(Exception):
    """The model has a value that no input can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """Stand for one value: a scalar's `term`, a list's `length` and first `items`, an object's `fields`.

    `absent` is a z3 Bool: whether there is no value. `whole`: the items are all that there can be.
    """

    kind: str
    absent: Term
    term: Term = None
    length: Term = None
    items: tuple[Symbol, ...] = ()
    fields: dict[str, Symbol] = field(default_factory=dict)
    whole: bool = False


@dataclass(slots=True, kw_only=True)
class SymbolPart:
    """Hold what goes with some unknowns.

    `demands` hold of every input. `truths` do too, but cost more: they are told last. `tidy` are wishes, from the
    tidiest values on: a witness is easier to read with 5001 in it than with a fraction of many digits. `guesses` are
    wishes about what the solver does not look into. `texts` are unknown texts, for which samples can be tried.
    `unknowns` are all of these unknowns.
    """

    unknowns: list[Term] = field(default_factory=list)

    demands: list[Term] = field(default_factory=list)
    truths: list[Term] = field(default_factory=list)
    tidy: tuple[list[Term], list[Term], list[Term]] = field(default_factory=lambda: ([], [], []))
    guesses: list[Term] = field(default_factory=list)
    texts: list[tuple[Term, Shape]] = field(default_factory=list)


class Declarations:
    """Declare unknowns in one z3 context, and note what goes with each since the last `part`."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.now = SymbolPart()
        self._count = 0

    def part(self) -> SymbolPart:
        """Return what was noted since the last call, and begin anew."""
        done, self.now = self.now, SymbolPart()
        return done

    def fresh(self, sort: str, hint: str) -> Term:
        """Return a new unknown of a sort: Bool, Int, Real or String."""
        self._count += 1
        name = f"{hint}!{self._count}"
        make: dict[str, Callable[..., Term]] = {"Bool": z3.Bool, "Int": z3.Int, "Real": z3.Real, "String": z3.String}
        unknown = make[sort](name, ctx=self.context)
        self.now.unknowns.append(unknown)
        return unknown

    def like(self, unknowns: Sequence[Term]) -> list[Term]:
        """Return new unknowns of the same sorts."""
        return [self.fresh(unknown.sort().name(), f"{unknown.decl().name()}'") for unknown in unknowns]

    def false(self) -> Term:
        """Return the constant false."""
        return z3.BoolVal(False, ctx=self.context)

    def declare(self, shape: Shape, hint: str, *, member: bool = True) -> Symbol:
        """Return the symbol of a shape; `member`: it is a variable or a property and so may be absent."""
        absent = self.fresh("Bool", f"{hint}?") if member and shape.optional else self.false()
        if shape.type == "list" and shape.items is not None:
            length = self.fresh("Int", f"{hint}#")
            most = MAX_ITEMS if shape.max_length is None else shape.max_length
            self.now.demands += [length >= (shape.min_length or 0), length <= most]
            items = tuple(self.declare(shape.items, f"{hint}[{n}]", member=False) for n in range(min(ITEMS, most)))
            for wishes in self.now.tidy:
                wishes.append(z3.Or(length <= ITEMS, length == (shape.min_length or 0)))
            return Symbol(kind="list", absent=absent, length=length, items=items, whole=most <= ITEMS)
        if shape.type == "object":
            fields = {name: self.declare(inner, f"{hint}.{name}") for name, inner in (shape.properties or {}).items()}
            return Symbol(kind="object", absent=absent, fields=fields)
        kind, term = _SCALARS[shape.type](self, shape, hint)
        if shape.lowest is not None:
            self.now.demands.append(term >= constant(kind, shape.lowest, self.context))
        if shape.highest is not None:
            self.now.demands.append(term <= constant(kind, shape.highest, self.context))
        if shape.enum is not None:
            known = [choice for choice in shape.choices if kind != "string" or is_expressible(choice)]
            choices = [term == constant(kind, _python(kind, choice), self.context) for choice in known]
            if len(known) < len(shape.choices):
                choices.append(self.fresh("Bool", f"{hint}~"))  # one of those that z3 has no text for
            self.now.demands.append(z3.Or(choices))
        return Symbol(kind=kind, absent=absent, term=term)

    def _string(self, shape: Shape, hint: str) -> tuple[str, Term]:
        term = self.fresh("String", hint)
        most = MAX_LENGTH if shape.max_length is None else shape.max_length
        if shape.enum is None:
            self.now.demands += [z3.Length(term) >= (shape.min_length or 0), z3.Length(term) <= most]
            self.now.texts.append((term, shape))
        return "string", term

    def _integer(self, _: Shape, hint: str) -> tuple[str, Term]:
        term = self.fresh("Int", hint)
        self.now.demands += [term >= INT_MIN, term <= INT_MAX]
        self._wish(lambda low, high: [term >= low, term <= high])
        return "int", term

    def _decimal(self, shape: Shape, hint: str) -> tuple[str, Term]:
        if shape.scale is not None:
            units = self.fresh("Int", hint)
            ten = z3.RealVal(10**shape.scale, ctx=self.context)
            term = z3.ToReal(units) / ten
            for wishes in self.now.tidy[:1]:
                wishes.append(units % 10**shape.scale == 0)
        else:
            term = self.fresh("Real", hint)
            for wishes, digits in zip((*self.now.tidy, self.now.truths), (0, 2, 12, DIGITS), strict=True):
                wishes.append(term * 10**digits == z3.ToReal(self.fresh("Int", f"{hint}~")))
        limit = z3.RealVal(10 ** (DIGITS - 12), ctx=self.context)
        edge = z3.RealVal(10**DIGITS, ctx=self.context)
        self.now.demands += [term > -edge, term < edge]
        self.now.tidy[2].extend([term > -limit, term < limit])
        self._wish(lambda low, high: [term >= low, term <= high])
        return "decimal", term

    def _boolean(self, _: Shape, hint: str) -> tuple[str, Term]:
        return "bool", self.fresh("Bool", hint)

    def _date(self, _: Shape, hint: str) -> tuple[str, Term]:
        term = self.fresh("Int", hint)
        self.now.demands += [term >= date.min.toordinal(), term <= date.max.toordinal()]
        near = [term >= date(2000, 1, 1).toordinal(), term <= date(2099, 12, 31).toordinal()]
        self.now.tidy[0].extend(near)
        self.now.tidy[1].extend(near)
        return "date", term

    def _datetime(self, _: Shape, hint: str) -> tuple[str, Term]:
        term = self.fresh("Int", hint)
        self.now.demands += [term >= microseconds(_FIRST), term <= microseconds(_LAST)]
        near = [term >= microseconds(datetime(2000, 1, 1, tzinfo=UTC)), term % 1_000_000 == 0]
        self.now.tidy[0].extend([*near, term <= microseconds(datetime(2099, 1, 1, tzinfo=UTC))])
        return "timestamp", term

    def _wish(self, bounds: Callable[[int, int], list[Term]]) -> None:
        self.now.tidy[0].extend(bounds(0, 10**6))
        self.now.tidy[1].extend(bounds(-(10**15), 10**15))


_SCALARS: dict[str, Callable[[Declarations, Shape, str], tuple[str, Term]]] = {
    "string": Declarations._string,
    "integer": Declarations._integer,
    "decimal": Declarations._decimal,
    "boolean": Declarations._boolean,
    "date": Declarations._date,
    "datetime": Declarations._datetime,
}


def is_expressible(text: str) -> bool:
    """Say whether z3 has a constant for a text, and characters that come after all of those in it."""
    return all(ord(char) < _BEYOND for char in text)


def text_of(term: Term) -> str:
    """Return the text that a constant of z3 stands for."""
    return _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), term.as_string())


def constant(kind: str, value: Any, context: Any) -> Term:
    """Return a Python value (str, int, Decimal, bool, date, aware datetime) as a z3 constant."""
    if kind == "string":
        # A backslash would begin an escape in z3's notation of texts.
        return z3.StringVal(value.replace("\\", "\\u{5c}"), ctx=context)
    if kind == "bool":
        return z3.BoolVal(value, ctx=context)
    if kind == "decimal":
        return z3.RealVal(str(Fraction(value)), ctx=context)
    if kind == "date":
        return z3.IntVal(value.toordinal(), ctx=context)
    if kind == "timestamp":
        return z3.IntVal(microseconds(value), ctx=context)
    return z3.IntVal(value, ctx=context)


def microseconds(moment: datetime) -> int:
    """Count the microseconds from 1970 to a moment."""
    return (moment - EPOCH) // _MICROSECOND


def _python(kind: str, canonical: Any) -> Any:
    """Read a scalar of canonical JSON as its Python value."""
    read: dict[str, Callable[[Any], Any]] = {
        "decimal": Decimal,
        "date": moments.read_date,
        "timestamp": moments.read_timestamp,
    }
    return read[kind](canonical) if kind in read else canonical


def value_of(symbol: Symbol, model: Any) -> Any:
    """Return what a model says of a symbol, in JSON values; None where it is absent. Raises Unreadable."""
    if z3.is_true(model.eval(symbol.absent, model_completion=True)):
        return None
    if symbol.kind == "list":
        length = model.eval(symbol.length, model_completion=True).as_long()
        items = [value_of(item, model) for item in symbol.items[:length]]
        # The solver has not looked into the rest: more of the same.
        return items + [items[-1]] * (length - len(items)) if items else items
    if symbol.kind == "object":
        members = {name: value_of(inner, model) for name, inner in symbol.fields.items()}
        return {name: value for name, value in members.items() if value is not None}
    return _scalar(symbol.kind, model.eval(symbol.term, model_completion=True))


def _scalar(kind: str, term: Term) -> Any:
    if kind == "bool":
        return z3.is_true(term)
    if kind == "string":
        return text_of(term)
    if kind == "decimal":
        if not z3.is_rational_value(term):
            raise Unreadable
        return _decimal_text(term.as_fraction())
    number = term.as_long()
    if kind == "date":
        return moments.write(date.fromordinal(number))
    return moments.write(EPOCH + number * _MICROSECOND) if kind == "timestamp" else number


def _decimal_text(value: Fraction) -> str:
    rest, digits = value.denominator, 0
    while rest % 10 == 0:
        rest, digits = rest // 10, digits + 1
    while rest % 2 == 0:
        rest, digits = rest // 2, digits + 1
    while rest % 5 == 0:
        rest, digits = rest // 5, digits + 1
    if rest != 1 or digits > DIGITS:
        raise Unreadable
    return write_decimal(Decimal(int(value * 10**digits)).scaleb(-digits))


def items_of(symbols: Sequence[Symbol], context: Any) -> Symbol:
    """Return the symbol of a list with exactly these items."""
    false = z3.BoolVal(False, ctx=context)
    return Symbol(
        kind="list", absent=false, length=z3.IntVal(len(symbols), ctx=context), items=tuple(symbols), whole=True
    )


# What expressions read besides variables, as unknowns: the moment at which a node is entered, and the facts about the
# requester. No variable of a blueprint can have these names.
CONTEXT_VARIABLES: tuple[Variable, ...] = (
    Variable.model_construct(name=NOW, type="datetime", required=True),
    Variable.model_construct(
        name=REQUESTER,
        type="object",
        required=True,
        properties={
            "id": _TEXT,
            "department": _PERHAPS,
            "manager": _PERHAPS,
            "managers": Shape(type="integer", required=True, minimum=0, maximum=32),
            "groups": _NAMES,
            "roles": _NAMES,
        },
    ),
)

"""Calls: the functions of the expression language as terms of the solver.

Exact: the calendar and the clock of the process's zone, rounding, differences of dates, and what is said of lists as
far as they are looked into. Of texts (`lower`, `string`, `int` and `decimal` of a text) only samples are known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import z3

from placet.expressions.expression import Node
from placet.expressions.moments import Offsets
from placet.expressions.number import INT_MAX, INT_MIN
from placet.proofs.solver.symbols import EPOCH, Term, constant, microseconds

if TYPE_CHECKING:
    from placet.proofs.solver.formula import Formulas, Value

_HOUR = 3_600_000_000  # microseconds
_DAY = 24 * _HOUR
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
_FIRST_MOMENT, _LAST_MOMENT = (
    microseconds(datetime.combine(day, datetime.min.time(), EPOCH.tzinfo)) for day in (date.min, date.max)
)


def call(formulas: Formulas, node: Node) -> Value:
    """Return the terms of a call."""
    args = [formulas.node(arg) for arg in node["args"]]
    terms: Callable[[Formulas, Node, list[Value]], Value] = _CALLS.get(node["function"], _unknown)
    return terms(formulas, node, args)


def local(formulas: Formulas, moment: Term, offsets: Offsets) -> Term:
    """Return what the zone's clocks show at a moment, in microseconds; one term for each moment."""
    if not offsets:
        return moment
    if len({offset for _, offset in offsets}) == 1:
        return moment + offsets[0][1] * 1_000_000
    known = formulas.locals.get(moment.sexpr())
    if known is None:
        offset = formulas.declarations.fresh("Int", "offset")
        spans: list[Term] = []
        for index, (begins, seconds) in enumerate(offsets):
            parts = [offset == seconds]
            if index:
                parts.append(moment >= begins * 1_000_000)
            if index + 1 < len(offsets):
                parts.append(moment < offsets[index + 1][0] * 1_000_000)
            spans.append(z3.And(parts))
        formulas.declarations.now.demands.append(z3.Or(spans))
        known = formulas.locals[moment.sexpr()] = moment + offset * 1_000_000
    return known


def day_of(shown: Term) -> Term:
    """Return the day, as an ordinal, that clocks show."""
    return shown / _DAY + _EPOCH_DAY


def _unknown(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    symbol = formulas.opaque(node)
    fails = formulas.opaque({**node, "function": f"{node['function']}!", "type": "bool"}).term
    return formulas.valued(symbol, *(arg.fails for arg in args), fails)


def _always(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    """Return something unknown that never fails by itself."""
    return formulas.valued(formulas.opaque(node), *(arg.fails for arg in args))


def _as_it_is(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    of = args[0].symbol.kind
    return args[0] if of == node["type"] else _always(formulas, node, args)


# Dates and moments


def _shown_day(formulas: Formulas, arg: Value) -> Term:
    """Return the ordinal of the day of a date, or of a moment in the zone."""
    if arg.symbol.kind == "date":
        return arg.symbol.term
    return day_of(local(formulas, arg.symbol.term, formulas.offsets))


def _on_day(part: Callable[[Term], Term]) -> Callable[[Formulas, Node, list[Value]], Value]:
    def terms(formulas: Formulas, _: Node, args: list[Value]) -> Value:
        return formulas.scalar("int", part(_shown_day(formulas, args[0])), args[0].fails)

    return terms


def _on_clock(span: int, of: int) -> Callable[[Formulas, Node, list[Value]], Value]:
    def terms(formulas: Formulas, _: Node, args: list[Value]) -> Value:
        shown = local(formulas, args[0].symbol.term, formulas.offsets)
        return formulas.scalar("int", (shown / span) % of, args[0].fails)

    return terms


def _weekday(day: Term) -> Term:
    return (day - 1) % 7 + 1  # the first day of all was a Monday


def _civil(day: Term) -> tuple[Term, Term, Term]:
    """Return year, month and day of the month of an ordinal: years are counted from March on, in eras of 400."""
    since = day + 305
    era, rest = since / 146_097, since % 146_097
    year = (rest - rest / 1_460 + rest / 36_524 - rest / 146_096) / 365
    of_year = rest - (365 * year + year / 4 - year / 100)
    shifted = (5 * of_year + 2) / 153
    month = z3.If(shifted < 10, shifted + 3, shifted - 9)
    return year + era * 400 + z3.If(month <= 2, 1, 0), month, of_year - (153 * shifted + 2) / 5 + 1


def _date(formulas: Formulas, _: Node, args: list[Value]) -> Value:
    return formulas.scalar("date", _shown_day(formulas, args[0]), args[0].fails)


def _timestamp(formulas: Formulas, _: Node, args: list[Value]) -> Value:
    """Return the first moment of a day in the zone; on a day on which its clocks change, one soon after midnight."""
    [arg] = args
    if arg.symbol.kind == "timestamp":
        return arg
    begins = (arg.symbol.term - _EPOCH_DAY) * _DAY
    offsets = {offset for _, offset in formulas.offsets} or {0}
    if len(offsets) == 1:
        return formulas.scalar("timestamp", begins - offsets.pop() * 1_000_000, arg.fails)
    key = f"midnight {arg.symbol.term.sexpr()}"
    if key not in formulas.locals:  # the same for the same day
        moment = formulas.locals[key] = formulas.declarations.fresh("Int", "midnight")
        shown = local(formulas, moment, formulas.offsets)
        formulas.declarations.now.demands += [shown >= begins, shown < begins + 3 * _HOUR]
        formulas.declarations.now.guesses.append(shown == begins)
    return formulas.scalar("timestamp", formulas.locals[key], arg.fails)


def _days_between(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    one, other = (arg.symbol.term for arg in args)
    later, earlier = (one, other) if node["function"] == "days_between" else (other, one)
    return formulas.scalar("int", later - earlier, *(arg.fails for arg in args))


def _days_moved(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    days = args[1].symbol.term
    term = args[0].symbol.term + (days if node["function"] == "days_later" else -days)
    beyond = z3.Or(term < 1, term > _LAST_DAY)
    return formulas.scalar("date", term, *(arg.fails for arg in args), beyond)


def _hours_moved(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    hours = args[1].symbol.term * _HOUR
    moved = _half_away(hours if node["function"] == "hours_later" else -hours)
    term = args[0].symbol.term + z3.ToInt(moved)
    beyond = z3.Or(term < _FIRST_MOMENT, term > _LAST_MOMENT + _DAY - 1)
    return formulas.scalar("timestamp", term, *(arg.fails for arg in args), beyond)


def _hours_between(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    earlier, later = (arg.symbol.term for arg in args)
    exact = z3.ToReal(later - earlier) / _HOUR
    return formulas.scalar("decimal", formulas.near(node, exact), *(arg.fails for arg in args))


# Numbers


def _half_away(number: Term) -> Term:
    """Return a number rounded to a whole one, half away from zero, as a Real."""
    half = z3.Q(1, 2, number.ctx)
    return z3.If(number < 0, -z3.ToReal(z3.ToInt(half - number)), z3.ToReal(z3.ToInt(number + half)))


def _round(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    digits = node["args"][1]["value"] if len(args) > 1 else 0
    shift = z3.RealVal(10**digits, ctx=formulas.context)
    return formulas.scalar("decimal", _half_away(args[0].symbol.term * shift) / shift, args[0].fails)


def _int(formulas: Formulas, _: Node, args: list[Value]) -> Value:
    [arg] = args
    if arg.symbol.kind == "int":
        return arg
    if arg.symbol.kind == "string":
        value, none = formulas.texts.read("int", arg.symbol.term)
        return formulas.scalar("int", value, arg.fails, none)
    term = z3.ToInt(arg.symbol.term)
    beyond = z3.Or(term < INT_MIN, term > INT_MAX)
    return formulas.scalar("int", term, arg.fails, z3.Not(z3.IsInt(arg.symbol.term)), beyond)


def _decimal(formulas: Formulas, _: Node, args: list[Value]) -> Value:
    [arg] = args
    if arg.symbol.kind == "decimal":
        return arg
    value, none = formulas.texts.read("decimal", arg.symbol.term)
    return formulas.scalar("decimal", value, arg.fails, none)


# Lists


def _sum(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    over = args[0].symbol
    zero = constant(node["type"], 0, formulas.context)
    terms = [z3.If(over.length > n, item.term, zero) for n, item in enumerate(over.items)]
    term = z3.Sum(terms) if terms else zero
    if not over.whole:
        term = z3.If(over.length <= len(over.items), term, formulas.opaque(node).term)
    return formulas.number(node["type"], term, args[0].fails)


def _extreme(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    least = node["function"] == "min"

    def better(one: Term, other: Term) -> Term:
        return z3.If(one <= other, one, other) if least else z3.If(one >= other, one, other)

    if args[0].symbol.kind != "list":
        term = args[0].symbol.term
        for arg in args[1:]:
            term = better(term, arg.symbol.term)
        return formulas.scalar(node["type"], term, *(arg.fails for arg in args))
    over = args[0].symbol
    empty = over.length <= 0
    if not over.items:
        return formulas.valued(formulas.opaque(node), args[0].fails, empty)
    term = over.items[0].term
    for n, item in enumerate(over.items[1:], 1):
        term = z3.If(over.length > n, better(term, item.term), term)
    if not over.whole:
        term = z3.If(over.length <= len(over.items), term, formulas.opaque(node).term)
    return formulas.scalar(node["type"], term, args[0].fails, empty)


# Texts


def _lower(formulas: Formulas, _: Node, args: list[Value]) -> Value:
    return formulas.scalar("string", formulas.texts.lowered(args[0].symbol.term), args[0].fails)


def _string(formulas: Formulas, node: Node, args: list[Value]) -> Value:
    [arg] = args
    if arg.symbol.kind != "int":
        return _as_it_is(formulas, node, args)
    number = arg.symbol.term
    minus = z3.Concat(formulas.texts.text("-"), z3.IntToStr(-number))
    return formulas.scalar("string", z3.If(number < 0, minus, z3.IntToStr(number)), arg.fails)


_CALLS: dict[str, Callable[[Any, Node, list[Any]], Any]] = {
    "weekday": _on_day(_weekday),
    "day": _on_day(lambda day: _civil(day)[2]),
    "month": _on_day(lambda day: _civil(day)[1]),
    "year": _on_day(lambda day: _civil(day)[0]),
    "hour": _on_clock(_HOUR, 24),
    "minute": _on_clock(_HOUR // 60, 60),
    "date": _date,
    "timestamp": _timestamp,
    "daysBetween": _days_between,
    "days_between": _days_between,
    "days_later": _days_moved,
    "days_earlier": _days_moved,
    "hours_later": _hours_moved,
    "hours_earlier": _hours_moved,
    "hoursBetween": _hours_between,
    "round": _round,
    "int": _int,
    "decimal": _decimal,
    "string": _string,
    "sum": _sum,
    "min": _extreme,
    "max": _extreme,
    "lower": _lower,
}

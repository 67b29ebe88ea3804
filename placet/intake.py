"""Intake: what a request begins with, held to what is declared and to what its way is going to need.

An input may leave an optional variable out. Where the way that it takes leads to a decision or a wait that reads the
variable, and nothing on the way can have set it, the request would fail there, weeks later perhaps: it is better told
to whoever is still at the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from placet.conditions import Expression, evaluate
from placet.errors import EvaluationFailed, InputInvalid, Problem, ValueAbsent
from placet.plan import Plan
from placet.pointer import pointer_to
from placet.points import Point
from placet.variables import normalise_input, values_of

_INPUT = "/input"
_NOTHING: frozenset[str] = frozenset()


def accept_input(plan: Plan, raw: object) -> dict[str, Any]:
    """Return the input of a request that begins, as `normalise_input` does.

    Raises InputInvalid also for each variable that is left out and that a decision or a wait is going to need.
    """
    given = normalise_input(plan.variables, raw, pointer=_INPUT)
    if len(given) < len(plan.variables) and (problems := _Way(plan, given).problems()):
        first = problems[0]
        raise InputInvalid(f"{first.pointer}: {first.message}", problems=problems)
    return given


class _Way:
    """Where an input leads, both ways where it depends on people, or on what the process sets meanwhile."""

    def __init__(self, plan: Plan, given: Mapping[str, Any]) -> None:
        self._points = plan.points
        self._values = values_of(plan.variables, given)
        # What one branch of a fork sets, another may find set or not.
        self._beside = _NOTHING.union(*(_sets(point) for point in plan.points.values() if point.frames))
        self._set: dict[str, frozenset[str]] = {}  # by node that is come to: what may have been set by then
        self._follow(plan.start)

    def problems(self) -> tuple[Problem, ...]:
        """Return what is missing, one for each variable."""
        found: dict[str, Problem] = {}
        for name, changed in self._set.items():
            point = self._points[name]
            absent = self._on(point, changed)[1]
            if absent is not None:
                message = f"{absent!r} is needed by the {point.type} {name!r}, to which this leads; give a value"
                found.setdefault(absent, Problem(pointer=pointer_to(_INPUT, absent), message=message))
        return tuple(found.values())

    def _follow(self, start: str) -> None:
        """Go along every way; what may have been set only grows, so this ends."""
        self._set[start] = _NOTHING
        pending = [start]
        while pending:
            name = pending.pop()
            point = self._points[name]
            changed = self._set[name] | _sets(point)
            for target in self._on(point, self._set[name])[0]:
                inside = self._beside if self._points[target].frames else _NOTHING
                known = self._set.get(target)
                now = changed | inside | (known or _NOTHING)
                if now != known:
                    self._set[target] = now
                    pending.append(target)

    def _on(self, point: Point, changed: frozenset[str]) -> tuple[list[str], str | None]:
        """Return where a node leads, and the variable without which it leads nowhere."""
        try:
            if point.type == "decision":
                return self._decided(point, changed), None
            if point.pause is not None and point.pause.until is not None:
                self._value(point.pause.until, changed)
        except ValueAbsent as error:
            return [], error.variable
        except EvaluationFailed:  # for another reason: the input is what it is
            return [], None
        return [way.target for way in point.ways], None

    def _decided(self, point: Point, changed: frozenset[str]) -> list[str]:
        possible: list[str] = []
        sure = False
        for way in point.ways:
            holds = self._value(way.condition, changed) if way.condition is not None else False
            if holds is not False:
                possible.append(way.target)
            sure = sure or holds is True
            if holds is True and point.hit_policy == "first":
                break
        return possible if sure else [*possible, *(way.target for way in point.ways if way.default)]

    def _value(self, expression: Expression, changed: frozenset[str]) -> object:
        """Return what an expression comes to, None where that depends on what the process sets."""
        return None if expression.names & changed else evaluate(expression, self._values)


def _sets(point: Point) -> frozenset[str]:
    if point.errand is not None:
        return frozenset(point.errand.output)
    return frozenset(point.pause.output) if point.pause is not None else frozenset(point.output)

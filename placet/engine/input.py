"""Check the input of a request, and later values from outside, against the declarations and the needs of the process.

An input, an outside event or a form may leave an optional variable out. Where the request then leads to a decision, a
wait or a computed value that reads the variable, and no node on the way can have set it, the request would fail there,
perhaps weeks later. It is better to refuse it while somebody is still at the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from placet.definition.variables import normalise_input, values_of
from placet.errors import EvaluationFailed, InputInvalid, Problem, ValueAbsent
from placet.expressions import Allowance, Expression, evaluate
from placet.expressions.program import BUDGET
from placet.json_pointer import pointer_to
from placet.nodes.registry import type_at
from placet.plan.graph import Node
from placet.plan.plan import Plan
from placet.sentences import sentence

MOST_WORK = 1_000_000  # of all that is evaluated on the way of one input, in steps of the expressions' own bound

_INPUT = "/input"
_NOTHING: frozenset[str] = frozenset()


def accept_input(plan: Plan, raw: object) -> dict[str, Any]:
    """Return the normalised input of a request that begins.

    Raises InputInvalid also for each missing variable that a decision or a wait is going to need.
    """
    given = normalise_input(plan.variables, raw, pointer=_INPUT)
    if len(given) < len(plan.variables) or plan.growing_expressions * BUDGET > MOST_WORK:
        _refuse(_ForwardAnalysis(plan, given, [plan.start]).missing(), {v.name: v.name for v in plan.variables}, _INPUT)
    return given


def require_event_values(plan: Plan, values: Mapping[str, Any], node: Node, pointer: str) -> None:
    """Refuse an event without a variable that the nodes after the wait are going to need.

    `values` are the variables after the event. Raises InputInvalid with places in the event's payload.
    """
    unset = {name: source for name, source in node.sources.items() if values.get(name) is None}
    targets = [edge.target for edge in node.edges if edge.on == "event"] or [
        w.target for w in node.edges if w.on is None
    ]
    if unset and targets:
        _refuse(_ForwardAnalysis(plan, values, targets[:1]).missing(), unset, pointer)


def _refuse(missing: Mapping[str, Node], places: Mapping[str, str], pointer: str) -> None:
    """Raise InputInvalid for the missing variables, at their `places`."""
    problems = tuple(
        Problem(
            pointer=pointer + (places[name] if places[name][:1] == "/" else pointer_to("", places[name])),
            message=sentence(
                "{name!r} is needed by the {type} {id!r}, to which this leads; give a value",
                name=name,
                type=node.type,
                id=node.id,
            ),
        )
        for name, node in missing.items()
        if name in places
    )
    if problems:
        raise InputInvalid(
            sentence("{pointer}: {message}", pointer=problems[0].pointer, message=problems[0].message),
            problems=problems,
        )


class _ForwardAnalysis:
    """Where given values lead from some nodes; all branches where that depends on people or on values that the process
    sets.
    """

    def __init__(self, plan: Plan, given: Mapping[str, Any], starts: Sequence[str]) -> None:
        self._points = plan.nodes
        self._values = values_of(plan.variables, given)
        self._allowance = Allowance(MOST_WORK)
        # A variable that one branch of a fork sets may or may not be set in another.
        self._beside = _NOTHING.union(*(type_at(node).sets(node) for node in plan.nodes.values() if node.frames))
        self._set: dict[
            str, frozenset[str]
        ] = {}  # by node that is reached: the variables that may have been set by then
        self._follow(starts)

    def missing(self) -> dict[str, Node]:
        """Return the missing variables, each with the first node found that needs it."""
        found: dict[str, Node] = {}
        for name, changed in self._set.items():
            absent = self._on(self._points[name], changed)[1]
            if absent is not None:
                found.setdefault(absent, self._points[name])
        return found

    def _follow(self, starts: Sequence[str]) -> None:
        """Follow every edge; the sets of variables that may have been set only grow, so this ends."""
        for start in starts:
            self._set[start] = self._beside if self._points[start].frames else _NOTHING
        pending = list(starts)
        while pending:
            name = pending.pop()
            node = self._points[name]
            changed = self._set[name] | type_at(node).sets(node)
            for target in self._on(node, self._set[name])[0]:
                inside = self._beside if self._points[target].frames else _NOTHING
                known = self._set.get(target)
                now = changed | inside | (known or _NOTHING)
                if now != known:
                    self._set[target] = now
                    pending.append(target)

    def _on(self, node: Node, changed: frozenset[str]) -> tuple[list[str], str | None]:
        """Return where a node leads, and the missing variable that it cannot go on without."""
        try:
            return type_at(node).possible_edges(node, lambda expression: self._value(expression, changed)), None
        except ValueAbsent as error:
            return [], error.variable
        except EvaluationFailed:
            if self._allowance.left < 0:
                message = f"computing with such long lists and texts takes more than {MOST_WORK:,} steps"
                raise InputInvalid.at(_INPUT, sentence("{message}; make them shorter", message=message)) from None
            return [], None  # it fails for another reason than a missing value

    def _value(self, expression: Expression, changed: frozenset[str]) -> object:
        """Return the value of an expression; None where it depends on values that the process sets, the moment or the
        requester.
        """
        if expression.names & changed or expression.world:
            return None
        return evaluate(expression, self._values, self._allowance)

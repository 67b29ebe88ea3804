"""Evaluation: whether everything that a process evaluates can be evaluated, for every input that can reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import z3

from placet.definition.action_spec import ActionSpec
from placet.errors import EvaluationFailed
from placet.expressions import Expression, evaluate
from placet.expressions.types import NAMES
from placet.nodes.facts import NamedAction, NamedProcess
from placet.nodes.registry import type_of
from placet.plan.plan import Child
from placet.proofs.draft import Draft, DraftNode
from placet.proofs.findings import Finding, error, warning, what_follows
from placet.proofs.solver import Undecided
from placet.proofs.values.assignment import AssignedVariables
from placet.proofs.values.reachability import Reach, ReachingInput
from placet.proofs.values.runs import Values
from placet.sentences import sentence


class EvaluationCheck:
    """Check expressions that are evaluated one after the other at a node; `places` are where they are written.

    A decision stops at the first condition that holds, but for a table whose hit policy looks at all of its rules.
    """

    def __init__(
        self,
        reach: Reach,
        node: DraftNode,
        known: AssignedVariables,
        sequence: Sequence[Expression],
        places: Sequence[str],
    ) -> None:
        self.reach = reach
        self.node = node
        self.known = known
        self.sequence = sequence
        self.places = places
        self.names = frozenset(name for expression in sequence for name in expression.reads)
        # What the process has set by now is there, though an input may leave it out.
        self.there = self.names - frozenset(NAMES) - known.missing(node.id, self.names)

    def findings(self) -> Iterator[Finding]:
        """Find inputs on which an evaluation fails, one for each kind of reason."""
        prover = self.reach.prover
        terms = [prover.value(expression) for expression in self.sequence]
        if all(z3.is_false(fails) for _, fails in terms):
            return
        before = [] if self.node.exhaustive else [z3.And(z3.Not(fails), z3.Not(holds)) for holds, fails in terms[:-1]]
        met = z3.Or([z3.And([*before[:n], fails]) for n, (_, fails) in enumerate(terms)])
        overflows, absences = prover.overflows, prover.absences
        calm = [met, *map(z3.Not, overflows), *(prover.present(name) for name in sorted(self.there))]
        found, told = self._asked("failed", [*calm, *map(z3.Not, absences)])
        yield from told
        if absences:
            absent, told = self._asked("absent", calm)
            found = found or absent
            yield from told
        if overflows and not found:
            yield from self._asked("overflow", [met, *calm[1 + len(overflows) :]])[1]

    def _asked(self, kind: str, terms: Sequence[Any]) -> tuple[bool, list[Finding]]:
        """Return whether some input fails for this kind of reason, and the finding."""

        def fails_so(values: Values) -> bool:
            if any(values[name] is None for name in self.there):
                return False
            fault = self._fault(values)
            return fault is not None and _kind(fault[1]) == kind

        try:
            shown = self.reach.show(self.node.id, terms, self.names, fails_so, likely=False)
        except Undecided as doubt:
            message = sentence(
                "it could not be proven that everything here can be evaluated: {message}; simplify it",
                message=doubt.message,
            )
            return False, [warning("not_proven", self.node.pointer, message)]
        return (False, []) if shown is None else (True, [self._finding(kind, shown)])

    def _finding(self, kind: str, shown: ReachingInput) -> Finding:
        values = self.reach.values(shown.found)
        place, fault = self._fault(values) or (self.node.pointer, "")
        what = sentence("this condition") if self.node.chooses else sentence("this")
        handled = any(edge.on == "failed" for edge in self.node.edges)
        asked = self.node.step is not None  # the approvers could not be determined
        then = what_follows(self.node.id, handled=handled)
        if asked:
            then = sentence("the escalation or the owner is asked")
        message = sentence(
            "for some input {what} cannot be evaluated, and {then}: {fault}", what=what, then=then, fault=fault
        )
        if kind == "absent":
            # Of what is absent in the witness, those that the process sets are the ones to look at.
            absent = frozenset(name for name in self.names if values.get(name) is None)
            message += self.known.why(self.node.id, absent)
            return warning("unset_variable", place, message + shown.note, **shown.parts)
        level = warning if kind == "overflow" or handled or asked else error
        return level("evaluation_fails", place, message + shown.note, **shown.parts)

    def _fault(self, values: Values) -> tuple[str, str] | None:
        for expression, place in zip(self.sequence, self.places, strict=True):
            try:
                if evaluate(expression, values) is True and self.node.chooses and not self.node.exhaustive:
                    return None
            except EvaluationFailed as fault:
                return place, fault.message
        return None


def computed_findings(
    draft: Draft,
    reach: Reach,
    known: AssignedVariables,
    actions: Mapping[str, ActionSpec] | None,
    children: Mapping[str, Child] | None,
) -> Iterator[Finding]:
    """Generate findings about values that nodes compute: moments of waits, inputs of actions and sub-processes."""
    needed = _needed(draft, actions or {}, children or {})
    for node in draft.nodes.values():
        if not (node.computes or node.guards) or not reach.is_reachable(node.id):
            continue
        for guard in node.guards:
            yield from EvaluationCheck(reach, node, known, [guard.expression], [guard.pointer]).findings()
        for computed in node.computes:
            if not computed.left_out or computed.member in needed.get(node.id, ()):
                yield from EvaluationCheck(reach, node, known, [computed.expression], [computed.pointer]).findings()


def _needed(
    draft: Draft, actions: Mapping[str, ActionSpec], children: Mapping[str, Child]
) -> dict[str, frozenset[str]]:
    """Return by node the parameters that its action or sub-process cannot do without."""
    found: dict[str, frozenset[str]] = {}
    for node in draft.definition.graph_spec.nodes if draft.definition.graph_spec is not None else ():
        named = type_of(node).named(node)
        if isinstance(named, NamedAction) and named.name in actions:
            found[node.id] = frozenset(actions[named.name].input_schema.get("required", ()))
        elif isinstance(named, NamedProcess) and (child := children.get(named.reference)) is not None:
            found[node.id] = frozenset(v.name for v in child.plan.variables if not v.optional and v.default is None)
    return found


def _kind(fault: str) -> str:
    """Classify a failed evaluation by the evaluator's sentence."""
    if "has no value" in fault or "is absent" in fault:
        return "absent"
    return "overflow" if "64 bits" in fault else "failed"

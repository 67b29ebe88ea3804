"""Decisions: whether each is complete and unambiguous for every input that can reach it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import z3

from placet.expressions import Expression
from placet.proofs.draft import Draft, DraftEdge, DraftNode
from placet.proofs.findings import Finding, error, warning
from placet.proofs.solver import Undecided
from placet.proofs.values.assignment import AssignedVariables
from placet.proofs.values.evaluation import EvaluationCheck
from placet.proofs.values.reachability import Reach, ReachingInput
from placet.proofs.values.runs import Values
from placet.sentences import sentence

Condition = tuple[DraftEdge, Expression]


def branch_findings(draft: Draft, reach: Reach, known: AssignedVariables) -> list[Finding]:
    """List the faults in decisions whose conditions all compile."""
    return [
        finding
        for node in draft.nodes.values()
        if node.chooses and node.edges and not any(a.faulty for a in node.edges)
        for finding in _Decision(draft, reach, known, node).findings()
    ]


class _Decision:
    """Check one decision. Its conditions are tried in order; a default is taken where none holds."""

    def __init__(self, draft: Draft, reach: Reach, known: AssignedVariables, node: DraftNode) -> None:
        self.draft = draft
        self.reach = reach
        self.known = known
        self.node = node
        self.conditions: list[Condition] = [(a, a.condition) for a in node.edges if a.condition is not None]
        self.default = next((a for a in node.edges if a.default), None)
        terms = [reach.prover.value(expression) for _, expression in self.conditions]
        self.holds = [z3.And(z3.Not(fails), holds) for holds, fails in terms]
        self.none = [z3.And(z3.Not(fails), z3.Not(holds)) for holds, fails in terms]
        self.names = {name for _, expression in self.conditions for name in expression.reads}
        self.found: list[Finding] = []

    def findings(self) -> list[Finding]:
        """Ask every question; a decision that cannot be reached is reported by what makes it so."""
        if self.conditions and self.reach.is_reachable(self.node.id):
            for index, _ in enumerate(self.conditions):
                self._dead(index)
                self._overlap(index)
            self._gap()
            expressions, places = [e for _, e in self.conditions], [a.place for a, _ in self.conditions]
            self.found += EvaluationCheck(self.reach, self.node, self.known, expressions, places).findings()
        return self.found

    def _ask(
        self, terms: Sequence[Any], check: Callable[[Values], bool], pointer: str, question: str, *, likely: bool
    ) -> tuple[ReachingInput | None, bool]:
        """Return an input that shows it (None: there is none), and whether that was proven; if not, report it."""
        try:
            return self.reach.show(self.node.id, terms, self.names, check, likely=likely), True
        except Undecided as doubt:
            message = sentence(
                "it could not be proven that {question}: {message}; simplify the conditions",
                question=question,
                message=doubt.message,
            )
            self.found.append(warning("not_proven", pointer, message))
            return None, False

    def _results(self, values: Values) -> list[bool | None]:
        return [self.reach.result(expression, values) for _, expression in self.conditions]

    def _dead(self, index: int) -> None:
        edge, expression = self.conditions[index]
        pointer = edge.place

        # Only where the first rule that fits is taken can an earlier one take everything.
        before = index if self.node.hit_policy in {None, "first"} else 0

        def first(values: Values) -> bool:
            results = self._results(values)
            return results[index] is True and all(result is False for result in results[:before])

        shown, known = self._ask(
            [*self.none[:before], self.holds[index]],
            first,
            pointer,
            sentence("this branch can be taken by some input"),
            likely=True,
        )
        if shown is None and known:
            why = self._why_dead(index, expression)
            self.found.append(error("dead_branch", pointer, sentence("this branch is never taken: {why}", why=why)))

    def _why_dead(self, index: int, expression: Expression) -> str:
        try:
            if self.reach.prover.witness([(expression, True)]) is None:
                return sentence("its condition holds for no valid input; correct it, or remove the edge")
            if self.reach.show(self.node.id, [self.holds[index]], self.names, lambda v: self._holds(index, v)) is None:
                return sentence("its condition never holds on the paths that lead here; correct it, or remove the edge")
        except Undecided:
            pass  # the reason is only for the message
        return sentence(
            "an earlier condition takes every input for which it holds; correct one of them, or remove the edge"
        )

    def _holds(self, index: int, values: Values) -> bool:
        return self._results(values)[index] is True

    def _overlap(self, index: int) -> None:
        if not index or self.node.hit_policy == "first":
            return
        edge, expression = self.conditions[index]
        pointer = edge.place

        def both(values: Values) -> bool:
            results = self._results(values)
            earlier = [result for result in results[:index] if result is not False]
            return results[index] is True and earlier[:1] == [True]

        # That an earlier one is taken means that those before it neither hold nor fail.
        taken = z3.Or([z3.And([*self.none[:n], holds]) for n, holds in enumerate(self.holds[:index])])
        if self.node.hit_policy is not None:
            self._rules_overlap(index)
            return
        shown, _ = self._ask([self.holds[index], taken], both, pointer, sentence("only one branch fits"), likely=False)
        if shown is None:
            return
        results = self._results(self.reach.values(shown.found))
        earlier = self.conditions[results.index(True)][0]
        message = sentence(
            "{condition} and {other} can both hold; make them exclude each other",
            condition=_brief(expression.source),
            other=_brief(earlier.text),
        )
        level = warning if earlier.target == edge.target else error
        self.found.append(level("overlap", pointer, message + shown.note, **shown.parts))

    def _rules_overlap(self, index: int) -> None:
        """Find an input for which a rule of a table and an earlier one fit, although only one may."""
        edge, expression = self.conditions[index]
        agree = self.node.hit_policy == "any"
        rivals = [n for n in range(index) if not (agree and self.conditions[n][0].target == edge.target)]
        if not rivals:
            return

        def both(values: Values) -> bool:
            results = self._results(values)
            return results[index] is True and any(results[n] is True for n in rivals)

        terms = [self.holds[index], z3.Or([self.holds[n] for n in rivals])]
        shown, _ = self._ask(terms, both, edge.place, sentence("only one rule fits"), likely=False)
        if shown is not None:
            results = self._results(self.reach.values(shown.found))
            earlier = self.conditions[next(n for n in rivals if results[n] is True)][0]
            message = sentence(
                "{condition} and {other} can both hold, and the hit policy is {policy!r}; make them exclude each other",
                condition=_brief(expression.source),
                other=_brief(earlier.text),
                policy=self.node.hit_policy,
            )
            self.found.append(error("overlap", edge.place, message + shown.note, **shown.parts))

    def _gap(self) -> None:
        def none(values: Values) -> bool:
            return all(result is False for result in self._results(values))

        pointer = self.node.pointer
        shown, known = self._ask(
            self.none, none, pointer, sentence("some branch is always taken"), likely=self.default is not None
        )
        if self.default is not None:
            if shown is None and known:
                message = "the conditions cover every input, so this default is never taken; remove it"
                self.found.append(warning("dead_branch", self.default.pointer, message))
        elif shown is not None and not self.node.cut:
            remedy = (
                sentence('add an edge with "default": true')
                if self.node.hit_policy is None
                else sentence('give the table a "default"')
            )
            message = sentence(
                "no condition of {id!r} holds for some input, and it has no default; {remedy}, or cover it",
                id=self.node.id,
                remedy=remedy,
            )
            self.found.append(error("gap", pointer, message + shown.note, **shown.parts))


def _brief(text: str | None) -> str:
    """Return a condition as a message quotes it."""
    return repr(text if text is None or len(text) <= 200 else text[:197] + "...")

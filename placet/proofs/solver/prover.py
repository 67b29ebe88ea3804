"""The prover: answers questions about inputs with a confirmed input, or with a proof that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import z3

from placet.definition.variables import Variable, values_of
from placet.definition.variables.shapes import Shape, read
from placet.errors import EvaluationFailed, Problem
from placet.expressions import Expression, evaluate
from placet.expressions.moments import Offsets
from placet.expressions.types import ZONE
from placet.proofs.solver import Undecided
from placet.proofs.solver.fits import fits, literal
from placet.proofs.solver.formula import Formulas, Value
from placet.proofs.solver.samples import sample_input
from placet.proofs.solver.symbols import CONTEXT_VARIABLES, Declarations, Symbol, SymbolPart, Term, Unreadable, value_of
from placet.sentences import sentence

# z3 counts its own work, so that the same question is given up at the same point on every machine; the time is a
# second line of defence. One question may cost about a second, all questions of one prover about ten.
ONE_QUESTION = 2_000_000
ALL_QUESTIONS = 15_000_000
MILLISECONDS = 2_000
MEGABYTES = 1_024
# What a variable is when a request begins, and just after a node has set it, as variables of their own; no variable of
# a blueprint can have such names.
_OPENING, _AFTER = "@opening", "@after"
_REMEMBERED = 64  # inputs found so far; most questions are answered by one of them

z3.set_param("memory_max_size", MEGABYTES)


class Prover:
    """Answer questions over one set of variables. It has a z3 context of its own; not for several threads at once."""

    def __init__(self, variables: Sequence[Variable], offsets: Offsets = ()) -> None:
        """Begin with the variables of a process, and the offsets of its time zone."""
        self.variables = tuple(variables)
        self._own = frozenset(variable.name for variable in variables)
        self.offsets = offsets
        self.context = z3.Context()
        self._declarations = Declarations(self.context)
        self._shapes = {variable.name: variable for variable in (*variables, *CONTEXT_VARIABLES)}
        self._symbols: dict[str, Symbol] = {}
        self._formulas = Formulas(self._declarations, self._symbols, offsets)
        self._values: dict[str, Value] = {}
        self._parts: list[tuple[frozenset[str], SymbolPart]] = []  # the variables that each part is about
        self._declared: dict[str, SymbolPart] = {}
        self._spent = 0
        self._found: list[tuple[dict[str, Any], dict[str, object]]] = []

    def value(self, expression: Expression) -> tuple[Term, Term]:
        """Return two z3 terms: what an expression evaluates to (None for lists and objects), and whether it fails."""
        known = self._known(expression)
        return known.symbol.term, known.fails

    def fits(self, expression: Expression, shape: Shape) -> Term | None:
        """Return the z3 Bool that the value of an expression fits a scalar's declaration; None: not known."""
        return fits(self._formulas.texts, self._known(expression).symbol, shape)

    def offer(self, given: dict[str, Any]) -> None:
        """Have a normalised input tried before the solver is asked."""
        self._found = [*self._found, (given, self.values(given))][-_REMEMBERED:]

    def unknown(self) -> Term:
        """Return a z3 Bool that may be either."""
        return self._declarations.fresh("Bool", "unknown")

    def assigned(self, variable: Variable, expression: Expression | None, value: Any) -> tuple[Term, frozenset[str]]:
        """Return what holds of `after(variable)` once it is set, and the variables that this is about.

        It is set to what an expression computes, unless that fails, or to a literal value; None: it is left out.
        """
        alias = self._alias(variable.name, _AFTER)
        symbol, names = self._symbols[alias], frozenset([alias])
        true = z3.BoolVal(True, self.context)
        absent = symbol.absent if variable.default is None else true
        if expression is not None:
            known = self._known(expression)
            there = z3.And(z3.Not(symbol.absent), self._formulas.read_from(symbol, known.symbol))
            if expression.ast["op"] == "name":
                there = z3.If(known.symbol.absent, absent, there)
            return there, names | expression.reads
        if value is None:
            return absent, names
        if isinstance(value, dict | list):  # something in it may be computed
            return true, names
        problems: list[Problem] = []
        canonical = read(variable, value, "", problems)
        if problems:
            return self._declarations.false(), names
        given = literal(variable, canonical, self.context)
        same = true if given is None else self._formulas.read_from(symbol, given)
        return z3.And(z3.Not(symbol.absent), same), names

    def changed(
        self, parts: Sequence[tuple[Term, frozenset[str]]], variables: Iterable[str], first: Iterable[str]
    ) -> list[tuple[Term, frozenset[str]]]:
        """Return what is known after variables have changed: terms, each with the variables that it is about.

        `parts` is what was known before, and `assigned` of those that are known now. What a variable was before is an
        unknown of its own; where this is its `first` change, it is the one of `opening(variable)`.
        """
        old: dict[str, str | None] = dict.fromkeys(variables)
        old |= {name: self._alias(name, _OPENING) for name in first}
        kept = self._renamed(parts, old)
        return self._renamed(kept, {self._alias(name, _AFTER): name for name in old if self._is_known(name, kept)})

    def unchanged(self, name: str) -> tuple[Term, frozenset[str]]:
        """Return that a variable has the value with which the request began."""
        alias = self._alias(name, _OPENING)
        pairs = zip(self._unknowns(name), self._unknowns(alias), strict=True)
        return z3.And([z3.BoolVal(True, self.context), *(one == other for one, other in pairs)]), frozenset(
            [name, alias]
        )

    def _is_known(self, name: str, parts: Sequence[tuple[Term, frozenset[str]]]) -> bool:
        return any(f"{name}{_AFTER}" in names for _, names in parts)

    def _renamed(
        self, parts: Sequence[tuple[Term, frozenset[str]]], names: Mapping[str, str | None]
    ) -> list[tuple[Term, frozenset[str]]]:
        """Replace the unknowns of variables by those of others, or by new ones."""
        told = frozenset(name for _, about in parts for name in about)
        pairs: list[tuple[Term, Term]] = []
        demands: list[tuple[Term, frozenset[str]]] = []
        for about, part in list(self._parts):
            if part.unknowns and about & names.keys():
                own = next((name for name in about if part is self._declared.get(name)), None)
                other = names.get(own) if own is not None else None
                new = self._declarations.like(part.unknowns) if other is None else self._unknowns(other)
                pairs += zip(part.unknowns, new, strict=True)
                if other is None and part.demands and about <= told:
                    demands.append((z3.And(part.demands), about))
        self._declarations.part()  # the new unknowns are not part of what is asked next
        if not pairs:
            return list(parts)
        return [
            (
                z3.substitute(term, *pairs),
                frozenset(names.get(name, name) or "" for name in about) - {""},
            )
            if about & names.keys()
            else (term, about)
            for term, about in (*parts, *demands)
        ]

    def _unknowns(self, name: str) -> list[Term]:
        if name not in self._symbols:
            self._declare(name)
        return self._declared[name].unknowns

    def _alias(self, name: str, suffix: str) -> str:
        """Declare another variable that is like one."""
        alias = f"{name}{suffix}"
        if alias not in self._shapes:
            self._shapes[alias] = self._shapes[name].model_copy(update={"name": alias})
            self._declare(alias)
        return alias

    def _known(self, expression: Expression) -> Value:
        known = self._values.get(expression.source)
        if known is None:
            for name in sorted(expression.reads):
                if name not in self._symbols:
                    self._declare(name)
            known = self._formulas.value(expression)
            self._parts.append((expression.reads, self._declarations.part()))
            self._values[expression.source] = known
        return known

    def values(self, found: dict[str, Any]) -> dict[str, object]:
        """Return the values for expressions from a found model: an input, the moment and the requester."""
        there = [self._shapes[name] for name in found if name not in self._own]
        return {**values_of((*self.variables, *there), found), ZONE: self.offsets}

    def present(self, name: str) -> Term:
        """Return the z3 Bool that a variable which some condition reads has a value."""
        return z3.Not(self._symbols[name].absent)

    @staticmethod
    def opening(name: str) -> str:
        """Return the name under which an answer holds what a variable is when the request begins."""
        return f"{name}{_OPENING}"

    @property
    def overflows(self) -> list[Term]:
        """Return, for the arithmetic seen so far, the z3 Bools that a whole number exceeds 64 bits."""
        return list(self._formulas.overflows)

    @property
    def absences(self) -> list[Term]:
        """Return, for the conditions seen so far, the z3 Bools that a value they need is absent."""
        return list(self._formulas.absences)

    def witness(self, conditions: Sequence[tuple[Expression, bool]]) -> dict[str, Any] | None:
        """Return a normalised input on which each condition is what is asked, None where there is none."""
        terms: list[Term] = []
        names: set[str] = set()
        for expression, wanted in conditions:
            holds, fails = self.value(expression)
            names |= expression.reads
            terms += [z3.Not(fails), holds if wanted else z3.Not(holds)]

        def confirmed(values: dict[str, object]) -> bool:
            return all(result(expression, values) is wanted for expression, wanted in conditions)

        return self.find(terms, names=names, confirmed=confirmed)

    def find(
        self,
        terms: Sequence[Term],
        *,
        names: Iterable[str],
        confirmed: Callable[[dict[str, object]], bool],
        likely: bool = True,
    ) -> dict[str, Any] | None:
        """Return a normalised input for which the terms hold and `confirmed` says so of its values; None if none can.

        `names` are the variables that the terms are about; `likely`: an input is expected, and tidy ones are looked for
        before it is asked whether there is any. Raises Undecided where the solver gives up, or where none of
        its answers is confirmed.
        """
        for known, values in self._found:
            if confirmed(values):
                return known
        asked = frozenset(names)
        parts = [part for about, part in self._parts if about <= asked]
        solver = z3.Solver(ctx=self.context)
        solver.set("rlimit", ONE_QUESTION)
        solver.set("timeout", MILLISECONDS)
        try:
            solver.add(*terms, *(demand for part in parts for demand in part.demands), *self._formulas.texts.facts(()))
            for number, wishes in enumerate(self._wishes(parts)):
                if number == int(likely) and not self._satisfiable(solver):
                    return None
                candidate = self._candidate(solver, wishes, asked)
                if candidate is not None and self._confirms(candidate, confirmed):
                    return candidate
            solver.add(*(truth for part in parts for truth in part.truths))
            if not self._satisfiable(solver):
                return None
        except z3.Z3Exception as fault:
            raise Undecided(sentence("the solver gave up: {fault}", fault=str(fault))) from None
        raise Undecided("the solver's answers lie outside of what it knows exactly")

    def _confirms(self, candidate: dict[str, Any], confirmed: Callable[[dict[str, object]], bool]) -> bool:
        values = self.values(candidate)
        if not confirmed(values):
            return False
        self._found = [(candidate, values), *self._found][:_REMEMBERED]
        return True

    def _declare(self, name: str) -> None:
        self._declarations.part()
        self._symbols[name] = self._declarations.declare(self._shapes[name], name)
        part = self._declared[name] = self._declarations.part()
        for term, shape in part.texts:
            if shape.pattern is not None:
                part.demands.append(self._formulas.texts.matches(term, shape.pattern))
        self._parts.append((frozenset([name]), part))

    def _satisfiable(self, solver: Any, wishes: Sequence[Term] = ()) -> bool:
        if self._spent > ALL_QUESTIONS:
            raise Undecided("the questions together took more work than allowed")
        answer = solver.check(*wishes)  # not by a push, which z3 does without a bound
        # z3 counts for the whole context, from its beginning on.
        self._spent = next((int(value) for key, value in solver.statistics() if key == "rlimit count"), self._spent)
        if answer == z3.unknown:
            raise Undecided(sentence("the solver gave up ({reason})", reason=solver.reason_unknown()))
        return bool(answer == z3.sat)

    def _wishes(self, parts: list[SymbolPart]) -> list[list[Term]]:
        """Return preferences for the values, one list after the other: tidy values first, any value last."""
        samples = [(term, self._formulas.texts.samples(shape)) for part in parts for term, shape in part.texts]
        texts = [z3.Or([term == self._formulas.texts.text(text) for text in known]) for term, known in samples]
        texts += self._formulas.texts.facts(text for _, known in samples for text in known)
        guesses = [guess for part in parts for guess in part.guesses]
        tidy = [[wish for part in parts for wish in part.tidy[level]] for level in range(3)]
        wishes = [[*tidy[0], *texts, *guesses], [*tidy[0], *guesses]]
        return [*wishes, *([*t, *texts, *guesses] for t in tidy[1:]), [*texts, *guesses], guesses, []]

    def _candidate(self, solver: Any, wishes: list[Term], asked: frozenset[str]) -> dict[str, Any] | None:
        """Return the input of a model of what the solver holds and the wishes."""
        try:
            return self._input(solver.model(), asked) if self._satisfiable(solver, wishes) else None
        except (Undecided, Unreadable):
            return None

    def _input(self, model: Any, asked: frozenset[str]) -> dict[str, Any] | None:
        found = {name: value_of(self._symbols[name], model) for name in asked}
        return sample_input((*self.variables, *(self._shapes[name] for name in sorted(asked - self._own))), found)


def result(expression: Expression, values: dict[str, object]) -> bool | None:
    """Return what a condition evaluates to, None where its evaluation fails."""
    try:
        return evaluate(expression, values) is True
    except EvaluationFailed:
        return None

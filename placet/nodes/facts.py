"""Facts about a node that proofs use, and what the node refers to elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from placet.definition.steps import Step
from placet.errors import ConditionInvalid
from placet.expressions import Expression, Scope, compile_expression
from placet.expressions.templates import computed_in, expression_of
from placet.json_pointer import pointer_to
from placet.nodes.decision_tables import DecisionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """An expression that a node evaluates other than to choose an edge. `member`: the parameter that it is a value of.

    `whole`: it is all of that parameter, which is then left out where the expression is only a name without a value.
    """

    pointer: str
    expression: Expression
    member: str | None = None
    whole: bool = False

    @property
    def left_out(self) -> bool:
        """Say whether its parameter is left out where it has no value."""
        return self.whole and bool(self.expression.ast["op"] == "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """The facts about one node that proofs use, besides its type.

    `results` are what it can come to, each a value of `on`; empty where its edges carry none, or any. `gathers`: it
    waits for all that lead to it, or for `needs` of them. `sets`: the variables that it sets itself; of these, an
    approval surely sets `asks` once it is approved. `computes`: what it evaluates besides conditions. `names`: the
    people it names, each with its place. `table`: the decision table by which it chooses.
    """

    results: tuple[str, ...] = ()
    gathers: bool = False
    needs: int = 0
    sets: frozenset[str] = frozenset()
    asks: frozenset[str] = frozenset()
    computes: tuple[Computed, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    table: DecisionTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsContext:
    """What the facts of a node are found with: its place, the variables, and the process step that it asks, if any."""

    pointer: str
    scope: Scope
    step: Step | None

    def computed(self, pointer: str, text: str, **more: Any) -> list[Computed]:
        """Compile an expression; what does not compile is left out, for the compiler of plans reports it."""
        try:
            return [Computed(pointer=pointer, expression=compile_expression(text, self.scope), **more)]
        except ConditionInvalid:
            return []

    def computed_input(self, given: Mapping[str, Any]) -> tuple[Computed, ...]:
        """Compile what is computed in an `input`."""
        found: list[Computed] = []
        for name, value in given.items():
            place = pointer_to(f"{self.pointer}/input", name)
            whole = expression_of(value) is not None
            for here, text in computed_in({name: value}, f"{self.pointer}/input"):
                found += self.computed(here, text, member=name, whole=whole and here == f"{place}/expr")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedAction:
    """An action of the catalog that a node has run, with what it is given and what is taken from it."""

    name: str
    input: dict[str, Any] = field(default_factory=dict)
    output: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProcess:
    """Another process that a node has run, its newest version unless it says which."""

    template: str
    version: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    output: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """Return what it is called among the processes of a plan: its name, or name@version."""
        return self.template if self.version is None else f"{self.template}@{self.version}"


Named: TypeAlias = NamedAction | NamedProcess

"""Decision tables: each rule becomes an edge whose condition combines all of its tests.

A test is put to its input: `>= 1000`, `!= "x"`, `in ["a", "b"]`, or a plain value, which has to be equal. Both sides
are CEL over the variables.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from placet.definition.fields import Condition, Identifier, Model
from placet.errors import ConditionInvalid, Problem
from placet.expressions import Scope, compile_condition, compile_expression
from placet.plan.graph import Edge
from placet.sentences import sentence

_TEST = re.compile(r"\s*(<=|>=|==|!=|<|>|in\b)?\s*(.*\S)?\s*", re.DOTALL)


def _cells(cell: Any) -> str:
    return "tests" if isinstance(cell, list | tuple) else "nothing" if cell is None else "test"


Test = Annotated[str, Field(min_length=1, max_length=1000)]
Cell = Annotated[
    Annotated[Test, Tag("test")]
    | Annotated[Annotated[tuple[Test, ...], Field(min_length=1, max_length=10)], Tag("tests")]
    | Annotated[None, Tag("nothing")],
    Discriminator(_cells),
]


class DecisionRule(Model):
    """One row of a decision table: a test for each input (null: anything; a list: all of them), and where it leads."""

    when: Annotated[tuple[Cell, ...], Field(min_length=1, max_length=50)]
    target: Annotated[Identifier, Field(alias="to")]


class DecisionTable(Model):
    """A decision table: `inputs` are expressions, a test such as `>= 1000`, `in ["a", "b"]` or a value is put to each.

    `hit_policy`: the first rule that fits is taken, or exactly one may fit (`unique`), or all that fit must agree
    (`any`). `default` is where it goes when none fits.
    """

    hit_policy: Literal["first", "unique", "any"] = "first"
    inputs: Annotated[tuple[Condition, ...], Field(min_length=1, max_length=50)]
    rules: Annotated[tuple[DecisionRule, ...], Field(min_length=1, max_length=500)]
    default: Identifier | None = None

    @model_validator(mode="after")
    def _a_cell_for_each_input(self) -> DecisionTable:
        for number, rule in enumerate(self.rules):
            if len(rule.when) != len(self.inputs):
                raise ValueError(
                    sentence(
                        "rule {number} has {count} tests for {count_2} inputs; write one for each, null where "
                        "anything goes",
                        number=number,
                        count=len(rule.when),
                        count_2=len(self.inputs),
                    )
                )
        return self


def table_edges(table: DecisionTable, scope: Scope, pointer: str, problems: list[Problem]) -> tuple[Edge, ...]:
    """Return the edges of a table in the order of its rules, its default last; faults are added to `problems`."""
    inputs = [_sound(text, scope, f"{pointer}/inputs/{n}", problems) for n, text in enumerate(table.inputs)]
    edges: list[Edge] = []
    for number, rule in enumerate(table.rules):
        here = f"{pointer}/rules/{number}"
        tests: list[str] = []
        sound = True
        for index, cell in enumerate(rule.when):
            for text in (cell,) if isinstance(cell, str) else cell or ():
                test = _test(table.inputs[index], text)
                tests.append(test)
                sound = sound and inputs[index] and _tested(test, text, scope, f"{here}/when/{index}", problems)
        condition = compile_condition(" && ".join(tests) or "true", scope) if sound else None
        edges.append(Edge(target=rule.target, condition=condition))
    if table.default is not None:
        edges.append(Edge(target=table.default, default=True))
    return tuple(edges)


def operand(text: str) -> str:
    """Return what a test compares its input with: the test without its operator."""
    return _parts(text)[1]


def _parts(text: str) -> tuple[str, str]:
    operator, compared = _TEST.fullmatch(text).groups()  # type: ignore[union-attr] # everything matches
    return operator or "==", compared or ""


def _test(given: str, text: str) -> str:
    operator, compared = _parts(text)
    return f"({given}) {operator} ({compared})"


def _sound(text: str, scope: Scope, pointer: str, problems: list[Problem]) -> bool:
    try:
        compile_expression(text, scope)
    except ConditionInvalid as error:
        problems.append(Problem(pointer=pointer, message=error.message))
        return False
    return True


def _tested(test: str, text: str, scope: Scope, pointer: str, problems: list[Problem]) -> bool:
    compared = operand(text)
    try:
        if compared != "null":
            compile_expression(compared, scope)  # alone, so that it can close no bracket of ours
        compile_condition(test, scope)
    except ConditionInvalid as error:
        problems.append(
            Problem(
                pointer=pointer, message=sentence("{message} (the test reads {test})", message=error.message, test=test)
            )
        )
        return False
    return True

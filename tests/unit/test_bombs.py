"""Bombs: what asks for too much is refused by its bound, in bounded time and memory, wherever it comes in."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from activities.notifications.templates.sandbox import TemplateBroken, prepare, render
from placet.definition.bpmn import import_bpmn, import_dmn
from placet.definition.json_schema.cost import graph_of
from placet.definition.json_schema.forms import check_form, check_schema
from placet.definition.json_schema.validation import schema_problems, unusable, value_problems
from placet.definition.model import parse_definition
from placet.definition.variables import normalise_input
from placet.engine.input import MOST_WORK, accept_input
from placet.errors import BlueprintInvalid, ConditionInvalid, EvaluationFailed, InputInvalid
from placet.expressions import BOOL, DECIMAL, INT, STRING, compile_condition, evaluate, list_of
from placet.json_text import read_json
from placet.proofs import check
from tests import bombs
from tests.unit.core import blueprint, graph, plan_of

MOST_SECONDS = 3.0  # of processor time
MOST_MEGABYTES = 150
SCOPE = {"amount": DECIMAL, "n": INT, "text": STRING, "list": list_of(INT), "texts": list_of(STRING)}
LONG: dict[str, object] = {
    "amount": Decimal(1),
    "n": 1,
    "text": "a" * 10_000,
    "list": list(range(1_000)),
    "texts": ["a" * 1_000] * 1_000,
}


@contextmanager
def bounded() -> Iterator[None]:
    """Hold the block to its processor time and memory."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - begun < MOST_SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MOST_MEGABYTES


def table(cases: Iterator[tuple[Any, ...]]) -> Callable[[Any], Any]:
    """Parametrise a test with bombs, each by its name."""
    rows = list(cases)
    return pytest.mark.parametrize("bomb", [row[1:] for row in rows], ids=[row[0][:60] for row in rows])


@table(bombs.schemas())
def test_a_schema_is_refused_wherever_it_comes_in(bomb: tuple[dict[str, Any], str]) -> None:
    schema, bound = bomb
    with bounded():
        (problem,) = schema_problems(schema, "/x")
        assert bound in problem.message
        assert problem.pointer.startswith("/x")
        with pytest.raises(InputInvalid, match=r"Schema|nested"):
            check_schema(schema)
        with pytest.raises(BlueprintInvalid) as refused:
            parse_definition(blueprint({"approvers": ["user:ann"], "form": schema}))
        assert [p.pointer for p in refused.value.problems] == ["/process_steps/0/form"]
        assert bound in refused.value.problems[0].message
        assert "form_schema" in {f.code for f in check(blueprint({"form": schema})).findings}
        told = unusable({"/input_schema": schema, "/output_schema": schema})
        assert [p.pointer.split("/")[1] for p in told] == ["input_schema", "output_schema"]


@table(bombs.schemas())
def test_a_schema_that_was_stored_before_there_was_a_bound_is_refused_by_a_decision(
    bomb: tuple[dict[str, Any], str],
) -> None:
    schema, bound = bomb
    with bounded(), pytest.raises(InputInvalid) as refused:
        check_form(schema, {"a": {"a": 1}})
    (problem,) = refused.value.problems
    assert problem.pointer.startswith("/form")
    assert bound in problem.message


@table(bombs.values())
def test_a_value_is_refused_where_its_schema_asks_too_much_of_it(bomb: tuple[dict[str, Any], Any, str]) -> None:
    schema, value, bound = bomb
    assert schema_problems(schema, "") == ()
    with bounded():
        (problem,) = value_problems(schema, value, "/form")
        assert problem.pointer == "/form"
        assert bound in problem.message


def test_ordinary_schemas_keep_within_the_bounds_and_tell_every_fault() -> None:
    node = {"$ref": "#/$defs/node"}
    tree = {"$defs": {"node": {"properties": {"left": node, "right": node, "name": {"type": "string"}}}}, **node}
    leaf: dict[str, Any] = {"name": 3}
    for _ in range(12):
        leaf = {"left": leaf, "name": "x"}
    faults = value_problems(tree, leaf, "")
    assert [fault.pointer for fault in faults] == ["/left" * 12 + "/name"]
    fields = {f"f{n}": {"type": "string", "minLength": 1, "maxLength": 200} for n in range(200)}
    form = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    assert len(value_problems(form, {}, "")) == 20
    assert value_problems(form, dict.fromkeys(fields, "x"), "") == ()
    rows = {"items": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}
    assert [p.pointer for p in value_problems(rows, [{"a": 1}] * 2_999 + [{}], "")] == ["/2999"]
    compound = {
        "$id": "https://example.com/root",
        "$defs": {"item": {"$id": "item", "$anchor": "here", "type": "integer"}},
        "items": {"anyOf": [{"$ref": "item"}, {"$ref": "https://example.com/item#here"}]},
    }
    assert schema_problems(compound, "") == ()
    assert value_problems(compound, [1], "") == ()
    meta = {"properties": {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}}
    assert schema_problems(meta, "") == ()
    assert [p.pointer for p in value_problems(meta, {"schema": {"type": 3}}, "")] == ["/schema/type"]


def test_counting_takes_no_longer_where_there_is_more_to_count() -> None:
    for levels in (100, 1_000):
        with bounded(), pytest.raises(ValueError, match="more than"):
            graph_of(bombs.doubling(levels, "oneOf"))


@table(bombs.bodies())
def test_a_body_is_refused(bomb: tuple[bytes, str]) -> None:
    body, bound = bomb
    with bounded(), pytest.raises(InputInvalid, match=bound):
        read_json(body)


@table(bombs.documents())
def test_a_blueprint_is_refused(bomb: tuple[dict[str, Any], str]) -> None:
    raw, bound = bomb
    with bounded():
        with pytest.raises(BlueprintInvalid) as refused:
            parse_definition(raw)
        problems = refused.value.problems
        assert any(bound in problem.message for problem in problems), problems[:3]
        assert len(problems) <= 200
        assert not check(raw).ok


@table(bombs.expressions())
def test_an_expression_is_refused(bomb: tuple[str, str]) -> None:
    text, bound = bomb
    with bounded(), pytest.raises(ConditionInvalid, match=bound):
        compile_condition(text, SCOPE, expect=BOOL)


@table(bombs.evaluations())
def test_an_evaluation_is_broken_off(bomb: tuple[str]) -> None:
    expression = compile_condition(bomb[0], SCOPE)
    with bounded(), pytest.raises(EvaluationFailed, match="too much work"):
        evaluate(expression, LONG)


@table(bombs.templates())
def test_a_template_is_refused_or_broken_off(bomb: tuple[str, str]) -> None:
    source, bound = bomb
    for html in (False, True):
        with bounded(), pytest.raises(TemplateBroken, match=bound):
            render(prepare(source, html=html), {"text": "<a> " * 2_500, "rows": ["x" * 5_000] * 200})


@table(bombs.diagrams())
def test_a_diagram_is_refused(bomb: tuple[bytes, str]) -> None:
    content, bound = bomb
    with bounded(), pytest.raises(BlueprintInvalid, match=bound):
        import_bpmn(content)
    with bounded(), pytest.raises(BlueprintInvalid, match=bound.replace("BPMN", "DMN")):
        import_dmn(content.replace(b"BPMN", b"DMN"))


HEAVY = "list.all(x, list.all(y, x + y >= 0))"  # just within the bound of one expression for 150 items


def test_many_expressions_share_the_bound_of_one_input() -> None:
    names = [f"d{n}" for n in range(40)]
    drawn = graph("start -> d0", nodes={name: {"type": "decision"} for name in names})
    for name, following in zip(names, [*names[1:], "approved"], strict=True):
        drawn["edges"].append({"from": name, "to": following, "condition": f"{HEAVY} || list.size() == {name[1:]}"})
        drawn["edges"].append({"from": name, "to": following, "default": True})
    variables = [{"name": "list", "type": "list", "items": {"type": "integer"}, "required": True}]
    plan = plan_of(blueprint(variables=variables, graph_spec=drawn))
    assert accept_input(plan, {"list": [1] * 30})
    with bounded(), pytest.raises(InputInvalid, match=f"more than {MOST_WORK:,} steps") as refused:
        accept_input(plan, {"list": [1] * 150})
    assert [problem.pointer for problem in refused.value.problems] == ["/input"]


def test_the_patterns_of_one_input_share_a_bound() -> None:
    codes = {"name": "v", "type": "list", "items": {"type": "string", "pattern": "(a|b|ab){90}"}}
    raw = blueprint(variables=[codes], process_steps=[{"stage_name": "S", "approvers": ["user:ann"]}])
    variables = parse_definition(raw).variables
    with bounded(), pytest.raises(InputInvalid, match="characters times states"):
        normalise_input(variables, {"v": ["ab" * 200] * 1_000})


def test_there_are_bombs_enough() -> None:
    count = sum(
        len(list(cases()))
        for cases in (
            bombs.schemas,
            bombs.values,
            bombs.bodies,
            bombs.documents,
            bombs.expressions,
            bombs.evaluations,
            bombs.templates,
            bombs.diagrams,
        )
    )
    assert count >= 150

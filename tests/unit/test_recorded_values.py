"""Recorded values: forms and inputs with numbers that the audit chain holds as text are repeated as they were sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.definition.json_schema.forms import check_form
from placet.definition.variables import Variable
from simulation.modes.replay import HistoryCheck, what_if
from simulation.report.comparison import differences, lines_of
from simulation.run.driver import Trace
from simulation.scenario.scenario import Scenario
from simulation.world.recorded_values import as_recorded, form_as_sent, values_as_sent
from tests.unit.core import START, blueprint, graph, office
from tests.unit.test_backtest import again, case, put, run

MANAGER = {"stage_name": "Manager"}
BOARD = {"stage_name": "Board", "approvers": ["user:cfo"]}
LARGE = 2**53 + 1


def number(**more: Any) -> dict[str, Any]:
    return {"type": "number", **more}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a fraction": (fields(value=number()), {"value": 150.5}),
    "a whole number": (fields(value=number()), {"value": 150}),
    "a large whole number": (fields(value={"type": "integer"}), {"value": LARGE}),
    "a large float": (fields(value=number()), {"value": 1e300}),
    "a number inside": (fields(cost=fields(net=number())), {"cost": {"net": 0.1}}),
    "a list": (fields(costs={"type": "array", "items": number()}), {"costs": [1.5, 2, -2.25]}),
    "many numbers": (fields(costs={"type": "array", "items": number()}), {"costs": [n + 0.5 for n in range(60)]}),
    "a number or null": (fields(value={"type": ["number", "null"]}), {"value": 1.5}),
    "one of several types": (fields(value={"anyOf": [number(), {"type": "null"}]}), {"value": 1.5}),
    "one of several objects": (
        fields(cost={"anyOf": [fields(code={"type": "string"}, net=number(), more=number()), {"type": "null"}]}),
        {"cost": {"code": "7.5", "net": 1.5, "more": 2.5}},
    ),
    "the whole form as one of several": (
        {"oneOf": [fields(net=number()), fields(gross=number())]},
        {"net": 1.5},
    ),
    "many numbers in one of several": (
        fields(cost={"anyOf": [fields(**{f"n{n}": number() for n in range(20)}), {"type": "null"}]}),
        {"cost": {f"n{n}": n + 0.5 for n in range(20)}},
    ),
    "a constant": (fields(value={"enum": [0.5, 1.5]}), {"value": 1.5}),
    "a text that looks like a number": (fields(value={"type": "string"}), {"value": "1.5"}),
    "a text and a number": (fields(text={"type": "string"}, value=number()), {"text": "1.5", "value": 1.5}),
    "a name with a slash": (fields(**{"a/b~c": number()}), {"a/b~c": 1.5}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_as_it_was_sent(name: str) -> None:
    schema, form = FORMS[name]
    check_form(schema, form)
    assert form_as_sent(schema, as_recorded(form)) == form


@pytest.mark.parametrize("text", ["nan", "inf", "1.50", "+1.5", "1_000.5", "\u0663.5", "9" * 5_000, "", "1.5 "])
def test_a_text_that_no_number_is_recorded_as_stays_a_text(text: str) -> None:
    assert form_as_sent(fields(value=number()), {"value": text}) == {"value": text}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~", max_size=3), inner, max_size=4),
        max_leaves=12,
    )
)
def test_numbers_are_found_again_wherever_they_are(value: Any) -> None:
    plain = {"anyOf": [{"type": ["number", "null", "boolean"]}, {"$ref": "#/$defs/list"}, {"$ref": "#/$defs/object"}]}
    schema = {
        **fields(value={"$ref": "#/$defs/plain"}),
        "$defs": {
            "plain": plain,
            "list": {"type": "array", "items": {"$ref": "#/$defs/plain"}},
            "object": {"type": "object", "additionalProperties": {"$ref": "#/$defs/plain"}},
        },
    }
    assert form_as_sent(schema, as_recorded({"value": value})) == {"value": value}


def test_a_large_whole_number_of_a_variable_is_as_it_was_sent() -> None:
    variables = [
        Variable(name="count", type="integer"),
        Variable(name="amount", type="decimal"),
        Variable(name="missing", type="string", required=True),
    ]
    recorded = {"count": str(LARGE), "amount": str(LARGE)}
    assert values_as_sent(variables, recorded) == {"count": LARGE, "amount": str(LARGE)}


def by_amount() -> dict[str, Any]:
    """Return a process whose first form decides whether the board is asked."""
    return blueprint(
        MANAGER | {"form": fields(value=number())},
        BOARD,
        variables=[{"name": "approved_amount", "type": "decimal"}],
        graph_spec=graph(
            "start -> manager",
            "manager -> which on approved",
            "manager -> rejected on rejected",
            "board -> approved on approved",
            "board -> rejected on rejected",
            nodes={
                "manager": {"step": "Manager", "output": {"approved_amount": "value"}},
                "which": {
                    "type": "decision",
                    "table": {
                        "inputs": ["approved_amount"],
                        "rules": [{"when": ["> 100"], "to": "board"}],
                        "default": "approved",
                    },
                },
                "board": {"step": "Board"},
            },
        ),
    )


def rejected_by_the_board(value: float) -> Trace:
    trace = run(
        by_amount(),
        {"on": "Manager", "decision": "approve", "form": {"value": value}, "after_hours": 1},
        {"on": "Board", "decision": "reject", "after_hours": 2},
    )
    assert trace.state.outcome == "rejected"
    return trace


@pytest.mark.parametrize("value", [150, 150.5])
def test_a_recorded_form_with_a_fraction_decides_again_as_it_did(value: float) -> None:
    past = rejected_by_the_board(value)
    (row,) = put(by_amount(), case(past))
    assert (row.unknown, row.changed) == (None, ())
    same = again(by_amount(), past)
    assert differences(lines_of(past.entries, START), lines_of(same.entries, START)) == ()
    scenario = Scenario(blueprint=by_amount(), people=office(), requester="rita", start=START, given={}, request_id="r")
    checked = HistoryCheck(ok=None, why="none")
    replayed = what_if(scenario, case(past), history_check=checked, now=START, unchanged=True)
    assert replayed.extra["after"]["outcome"] == "rejected"
    assert replayed.extra["assumed"] == []
    assert [one for one in replayed.warnings if "refused" in one] == []


def test_a_past_request_that_began_with_a_large_whole_number_is_known() -> None:
    raw = blueprint(MANAGER, variables=[{"name": "count", "type": "integer", "required": True}])
    past = run(raw, {"on": "Manager", "decision": "approve", "after_hours": 1}, given={"count": LARGE})
    recorded = past.entries[0].detail["input"]
    assert recorded == {"count": str(LARGE)}
    (row,) = put(raw, replace(case(past), given=recorded))
    assert (row.unknown, row.changed) == (None, ())


def test_a_resubmission_with_a_large_whole_number_is_repeated() -> None:
    raw = blueprint(MANAGER, variables=[{"name": "count", "type": "integer"}])
    past = run(
        raw,
        {"on": "Manager", "decision": "request_changes", "after_hours": 1},
        {"do": "resubmit", "input": {"count": LARGE}, "after_hours": 1},
        {"on": "Manager", "decision": "approve", "after_hours": 1},
    )
    assert past.state.input == {"count": LARGE}
    same = again(raw, past)
    assert differences(lines_of(past.entries, START), lines_of(same.entries, START)) == ()

"""Forms of what lists and objects hold: what they show is what they give back, and every level can be changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.proofs import check
from tests.unit.test_editor_forms import flat, saved, view

LINES = {
    "name": "lines",
    "type": "list",
    "items": {
        "type": "object",
        "properties": {
            "what": {"type": "string", "required": True, "title": "What", "enum": ["hotel", "train"]},
            "amount": {"type": "decimal", "currency": "EUR", "minimum": 0},
            "nights": {"type": "list", "items": {"type": "date"}},
        },
    },
}


def process(variable: dict[str, Any]) -> dict[str, Any]:
    step = {"stage_name": "One", "approvers": ["user:a"]}
    return {"name": "P", "version": "1.0.0", "variables": [variable], "process_steps": [step]}


def after(variable: dict[str, Any], **changes: str) -> dict[str, Any]:
    found: dict[str, Any] = saved(process(variable), f"variable:{variable['name']}", **changes)["variables"][0]
    return found


def widgets(variable: dict[str, Any]) -> dict[str, str]:
    (section,) = view(process(variable), f"variable:{variable['name']}").sections
    return {one.name: one.widget for one in flat(section.fields)}


shapes = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "decimal", "boolean", "date", "datetime", "list", "object"]),
            "title": st.sampled_from(["Amount", "x", " y", ""]),
            "required": st.booleans(),
            "enum": st.sampled_from([["a", "b"], [1, 2], ["1"], [True], ["a ", "a"], [], [1.5]]),
            "minimum": st.sampled_from([0, "0.10", 1.5]),
            "odd": st.none(),
        },
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("list"), "items": inner}),
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)}),
    ),
    max_leaves=6,
)


@given(shapes)
def test_any_shape_that_is_sent_as_it_was_shown_is_given_back_as_it_was(shape: dict[str, Any]) -> None:
    for variable in ({"name": "v", "items": shape}, {"name": "v", "type": "object", "properties": {"f": shape}}):
        assert after(variable) == variable


@pytest.mark.parametrize(
    "value",
    ["text", [], {"type": "other"}, {"items": None}, {"title": 7}, {"required": "yes"}, {"type": ["string"]}],
    ids=str,
)
def test_what_has_another_shape_is_shown_as_json_and_given_back(value: Any) -> None:
    for variable in ({"name": "v", "type": "list", "items": value}, {"name": "v", "properties": {"f": value}}):
        assert after(variable) == variable


def test_no_level_of_lists_and_objects_is_written_as_json() -> None:
    shown = widgets(LINES)
    assert "json" not in {widget for name, widget in shown.items() if not name.endswith(".more")}
    assert shown["p0.items.properties.0.name"] == "text"
    assert shown["p0.items.properties.0.enum"] == "lines"
    assert shown["p0.items.properties.2.items.type"] == "choice"
    assert shown["p0.items.properties.3.name"] == "text", "an empty one to add another with"


def test_each_level_is_changed_and_the_others_stay() -> None:
    found = after(
        LINES,
        p0__items__properties__0__name="kind",
        p0__items__properties__0__enum="hotel\ntaxi",
        p0__items__properties__1__title="Costs",
        p0__items__properties__1__required="true",
        p0__items__properties__2__items__type="datetime",
        p0__items__properties__3__name="paid",
        p0__items__properties__3__type="boolean",
    )
    assert found["items"]["properties"] == {
        "kind": {"type": "string", "required": True, "title": "What", "enum": ["hotel", "taxi"]},
        "amount": {"type": "decimal", "currency": "EUR", "minimum": 0, "title": "Costs", "required": True},
        "nights": {"type": "list", "items": {"type": "datetime"}},
        "paid": {"type": "boolean"},
    }
    assert check(process(found)).ok


def test_a_variable_becomes_a_list_of_objects_step_by_step() -> None:
    one = after({"name": "v", "type": "list"}, p0__items__type="object")
    assert one == {"name": "v", "type": "list", "items": {"type": "object"}}
    two = after(one, p0__items__properties__0__name="city")
    assert two["items"] == {"type": "object", "properties": {"city": {"type": "string"}}}
    same = after(two, p0__items__properties__1__name="city")
    assert list(same["items"]["properties"]) == ["city", "city_2"]
    gone = after(two, p0__items__properties__0__name="")
    assert gone["items"] == {"type": "object"}
    assert after(one, p0__items__type="") == {"name": "v", "type": "list"}


def test_what_a_list_held_stays_until_it_is_taken_away_when_its_type_changes() -> None:
    changed = after(LINES, p0__items__type="string")
    assert changed["items"] == {**LINES["items"], "type": "string"}  # type: ignore[dict-item]  # a mapping in LINES
    assert after(changed, p0__items__type="object") == LINES


def test_json_that_is_not_complete_keeps_what_was_typed() -> None:
    started = after(LINES, p0__items__properties__1__more='{"currency": "EUR"')
    (section,) = view(process(started), "variable:lines").sections
    shown = {one.name: one.value for one in flat(section.fields)}
    assert shown["p0.items.properties.1.more"] == '{"currency": "EUR"'
    done = after(started, p0__items__properties__1__more='{"currency": "USD", "type": "string"}')
    assert done["items"]["properties"]["amount"] == {"type": "decimal", "currency": "USD"}

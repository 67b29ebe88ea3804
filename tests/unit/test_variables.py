"""What a blueprint may declare, what a request may send, and the one form that it is kept in."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from placet.definition.variables import Variable, json_schema_of, normalise_input, scope_of, values_of
from placet.errors import InputInvalid
from placet.expressions import BOOL, DECIMAL, STRING, Type, compile_condition, evaluate, list_of, object_of


def declared(*variables: dict[str, Any]) -> list[Variable]:
    return [Variable.model_validate(variable) for variable in variables]


VARIABLES = declared(
    {"name": "amount", "type": "decimal", "required": True, "minimum": 0, "currency": "EUR", "scale": 2},
    {"name": "department", "type": "string", "required": True, "enum": ["sales", "it"]},
    {"name": "days", "type": "integer", "minimum": 1, "maximum": 30, "default": 1},
    {"name": "start", "type": "date", "minimum": "2026-01-01"},
    {"name": "at", "type": "datetime"},
    {"name": "urgent", "type": "boolean"},
    {"name": "code", "type": "string", "pattern": "^[A-Z]{2}[0-9]+$", "max_length": 6},
    {"name": "tags", "type": "list", "items": {"type": "string"}, "min_length": 1, "max_length": 3},
    {
        "name": "lines",
        "type": "list",
        "items": {
            "type": "object",
            "properties": {"price": {"type": "decimal", "required": True}, "note": {"type": "string"}},
        },
    },
)
LEAST: dict[str, Any] = {"amount": 10, "department": "it"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"amount": 10}, {"amount": "10.00"}),  # an int, written with its scale
        ({"amount": 6000.5}, {"amount": "6000.50"}),  # a JSON number
        ({"amount": "6000.5"}, {"amount": "6000.50"}),  # text
        ({"amount": Decimal("6000.500")}, {"amount": "6000.50"}),  # zeros are no digits
        ({"amount": "1e3"}, {"amount": "1000.00"}),  # no exponent is kept
        ({"amount": -0.0}, {"amount": "0.00"}),  # no negative zero
        ({"days": 5.0}, {"days": 5}),  # a whole number to JSON
        ({"days": None}, {"days": 1}),  # null takes the default
        ({"start": "2026-01-31"}, {"start": "2026-01-31"}),
        ({"start": None}, {}),  # null is absent
        ({"at": "2026-01-31T10:00:00+01:00"}, {"at": "2026-01-31T09:00:00Z"}),  # in UTC
        ({"at": "2026-01-31T09:00:00.5z"}, {"at": "2026-01-31T09:00:00.500000Z"}),  # a fraction
        ({"urgent": False}, {"urgent": False}),
        ({"code": "AB12"}, {"code": "AB12"}),
        ({"tags": ["x"]}, {"tags": ["x"]}),
        ({"lines": [{"price": "0.10", "note": None}]}, {"lines": [{"price": "0.1"}]}),  # without a scale
        ({"lines": [{"price": 1e21}]}, {"lines": [{"price": "1" + "0" * 21}]}),  # plain notation
        ({"lines": []}, {"lines": []}),
    ],
)
def test_an_input_is_kept_in_one_form(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    normalised = normalise_input(VARIABLES, LEAST | sent)
    assert normalised == {"amount": "10.00", "department": "it", "days": 1} | kept
    assert normalise_input(VARIABLES, json.loads(json.dumps(normalised))) == normalised


@pytest.mark.parametrize(
    ("sent", "pointer", "words"),
    [
        ({"amount": None}, "/input/amount", "required"),  # missing
        ({"amount": True}, "/input/amount", "this is a boolean"),  # no number
        ({"amount": [1]}, "/input/amount", "this is a list"),
        ({"amount": "12,50"}, "/input/amount", "1234.56"),  # another notation
        ({"amount": " 1"}, "/input/amount", "1234.56"),  # a blank
        ({"amount": "1_000"}, "/input/amount", "1234.56"),  # Python's notation
        ({"amount": "\u0661"}, "/input/amount", "1234.56"),  # a digit of another script
        ({"amount": float("nan")}, "/input/amount", "NaN"),
        ({"amount": float("inf")}, "/input/amount", "Infinity"),
        ({"amount": "NaN"}, "/input/amount", "1234.56"),
        ({"amount": Decimal("sNaN")}, "/input/amount", "NaN"),
        ({"amount": "1e400"}, "/input/amount", "38 digits"),  # a bomb in plain notation
        ({"amount": "1e999999999"}, "/input/amount", "1234.56"),  # a larger one
        ({"amount": 10**5000}, "/input/amount", "38 digits"),
        ({"amount": "1" * 5000}, "/input/amount", "1234.56"),
        ({"amount": 0.001}, "/input/amount", "2 digits after the point"),  # never rounded
        ({"amount": -1}, "/input/amount", "at least 0"),
        ({"department": "hr"}, "/input/department", "choose one of: sales, it"),
        ({"department": 5}, "/input/department", "a string is needed"),
        ({"days": 0}, "/input/days", "at least 1"),
        ({"days": 31}, "/input/days", "at most 30"),
        ({"days": 1.5}, "/input/days", "whole number"),
        ({"days": float("nan")}, "/input/days", "whole number"),
        ({"days": Decimal("sNaN")}, "/input/days", ""),
        ({"days": 2**70}, "/input/days", "64 bits"),
        ({"days": "5"}, "/input/days", "this is a string"),
        ({"days": False}, "/input/days", "this is a boolean"),
        ({"start": "2025-12-31"}, "/input/start", "at least 2026-01-01"),
        ({"start": "2026-02-30"}, "/input/start", "no such day"),
        ({"start": "20260131"}, "/input/start", "2026-01-31"),
        ({"start": 5}, "/input/start", "this is a number"),
        ({"at": "2026-01-31T10:00:00"}, "/input/at", "offset"),  # which moment?
        ({"at": "0001-01-01T00:00:00+14:00"}, "/input/at", "no such moment"),  # before the first year
        ({"urgent": "true"}, "/input/urgent", "true or false"),
        ({"urgent": 1}, "/input/urgent", "true or false"),
        ({"code": "ab12"}, "/input/code", "does not match"),
        ({"code": "AB12345"}, "/input/code", "at most 6"),
        ({"department": "it\0"}, "/input/department", "U+0000"),  # PostgreSQL cannot hold it
        ({"code": "\ud800"}, "/input/code", "surrogate"),  # nor UTF-8
        ({"tags": []}, "/input/tags", "at least 1 items"),
        ({"tags": ["a", 5]}, "/input/tags/1", "a string is needed"),
        ({"tags": ["a", None]}, "/input/tags/1", "this is null"),
        ({"tags": "a"}, "/input/tags", "a list is needed"),
        ({"lines": [{}]}, "/input/lines/0/price", "required"),
        ({"lines": [{"price": 1, "a/b~": 2}]}, "/input/lines/0/a~1b~0", "price, note"),  # escaped, as RFC 6901 says
        ({"lines": [5]}, "/input/lines/0", "an object is needed"),
        ({"lines": [{"price": 1}] * 1001}, "/input/lines", "at most 1000"),
        ({"extra": 1}, "/input/extra", "unknown name; there are: amount"),
        ({"\ud800": 1}, "/input/?", "unknown name"),  # the report itself can be sent
    ],
)
def test_a_fault_is_named_with_its_place(sent: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        normalise_input(VARIABLES, LEAST | sent)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]
    assert words in refused.value.problems[0].message


def test_all_faults_are_reported_at_once_under_the_callers_pointer() -> None:
    with pytest.raises(InputInvalid, match="and 4 more") as refused:
        normalise_input(VARIABLES, {"x": 1, "days": 99, "start": ""}, pointer="/form")
    places = {problem.pointer for problem in refused.value.problems}
    assert places == {"/form/x", "/form/amount", "/form/department", "/form/days", "/form/start"}


@pytest.mark.parametrize("raw", [None, [], "x", 5, True])
def test_an_input_that_is_no_object_is_refused(raw: object) -> None:
    with pytest.raises(InputInvalid) as refused:
        normalise_input(VARIABLES, raw)
    assert refused.value.problems[0].pointer == "/input"


def test_a_flood_of_faults_is_cut_off() -> None:
    with pytest.raises(InputInvalid) as refused:
        normalise_input(VARIABLES, {f"x{number}": number for number in range(5000)})
    assert len(refused.value.problems) == 100


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ({"name": "a-b", "type": "string"}, "pattern"),  # no identifier
        ({"name": "in", "type": "string"}, "reserved word"),  # CEL's
        ({"name": "a\n", "type": "string"}, "pattern"),  # a line end
        ({"name": "x", "type": "money"}, "'decimal'"),  # no such type
        ({"name": "x", "type": "string", "requierd": True}, "Extra inputs"),  # a slip
        ({"name": "x", "type": "string", "minimum": 1}, "minimum does not apply to string"),
        ({"name": "x", "type": "boolean", "enum": [True]}, "enum does not apply to boolean"),
        ({"name": "x", "type": "integer", "pattern": "x"}, "pattern does not apply"),
        ({"name": "x", "type": "integer", "scale": 2}, "scale does not apply"),
        ({"name": "x", "type": "list"}, "a list needs items"),
        ({"name": "x", "type": "object"}, "an object needs properties"),
        ({"name": "x", "type": "object", "properties": {"a.b": {"type": "string"}}}, "pattern"),
        ({"name": "x", "type": "integer", "minimum": 2, "maximum": 1}, "minimum is above maximum"),
        ({"name": "x", "type": "integer", "minimum": 1.5}, "whole number"),
        ({"name": "x", "type": "date", "minimum": "soon"}, "2026-01-31"),
        ({"name": "x", "type": "string", "min_length": 2, "max_length": 1}, "min_length is above"),
        ({"name": "x", "type": "string", "enum": []}, "at least 1"),
        ({"name": "x", "type": "string", "enum": ["a", "a"]}, "twice"),
        ({"name": "x", "type": "decimal", "enum": [1, "1.0"]}, "twice"),  # equal numbers
        ({"name": "x", "type": "integer", "enum": [1, 9], "maximum": 5}, "enum/1: at most 5"),
        ({"name": "x", "type": "integer", "default": "1"}, "default: a whole number"),
        ({"name": "x", "type": "list", "items": {"type": "integer"}, "default": [1, "a"]}, "default/1"),
        ({"name": "x", "type": "string", "pattern": "(a"}, "a ) is missing"),
        ({"name": "x", "type": "string", "pattern": "(?!a)"}, "(?:...)"),
        ({"name": "x", "type": "decimal", "maximum": float("nan")}, "finite"),
        ({"name": "x", "type": "decimal", "currency": "euro"}, "pattern"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(variable: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Variable.model_validate(variable)
    assert words in str(refused.value)


def test_a_declaration_is_written_as_it_was_read() -> None:
    written = {"name": "amount", "type": "decimal", "required": True, "minimum": 0, "enum": [0, 1.5, "2.50"]}
    variable = Variable.model_validate(written)
    assert normalise_input([variable], {"amount": 1.50}) == {"amount": "1.5"}
    assert json.loads(variable.model_dump_json(exclude_unset=True)) == written
    assert variable == Variable.model_validate(written)  # what was derived while reading is no part of it


def test_values_are_typed_for_conditions() -> None:
    sent = LEAST | {
        "amount": "6000.5",
        "start": "2026-02-01",
        "at": "2026-01-31T10:00:00+01:00",
        "lines": [{"price": "0.1", "note": "x"}, {"price": 2}],
    }
    values = values_of(VARIABLES, normalise_input(VARIABLES, sent))
    assert values == {
        "amount": Decimal("6000.50"),
        "department": "it",
        "days": 1,
        "start": date(2026, 2, 1),
        "at": datetime(2026, 1, 31, 9, tzinfo=UTC),
        "urgent": None,
        "code": None,
        "tags": None,
        "lines": [{"price": Decimal("0.1"), "note": "x"}, {"price": Decimal(2)}],
    }
    for text in (
        "amount > 5000 && urgent == null && start > date('2026-01-31')",
        "lines.exists(l, l.price > 1.9 && !has(l.note))",
    ):
        assert evaluate(compile_condition(text, scope_of(VARIABLES)), values) is True


def test_the_scope_says_what_may_be_absent() -> None:
    scope = scope_of(VARIABLES)
    assert scope["amount"] == DECIMAL
    assert not scope["days"].optional  # its default is always there
    assert scope["urgent"] == Type(kind="bool", optional=True)
    assert scope["urgent"].present == BOOL
    assert scope["lines"].present == list_of(object_of({"price": DECIMAL, "note": Type(kind="string", optional=True)}))
    assert scope["department"] == STRING


@pytest.mark.parametrize(
    ("sent", "valid"),
    [
        ({}, True),
        ({"amount": "12.5", "days": 3, "start": "2026-01-31", "at": "2026-01-31T09:00:00Z"}, True),
        ({"tags": ["a"], "lines": [{"price": "1"}], "urgent": None, "code": "AB1"}, True),
        ({"amount": None}, False),
        ({"amount": "12.555"}, False),
        ({"amount": -1}, False),
        ({"department": "hr"}, False),
        ({"days": 31}, False),
        ({"start": "31.01.2026"}, False),
        ({"tags": []}, False),
        ({"lines": [{"price": "x"}]}, False),
        ({"code": "x"}, False),
        ({"extra": 1}, False),
    ],
)
def test_the_json_schema_says_the_same(sent: dict[str, Any], valid: bool) -> None:
    schema = json_schema_of(VARIABLES)
    jsonschema_rs.meta.validate(schema)
    assert jsonschema_rs.is_valid(schema, LEAST | sent, validate_formats=True) is valid
    if valid:
        normalise_input(VARIABLES, LEAST | sent)
    else:
        with pytest.raises(InputInvalid):
            normalise_input(VARIABLES, LEAST | sent)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20))
def test_a_decimal_keeps_its_value_in_every_form(number: Decimal) -> None:
    variables = declared({"name": "x", "type": "decimal"})
    texts = {normalise_input(variables, {"x": form})["x"] for form in (number, f"{number:f}", f"{number:.10f}")}
    assert len(texts) == 1
    text = texts.pop()
    assert Fraction(text) == Fraction(number)
    assert "e" not in text.lower()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([variable.name for variable in VARIABLES]) | st.text(max_size=3), anything))
def test_whatever_is_sent_is_kept_safely_or_refused(sent: dict[str, Any]) -> None:
    try:
        kept = normalise_input(VARIABLES, sent)
    except InputInvalid as refused:
        kept = {problem.pointer: problem.message for problem in refused.problems}
    json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()

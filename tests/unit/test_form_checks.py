"""Checks of fields: the words of a fault are made once, for the browser and for what the rules refuse after sending."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.definition.json_schema.forms import check_form
from placet.definition.variables import Variable, normalise_input
from placet.errors import InputInvalid
from placet.expressions.patterns import compile_pattern
from web.forms import schemas, shapes
from web.forms.fields import Field, as_entered, faults_of, with_errors
from web.forms.reading import Entries
from web.languages import Wording

ZONE = ZoneInfo("Europe/Berlin")


def wording(language: str = "en") -> Wording:
    return Wording(language=language, zone=ZONE, now=datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


def variable(**facts: Any) -> Variable:
    return Variable.model_validate({"name": "it"} | facts)


def refused(one: Variable, text: str, language: str = "en") -> str | None:
    """Return what stands beside the field once this was sent; None where it is accepted."""
    reader = wording(language)
    entries = Entries.of([("input.it", text)], ZONE, reader.decimal_sign)
    given = shapes.read_input([one], entries)
    fields = as_entered(shapes.fields_of([one], given, reader), entries)
    try:
        normalise_input([one], given)
    except InputInvalid as error:
        (field,) = with_errors(fields, faults_of(error.problems))
        return field.error
    return None


AMOUNT = {"type": "decimal", "required": True, "currency": "EUR", "minimum": 0, "maximum": 5000, "scale": 2}


@pytest.mark.parametrize(
    ("facts", "text", "english", "german"),
    [
        (AMOUNT, "", "Fill this in.", "Füllen Sie das aus."),
        (
            AMOUNT,
            "much",
            "Enter a number, such as 1,234.56.",
            "Geben Sie eine Zahl ein, etwa 1.234,56.",
        ),
        (AMOUNT, "1.234,50", None, None),
        (AMOUNT, "-1", "Enter at least €0.00.", "Geben Sie mindestens 0,00\xa0€ ein."),
        (AMOUNT, "5.000,01", "Enter at most €5,000.00.", "Geben Sie höchstens 5.000,00\xa0€ ein."),
        (
            AMOUNT,
            "1,505",  # a thousand to readers in English
            "1,505 can be read as two numbers. Write 1505 if that is meant.",
            "Geben Sie höchstens 2 Stellen nach dem Komma ein.",
        ),
        (
            AMOUNT,
            "1.505",  # a thousand to readers in German
            "Enter at most 2 digits after the decimal point.",
            "1.505 kann zwei Zahlen heißen. Schreiben Sie 1505, wenn das gemeint ist.",
        ),
        (
            {"type": "list", "items": {"type": "decimal"}},
            "1\n\n1.505",
            None,
            "Eintrag 2: 1.505 kann zwei Zahlen heißen. Schreiben Sie 1505 oder 1,505.",
        ),
        (
            AMOUNT,
            "0,505",
            "Enter at most 2 digits after the decimal point.",
            "Geben Sie höchstens 2 Stellen nach dem Komma ein.",
        ),
        (
            {"type": "integer"},
            "1,5",
            "Enter a whole number, such as 12.",
            "Geben Sie eine ganze Zahl ein, etwa 12.",
        ),
        ({"type": "integer"}, "9" * 30, "This number is too large.", "Diese Zahl ist zu groß."),
        ({"type": "decimal"}, "9" * 40, "Enter at most 38 digits.", "Geben Sie höchstens 38 Ziffern ein."),
        (
            {"type": "string", "min_length": 5},
            " abc ",
            "Enter at least 5 characters (now 3).",
            "Geben Sie mindestens 5 Zeichen ein (jetzt 3).",
        ),
        (
            {"type": "string", "max_length": 2},
            "äöü",
            "Enter at most 2 characters (now 3).",
            "Geben Sie höchstens 2 Zeichen ein (jetzt 3).",
        ),
        (
            {"type": "string", "pattern": "^[A-Z]{2}$"},
            "ab",
            "This does not have the form that is needed: ^[A-Z]{2}$",
            "Das hat nicht die Form, die nötig ist: ^[A-Z]{2}$",
        ),
        (
            {"type": "date", "minimum": "2026-03-02"},
            "2026-03-01",
            "Enter Mon, 2 Mar 2026 or a later one.",
            "Frühestens Mo., 2. März 2026.",
        ),
        (
            {"type": "list", "items": {"type": "decimal"}},
            "1\n\nmuch",
            "Entry 2: Enter a number, such as 1,234.56.",
            "Eintrag 2: Geben Sie eine Zahl ein, etwa 1.234,56.",
        ),
        (
            {"type": "list", "items": {"type": "string"}, "max_length": 1},
            "a\nb",
            "At most 1 are allowed (now 2).",
            "Höchstens 1 sind erlaubt (jetzt 2).",
        ),
    ],
)
def test_what_the_rules_refuse_is_said_in_the_words_of_the_field(
    facts: dict[str, Any], text: str, english: str | None, german: str | None
) -> None:
    assert refused(variable(**facts), text) == english
    assert refused(variable(**facts), text, "de") == german


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["centre", "share"],
    "properties": {
        "centre": {"type": "string", "pattern": "^[0-9]{4}$", "maxLength": 4},
        "share": {"type": "number", "minimum": 0.5, "exclusiveMaximum": 100, "title": "Share"},
        "parts": {"type": "integer", "multipleOf": 5},
        "to": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 2},
    },
}


def decision(**entered: str) -> dict[str, str | None]:
    """Return what stands beside the fields of a stage's form once these were sent."""
    given = schemas.read_form(SCHEMA, Entries.of([(f"form.{name}", text) for name, text in entered.items()], ZONE))
    fields = schemas.fields_of(SCHEMA, given or {}, wording())
    try:
        check_form(SCHEMA, given)
    except InputInvalid as error:
        fields = with_errors(fields, faults_of(error.problems))
    return {field.name.removeprefix("form."): field.error for field in fields if field.error is not None}


@pytest.mark.parametrize(
    ("entered", "said"),
    [
        ({"centre": "4711", "share": "1,5"}, {}),
        ({"centre": "4711", "share": "12,5"}, {}),
        ({}, {"centre": "Fill this in.", "share": "Fill this in."}),
        ({"centre": "47", "share": "much"}, {
            "centre": "This does not have the form that is needed: ^[0-9]{4}$",
            "share": "Enter a number, such as 1,234.56.",
        }),
        ({"centre": "4711", "share": "0.25"}, {"share": "Enter at least 0.5."}),
        ({"centre": "4711", "share": "100"}, {"share": "Enter less than 100."}),
        ({"centre": "4711", "share": "1.234,50"}, {"share": "Enter less than 100."}),
        ({"centre": "4711", "share": "1", "parts": "7"}, {"parts": "Enter a multiple of 5."}),
        ({"centre": "4711", "share": "1", "parts": "7,5"}, {"parts": "Enter a whole number, such as 12."}),
        ({"centre": "4711", "share": "1", "to": "a"}, {"to": "At least 2 are needed (now 1)."}),
    ],
)  # fmt: skip
def test_a_decision_form_is_refused_in_the_words_of_its_fields(entered: dict[str, str], said: dict[str, str]) -> None:
    assert decision(**entered) == said


def test_a_part_of_what_may_be_left_out_is_needed_only_where_something_else_of_it_is_filled_in() -> None:
    line = {"type": "object", "properties": {"what": {"type": "string", "required": True}, "n": {"type": "integer"}}}
    lines = variable(type="list", items=line)
    (field,) = shapes.fields_of([lines], {}, wording())
    assert all(part.within for row in field.rows for part in row)
    assert shapes.read_input([lines], Entries.of([("input.it.0.what", ""), ("input.it.0.n", "")], ZONE)) == {}


def test_what_a_browser_is_told_is_json_and_leaves_out_a_pattern_that_would_cost_much_to_match() -> None:
    def told(**facts: Any) -> dict[str, Any]:
        (field,) = shapes.fields_of([variable(type="string", **facts)], {}, wording())
        assert isinstance(field, Field)
        assert field.check is not None
        document: dict[str, Any] = json.loads(json.dumps(field.check.document))
        return document

    assert told(pattern="^a$")["pattern"] == json.loads(json.dumps(compile_pattern("^a$").automaton))
    assert "pattern" not in told(pattern="a{1,400}")
    assert told(pattern="a{1,400}")["says"]["pattern"], "it is still said where the server refuses it"


def test_bounds_of_a_moment_are_on_the_readers_clock_unless_it_is_about_to_change() -> None:
    def bounds(at: str) -> str | None:
        (field,) = shapes.fields_of([variable(type="datetime", minimum=at)], {}, wording())
        assert field.check is not None
        return field.check.minimum

    assert bounds("2026-03-02T09:00:00Z") == "2026-03-02T10:00:00"
    assert bounds("2026-03-29T00:30:00Z") is None
    assert bounds("0001-01-01T00:00:00Z") is None

"""Whole numbers of a stage's form: what is none stays the text that was entered, for the rules to refuse."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from web.forms.reading import Entries, as_number
from web.forms.schemas import read_form

SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}}


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("-3", -3), ("--3", "--3"), ("-", "-"), ("1.5", "1.5")])
def test_a_whole_number_is_read_and_anything_else_left_as_it_is(text: str, value: object) -> None:
    assert read_form(SCHEMA, Entries.of([("form.days", text)], ZoneInfo("UTC"))) == {"days": value}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("99,50", "99.50"),
        ("1.234,50", "1234.50"),  # as German readers write it
        ("1,234.50", "1234.50"),  # as English readers write it
        ("-1.234.567", "-1234567"),
        ("1 234,50", "1234.50"),
        ("1.234", "1.234"),
        ("1,234", "1,234"),  # a thousand here and a little more than one there: it is refused, not guessed
        ("12.34,5", "12.34,5"),
        ("1,234,56", "1,234,56"),
    ],
)
def test_an_amount_is_read_as_its_writer_meant_it_or_left_as_it_is(text: str, number: str) -> None:
    assert as_number(text) == number

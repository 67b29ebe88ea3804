"""Whole numbers of a stage's form: what is none stays the text that was entered, for the rules to refuse."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from web.forms.reading import Entries
from web.forms.schemas import read_form

SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}}


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("-3", -3), ("--3", "--3"), ("-", "-"), ("1.5", "1.5")])
def test_a_whole_number_is_read_and_anything_else_left_as_it_is(text: str, value: object) -> None:
    assert read_form(SCHEMA, Entries.of([("form.days", text)], ZoneInfo("UTC"))) == {"days": value}

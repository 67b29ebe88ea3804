"""Numbers of forms: read as their writer meant them, or refused and shown again as they were written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.definition.variables import Variable
from web.forms.fields import as_entered, written
from web.forms.reading import Entries, as_number, uncertain
from web.forms.schemas import read_form
from web.forms.shapes import fields_of, read_input
from web.languages import Wording
from web.slas.wording import exact, seconds_of

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


@pytest.mark.parametrize(
    ("text", "english", "german"),
    [
        ("1.234", "1.234", "1,234"),  # a thousand in German: with a comma it is no number of the rules
        ("1,234", "1,234", "1.234"),
        ("-12.345", "-12.345", "-12,345"),
        ("1 234", "1234", "1234"),
        ("12.34", "12.34", "12.34"),  # no thousand to anybody
        ("0.123", "0.123", "0.123"),
        ("1.2345", "1.2345", "1.2345"),
        ("1.234,5", "1234.5", "1234.5"),
    ],
)
def test_a_number_that_may_mean_two_is_read_with_the_sign_of_the_readers_language_and_refused_with_the_other(
    text: str, english: str, german: str
) -> None:
    assert (as_number(text), as_number(text, decimal_sign=",")) == (english, german)
    assert [sign for sign in ".," if uncertain(text, sign)] == [
        sign for sign, read in ((".", english), (",", german)) if "," in read
    ]


def test_both_numbers_that_may_be_meant_are_named_as_the_reader_can_write_them() -> None:
    assert uncertain("-1.234", ",") == ("-1234", "-1,234")
    assert uncertain("1,234", ".") == ("1234", "1.234")
    for whole, fraction, sign in (("1234", "1,234", ","), ("1234", "1.234", ".")):
        assert as_number(whole, decimal_sign=sign) == "1234"
        assert as_number(fraction, decimal_sign=sign) == "1.234"


@pytest.mark.parametrize("sign", [".", ","])
@pytest.mark.parametrize("value", ["5000.01", "-1234.5", "1.234", "1234", "12.345", 0.125, 1_234_567])
def test_a_number_that_a_form_begins_with_is_read_again_as_the_same(value: Any, sign: str) -> None:
    assert float(as_number(written(value, sign), decimal_sign=sign)) == float(value)


def test_what_is_no_number_is_written_as_it_is() -> None:
    assert [written(value, ",") for value in ("1.2.3", "much", None, True, 1e-7)] == [
        "1.2.3",
        "much",
        "",
        "true",
        "1e-07",
    ]


GERMAN = Wording(language="de", zone=ZoneInfo("Europe/Berlin"), now=datetime(2026, 3, 2, 9, tzinfo=UTC))
ASKED = [
    Variable.model_validate({"name": "amount", "type": "decimal", "currency": "EUR"}),
    Variable.model_validate({"name": "rates", "type": "list", "items": {"type": "decimal"}}),
    Variable.model_validate(
        {
            "name": "lines",
            "type": "list",
            "items": {"type": "object", "properties": {"what": {"type": "string"}, "price": {"type": "decimal"}}},
        }
    ),
]


def test_a_form_that_comes_back_shows_its_numbers_as_they_were_written() -> None:
    sent = {
        "input.amount": "5.000,01",
        "input.rates": "1,50\n2.000,5",
        "input.lines.0.what": "",  # a row that was left empty is gone when the form comes back
        "input.lines.0.price": "",
        "input.lines.1.what": "Desk",
        "input.lines.1.price": "1.200,90",
        "input.lines.2.what": "Chair",
        "input.lines.2.price": "1.200",
    }
    entries = Entries.of(sent.items(), GERMAN.zone, GERMAN.decimal_sign)
    given = read_input(ASKED, entries)
    assert given == {
        "amount": "5000.01",
        "rates": ["1.50", "2000.5"],
        "lines": [{"what": "Desk", "price": "1200.90"}, {"what": "Chair", "price": "1,200"}],
    }
    amount, rates, lines = as_entered(fields_of(ASKED, given, GERMAN), entries)
    assert (amount.value, rates.value) == ("5.000,01", "1,50\n2.000,5")
    assert [[one.value for one in row] for row in lines.rows] == [["Desk", "1.200,90"], ["Chair", "1.200"], ["", ""]]
    assert [one.value for one in fields_of(ASKED[:2], given, GERMAN)] == ["5000,01", "1,50\n2000,5"]


def test_a_duration_is_read_with_the_sign_of_the_readers_language() -> None:
    assert seconds_of("1,5 h", ",") == 5400
    assert seconds_of("1.234 h", ",") is None
    assert seconds_of(exact(1.234, ","), ",") == pytest.approx(1.234)

"""Values on pages: each is written as its type is declared, and what could run is no link."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.definition.variables import Variable
from placet.errors import InputInvalid
from web.costs.page import Asked, reasons_of
from web.languages import Wording
from web.views.values import Value, facts_of, value_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LINE = {"article": {"type": "string"}, "price": {"type": "decimal", "currency": "EUR"}}


def wording(language: str) -> Wording:
    return Wording(language=language, zone=ZoneInfo("Europe/Berlin"), now=NOW)


def shown(declared: dict[str, Any] | None, value: Any, language: str = "en") -> Value:
    shape = Variable.model_validate({"name": "it"} | declared) if declared is not None else None
    return value_of(shape, value, wording(language))


@pytest.mark.parametrize(
    ("declared", "value", "kind", "english", "german"),
    [
        ({"type": "decimal", "currency": "EUR"}, "1234.5", "money", "€1,234.50", "1.234,50\xa0€"),
        ({"type": "decimal"}, "1234.567890123456789", "number", "1,234.567890123456789", "1.234,567890123456789"),
        ({"type": "integer"}, 12, "number", "12", "12"),
        ({"type": "date"}, "2026-03-02", "day", "Mon, 2 Mar 2026", "Mo., 2. März 2026"),
        ({"type": "datetime"}, "2026-03-02T09:00:00Z", "moment", "2 Mar 2026, 10:00", "2. März 2026, 10:00"),
        ({"type": "boolean"}, True, "truth", "Yes", "Ja"),
        ({"type": "string"}, "https://example.com/a?b=c", "link", "https://example.com/a?b=c", None),
        # What could run is text, and so is what only begins as an address.
        ({"type": "string"}, "javascript:alert(1)", "text", "javascript:alert(1)", None),
        ({"type": "string"}, "data:text/html,x", "text", "data:text/html,x", None),
        ({"type": "string"}, "https://", "text", "https://", None),
        ({"type": "string"}, "https://example.com and more", "text", "https://example.com and more", None),
        ({"type": "string"}, "two\nlines", "long", "two\nlines", None),
        ({"type": "string"}, "", "none", "", None),
        (None, 5, "number", "5", "5"),  # a value that no variable declares
    ],
)
def test_a_value_is_written_by_its_type_and_its_readers_language(
    declared: dict[str, Any] | None, value: Any, kind: str, english: str, german: str | None
) -> None:
    assert (shown(declared, value).kind, shown(declared, value).text) == (kind, english)
    assert shown(declared, value, "de").text == (english if german is None else german)


def test_lists_tables_and_groups_hold_their_values_by_their_types() -> None:
    texts = shown({"type": "list", "items": {"type": "date"}}, ["2026-03-02", "2026-03-03"])
    assert (texts.kind, [one.kind for one in texts.items]) == ("list", ["day", "day"])
    lines = {"type": "list", "items": {"type": "object", "properties": LINE}}
    table = shown(lines, [{"article": "Desk", "price": "489"}, {"article": "Lamp"}])
    assert (table.kind, table.columns) == ("table", ("Article", "Price"))
    assert [[cell.text for cell in row] for row in table.rows] == [["Desk", "€489.00"], ["Lamp", ""]]
    group = shown({"type": "object", "properties": LINE}, {"price": "1", "article": "Desk", "more": "x"})
    assert [(fact.label, fact.value.text) for fact in group.fields] == [
        ("Article", "Desk"),
        ("Price", "€1.00"),
        ("More", "x"),
    ]


def test_an_input_is_shown_in_the_order_of_its_process_and_nothing_of_it_is_left_out() -> None:
    declared = [
        Variable.model_validate({"name": "amount", "type": "decimal", "title": "How much", "description": "Net."}),
        Variable.model_validate({"name": "purpose", "type": "string"}),
    ]
    facts = facts_of(declared, {"left_over": "x", "purpose": "Stand", "amount": "5", "nothing": None}, wording("en"))
    assert [fact.label for fact in facts] == ["How much", "Purpose", "Left over"]
    assert facts[0].help == "Net."


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            Asked(currency="eur", delay_hour="1"),
            ["Währung: schreiben Sie die drei Großbuchstaben einer Währung (ISO 4217), wie EUR"],
        ),
        (
            Asked(approver_hour="-1", delay_hour="-1"),
            [
                "Eine Stunde eines Genehmigenden: schreiben Sie eine Zahl von mindestens 0",
                "Eine Stunde Verzögerung: schreiben Sie eine Zahl von mindestens 0",
            ],
        ),
        (Asked(approver_hour="x"), ["Eine Stunde eines Genehmigenden: hier ist eine Zahl nötig; schreiben Sie eine"]),
    ],
)
def test_what_is_wrong_with_prices_is_said_of_each_field_in_the_readers_language(asked: Asked, said: list[str]) -> None:
    with pytest.raises(InputInvalid) as refused:
        asked.order(NOW, wording("de"))
    assert reasons_of(refused.value, wording("de")) == said

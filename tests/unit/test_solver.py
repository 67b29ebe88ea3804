"""An input that makes conditions hold or not hold is found exactly, or proven not to exist."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.definition.variables import Variable, normalise_input, scope_of, values_of
from placet.errors import EvaluationFailed
from placet.expressions import compile_condition, evaluate
from placet.expressions.moments import local
from placet.expressions.patterns import compile_pattern
from placet.plan.calendar_compiler import zone_offsets
from placet.proofs.solver import Undecided, witness
from placet.proofs.solver.prover import Prover
from placet.proofs.solver.samples import matching, sample_input, varied

VARIABLES = [
    Variable.model_validate({"required": True, **variable})
    for variable in (
        {"name": "amount", "type": "decimal", "minimum": 0, "scale": 2},
        {"name": "rate", "type": "decimal", "required": False},
        {"name": "department", "type": "string", "enum": ["sales", "it"]},
        {"name": "note", "type": "string", "required": False, "max_length": 50},
        {"name": "code", "type": "string", "pattern": "^[A-Z]{2}[0-9]+$", "min_length": 4, "max_length": 6},
        {"name": "n", "type": "integer"},
        {"name": "m", "type": "integer", "minimum": 2, "maximum": 9},
        {"name": "day", "type": "date", "minimum": "2026-01-01"},
        {"name": "at", "type": "datetime"},
        {"name": "urgent", "type": "boolean"},
        {"name": "tags", "type": "list", "items": {"type": "string"}},
        {
            "name": "lines",
            "type": "list",
            "items": {
                "type": "object",
                "properties": {
                    "price": {"type": "decimal", "required": True},
                    "count": {"type": "integer", "required": False},
                },
            },
        },
        {
            "name": "who",
            "type": "object",
            "properties": {
                "name": {"type": "string", "required": True},
                "age": {"type": "integer", "required": False, "minimum": 18},
            },
        },
    )
]
SCOPE = scope_of(VARIABLES)
TEXT = [Variable.model_validate({"name": "note", "type": "string", "required": True})]


def solved(*texts: str, variables: list[Variable] = VARIABLES) -> dict[str, Any] | None:
    conditions = [(compile_condition(text.removeprefix("NOT "), SCOPE), not text.startswith("NOT ")) for text in texts]
    found = witness(conditions, variables)
    if found is not None:
        assert normalise_input(variables, found) == found
        values = values_of(variables, found)
        assert [evaluate(expression, values) for expression, _ in conditions] == [wanted for _, wanted in conditions]
    return found


@pytest.mark.parametrize(
    "texts",
    [
        ("amount > 5000",),
        ("NOT amount > 5000",),
        ("amount > 5000 && amount < 5000.02",),  # one cent in between
        ("amount * 1.19 > 1000 && amount * 1.19 < 1001",),
        ("rate != null && rate / 3 > 0.333",),
        ("rate == null",),
        ('department == "it"', 'NOT department == "sales"'),
        (r'note == "a\\u{41}"',),  # a text that looks like the solver's own notation
        ('note.startsWith("ab") && note.endsWith("ba") && size(note) == 3',),
        ('note.contains("z") && size(note) > 7',),
        ('code.matches("7$")',),
        ('code == "AB12"',),
        ("n % 7 == 3 && n > 100",),
        ("n / 2 == -3",),  # towards zero
        ("n * n == 49", "NOT n > 0"),
        ('day > date("2030-01-01")',),
        ('at < timestamp("1999-01-01T00:00:00Z")',),
        ("urgent", 'day == date("2026-01-01")'),
        ('size(tags) == 2 && "x" in tags',),
        ('size(tags) == 5 && tags.all(t, t == "q")',),  # longer than what is looked into
        ("lines.exists(x, x.price > 100 && has(x.count) && x.count > 3)",),
        ("lines.exists_one(x, x.price > 100) && size(lines) == 2",),
        ("lines.filter(x, x.price > 5).size() == 2",),
        ("lines.map(x, x.price)[1] == 7",),
        ("has(who.age) && who.age > 20",),
        ("(urgent ? amount : 5) > 4", "NOT urgent"),
    ],
)
def test_an_input_is_found(texts: tuple[str, ...]) -> None:
    assert solved(*texts) is not None


@pytest.mark.parametrize(
    "texts",
    [
        ("amount > 5000", "NOT amount > 5000"),
        ("amount > 5000 && amount < 5000.01",),  # no cent in between
        ("amount < 0",),  # below the minimum
        ("rate * 3 == 1.0",),  # a third is no decimal
        ('department == "hr"',),
        ('NOT department == "it"', 'NOT department == "sales"'),
        ("n % 7 == 3 && n < -100",),  # the remainder has the sign of the dividend
        ('day < date("2026-01-01")',),
        ("m > 3 && m < 4",),
        ("who.age < 18",),
        ("lines.exists(x, x.price > 100)", "lines.all(x, x.price <= 100)"),
        ('code.matches("^A")', 'NOT code.matches("^A")'),
        ("size(note) > 50",),
    ],
)
def test_that_there_is_none_is_proven(texts: tuple[str, ...]) -> None:
    assert solved(*texts) is None


def test_an_absent_value_neither_holds_nor_does_not_hold() -> None:
    for wanted in ("rate > 1", "NOT rate > 1"):
        found = solved(wanted)
        assert found is not None
        assert "rate" in found


def test_amounts_are_plain_text_with_the_declared_digits() -> None:
    found = solved("amount > 5000")
    assert found is not None
    assert found["amount"] == "5001.00"


def test_variables_that_nobody_asks_about_get_ordinary_values() -> None:
    found = solved("urgent")
    assert found is not None
    assert (found["n"], found["code"], found["tags"]) == (1, "AA00", [])
    assert "note" not in found


def test_a_question_beyond_the_solver_is_undecided_within_seconds() -> None:
    variables = [Variable.model_validate({"name": n, "type": "integer", "minimum": 1, "maximum": 10**6}) for n in "abc"]
    expression = compile_condition("a * a * a + b * b * b == c * c * c", scope_of(variables))
    began = time.process_time()
    with pytest.raises(Undecided):
        witness([(expression, True)], variables)
    assert time.process_time() - began < 30


def test_long_texts_that_a_condition_looks_for_cost_no_more_than_any_question() -> None:
    expression = compile_condition(" && ".join(f'note.contains("{c * 120}")' for c in "abc"), scope_of(TEXT))
    began = time.process_time()
    with contextlib.suppress(Undecided):
        witness([(expression, True)], TEXT)
    assert time.process_time() - began < 30


def test_more_text_than_the_solver_is_told_is_left_open() -> None:
    *others, last = [compile_condition(f'note == "{n:04}{"x" * 3000}"', scope_of(TEXT)) for n in range(8)]
    with pytest.raises(Undecided):
        witness([*((other, False) for other in others), (last, True)], TEXT)


FLAG = "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "conditions",
    [
        ([{"max_length": 1}], 'note != "\U000e0067"', False),
        ([{"enum": [FLAG, "ab"]}], "size(note) == 7", True),
        ([{}], 'note.contains("\U00030000")', True),
        ([{}], 'note > "\U0002ffff"', True),
    ],
)
def test_that_there_is_none_is_not_said_of_texts_beyond_the_characters_of_the_solver(
    conditions: tuple[list[dict[str, Any]], str, bool],
) -> None:
    [shape], text, wanted = conditions
    variables = [Variable.model_validate({"name": "note", "type": "string", "required": True, **shape})]
    expression = compile_condition(text, scope_of(variables))
    with contextlib.suppress(Undecided):
        found = witness([(expression, wanted)], variables)
        assert found is not None
        assert evaluate(expression, values_of(variables, found)) is wanted


def test_small_letters_of_a_literal_are_those_of_its_characters() -> None:
    assert witness([(compile_condition('lower("\u00c9") == "\u00e9"', {}), True)], []) is not None
    assert witness([(compile_condition('lower("\u00c9") == "\u00e9"', {}), False)], []) is None


@given(
    amount=st.decimals(0, 10**6, places=2),
    bounds=st.lists(st.decimals(0, 10**6, places=3), min_size=1, max_size=3),
    operators=st.lists(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), min_size=3, max_size=3),
)
@settings(max_examples=40)
def test_no_input_is_missed(amount: Decimal, bounds: list[Decimal], operators: list[str]) -> None:
    """Whatever one input makes of conditions, the solver finds some input that makes the same of them."""
    variables = [Variable.model_validate({"name": "amount", "type": "decimal", "scale": 2})]
    texts = [f"amount {operator} {bound:f}" for operator, bound in zip(operators, bounds, strict=False)]
    expressions = [compile_condition(text, scope_of(variables)) for text in texts]
    wanted = [bool(evaluate(e, {"amount": amount})) for e in expressions]
    assert witness(list(zip(expressions, wanted, strict=True)), variables) is not None


ATOMS = [
    *("a > 3", "a + b == 4", "a * 2 < b", "b % 3 == 1", "a / 2 == b", "-a < b", "(o ? a : b) > 1", "a in [1, 2, b]"),
    *('s == "x"', 's.startsWith("x")', "size(s) > 1", "o", "k != null && k > a", "k == null"),
]


@given(st.data())
@settings(max_examples=60)
def test_what_the_solver_denies_no_evaluation_shows(data: st.DataObject) -> None:
    """Random conditions over random inputs: a "there is none" is never contradicted."""
    atoms = st.sampled_from(ATOMS)
    both = st.sampled_from(["({}) && ({})", "({}) || ({})"])
    text = st.recursive(
        atoms,
        lambda t: st.one_of(t.map("!({})".format), st.builds(lambda f, x, y: f.format(x, y), both, t, t)),
        max_leaves=4,
    )
    variables = [
        Variable.model_validate(v)
        for v in (
            {"name": "a", "type": "integer", "minimum": -5, "maximum": 5},
            {"name": "b", "type": "integer", "minimum": -5, "maximum": 5},
            {"name": "k", "type": "integer", "minimum": -5, "maximum": 5, "required": False},
            {"name": "s", "type": "string", "max_length": 3},
            {"name": "o", "type": "boolean"},
        )
    ]
    expressions = [compile_condition(data.draw(text), scope_of(variables)) for _ in range(2)]
    small = st.integers(-5, 5)
    raw = {"a": data.draw(small), "b": data.draw(small), "s": data.draw(st.sampled_from(["", "x", "xy", "b"]))}
    raw |= {"o": data.draw(st.booleans()), "k": data.draw(st.one_of(st.none(), small))}
    values = values_of(variables, normalise_input(variables, raw))
    try:
        wanted = [(e, bool(evaluate(e, values))) for e in expressions]
    except EvaluationFailed:
        return
    assert witness(wanted, variables) is not None


@pytest.mark.parametrize(
    "pattern", ["^[A-Z]{2}[0-9]+$", "a|b$", r"^\d{4}-\d\d$", "^(x|yy)*z$", "[^a]", r"\S+@\S+\.com$"]
)
@pytest.mark.parametrize("least", [0, 7])
def test_samples_match_their_pattern(pattern: str, least: int) -> None:
    found = next(matching(pattern, least=least, most=40), None)
    if found is None:  # a fixed length that is not the one asked for
        assert pattern in {"^[A-Z]{2}[0-9]+$", r"^\d{4}-\d\d$"}
        return
    assert len(found) >= least
    assert compile_pattern(pattern).search(found)


def test_samples_tell_patterns_apart() -> None:
    found = {matched for _, matched in varied(["^a", "b$"], most=5)}
    assert found == {(True, True), (True, False), (False, True), (False, False)}


def test_an_ordinary_input_is_valid() -> None:
    found = sample_input(VARIABLES)
    assert found is not None
    assert normalise_input(VARIABLES, found) == found


@pytest.mark.parametrize(
    "day",
    [date(1, 1, 1), date(4, 2, 29), date(1900, 2, 28), date(1900, 3, 1), date(2000, 2, 29), date(2000, 12, 31)]
    + [date(2026, month, 28) + timedelta(days=4) for month in range(1, 13)]
    + [date(2100, 2, 28), date(2100, 3, 1), date(9999, 12, 31)],
)
def test_the_calendar_of_the_solver_is_the_real_one(day: date) -> None:
    variables = [Variable(name="d", type="date", required=True)]
    scope = scope_of(variables)
    there = compile_condition(f'd == date("{day.isoformat()}")', scope)
    parts = (
        f"year(d) == {day.year} && month(d) == {day.month} && day(d) == {day.day} && weekday(d) == {day.isoweekday()}"
    )
    same = compile_condition(parts, scope)
    assert witness([(there, True), (same, True)], variables) == {"d": day.isoformat()}
    assert witness([(there, True), (same, False)], variables) is None
    # and nothing else is that day
    assert witness([(there, False), (same, True)], variables) is None


@pytest.mark.parametrize(
    "moment", ["2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
)
def test_the_clocks_of_the_solver_are_the_zones(moment: str) -> None:
    variables = [Variable(name="t", type="datetime", required=True)]
    offsets = zone_offsets("Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC))
    shown = local(datetime.fromisoformat(moment), offsets)
    there = compile_condition(f't == timestamp("{moment}")', scope_of(variables))
    same = compile_condition(f"hour(t) == {shown.hour} && minute(t) == {shown.minute}", scope_of(variables))
    assert Prover(variables, offsets).witness([(there, True), (same, True)]) is not None
    assert Prover(variables, offsets).witness([(there, True), (same, False)]) is None

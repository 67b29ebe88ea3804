"""What holds for every expression: exact numbers, the same after storing, and no error but the two."""

from __future__ import annotations

import operator
import re
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from placet.errors import ConditionInvalid, EvaluationFailed
from placet.expressions import DECIMAL, INT, STRING, Expression, Type, compile_condition, evaluate, list_of, object_of

ADAPTER = TypeAdapter(Expression)
OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
SCOPE = {
    "a": DECIMAL,
    "b": DECIMAL,
    "n": INT,
    "s": Type(kind="string", optional=True),
    "l": list_of(INT),
    "o": object_of({"f": STRING}),
}

numbers = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6
) | st.integers(-(10**15), 10**15).map(Decimal)


@st.composite
def sums(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction]:
    """Return the text of an arithmetic expression over literals and its true value."""
    if depth == 0 or draw(st.booleans()):
        number = draw(numbers)
        text = format(number, "f")
        return (f"({text})" if number < 0 else text), Fraction(number)
    (left, one), (right, other) = draw(sums(depth=depth - 1)), draw(sums(depth=depth - 1))
    sign = draw(st.sampled_from("+-*"))
    true = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](one, other)
    # A point in one operand at least: whole numbers alone have 64 bits.
    return f"(({left}) {sign} ({right} + 0.0))", true


@given(sums(), sums(), st.sampled_from(sorted(OPERATORS)))
def test_a_comparison_of_sums_and_products_is_the_fractions_comparison(
    left: tuple[str, Fraction], right: tuple[str, Fraction], sign: str
) -> None:
    expression = compile_condition(f"{left[0]} {sign} {right[0]}", {})
    assert evaluate(expression, {}) is OPERATORS[sign](left[1], right[1])


@given(numbers, numbers, numbers, st.sampled_from(sorted(OPERATORS)))
def test_variables_compare_as_the_numbers_they_are(a: Decimal, b: Decimal, literal: Decimal, sign: str) -> None:
    text = f"a - {format(literal, 'f') if literal >= 0 else f'({literal:f})'} {sign} b"
    expression = compile_condition(text, SCOPE)
    again = ADAPTER.validate_json(ADAPTER.dump_json(expression))
    true = OPERATORS[sign](Fraction(a) - Fraction(literal), Fraction(b))
    assert evaluate(expression, {"a": a, "b": b}) is true
    assert evaluate(again, {"a": a, "b": b}) is true


@given(numbers, numbers.filter(bool))
def test_a_quotient_is_within_its_34_digits(a: Decimal, b: Decimal) -> None:
    result = evaluate(compile_condition("a / b", SCOPE, expect=DECIMAL), {"a": a, "b": b})
    assert isinstance(result, Decimal)
    true = Fraction(a) / Fraction(b)
    assert abs(Fraction(result) - true) <= abs(true) * Fraction(1, 10**33)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_whole_division_truncates_and_the_remainder_fits(dividend: int, divisor: int) -> None:
    values = {"n": dividend, "m": divisor}
    scope = {"n": INT, "m": INT}
    rest = evaluate(compile_condition("n % m", scope, expect=INT), values)
    assert rest == int(Fraction(dividend) - divisor * int(Fraction(dividend, divisor)))
    if (dividend, divisor) != (-(2**63), -1):
        assert evaluate(compile_condition("n / m", scope, expect=INT), values) == int(Fraction(dividend, divisor))


ATTEMPT = re.compile(r"line \d+, column \d+: ")
NAMES = ["a", "b", "n", "s", "l", "o", "o.f", "x", "o.f.", "l["]
LITERALS = ["null", "true", "false", "0", "-1", "2.5", "1e9", ".5", "9" * 20, "'x'", '"y"', "b'z'", "1u"]
SIGNS = [*"+-*/%<>!?:()[]{}.,\n", "==", "!=", "<=", ">=", "&&", "||", "in"]
CALLS = ["has(", "size(", "date(", ".size()", ".map(x,", ".exists(x,", ".all(x,", ".matches(", ".contains("]
tokens = st.sampled_from(NAMES + LITERALS + SIGNS + CALLS)


def attempted(text: str, values: dict[str, object]) -> object:
    """Return the value or the error of the project's own; any other one leaves."""
    try:
        return evaluate(compile_condition(text, SCOPE), values)
    except (ConditionInvalid, EvaluationFailed) as error:
        return error


@given(st.lists(tokens, max_size=25).map(" ".join) | st.text(max_size=60))
def test_no_other_error_leaves_the_compiler_or_the_evaluator(text: str) -> None:
    outcome = attempted(text, {"a": Decimal(1), "n": 2, "l": [1, 2], "o": {"f": "x"}})
    assert outcome in {True, False} if isinstance(outcome, bool) else ATTEMPT.match(str(outcome))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["a > b", "a / b == n", "s == 'x'", "1 in l", "l.exists(x, x > n)", "o.f == 'x'", "-a < n * n"]),
    st.dictionaries(st.sampled_from(sorted(SCOPE)), anything),
)
def test_no_other_error_leaves_the_evaluator_on_any_values(text: str, values: dict[str, object]) -> None:
    outcome = attempted(text, values)
    assert isinstance(outcome, bool | EvaluationFailed)

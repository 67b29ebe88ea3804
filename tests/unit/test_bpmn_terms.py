"""Expressions of other engines: what is read, what it becomes, and what is refused in which words."""

from __future__ import annotations

import time

import pytest

from placet.definition.bpmn.file.parser import read_term, read_test
from placet.definition.bpmn.file.scope import Scope
from placet.definition.bpmn.file.terms import Term, Unclear
from placet.definition.variables import Variable, scope_of
from placet.expressions import compile_condition


def taken_over(text: str) -> str:
    """Return an expression as a condition, and see that it compiles over the variables that it declares."""
    scope = Scope()
    condition = scope.condition(read_term(text))
    variables = [Variable.model_validate({"name": name, **scope.shape(name)}) for name in scope.kinds]
    compile_condition(condition, scope_of(variables))
    return condition


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("${amount > 5}", "amount > 5"),
        ("= amount = 5 and not late", "amount == 5 && !late"),
        ("#{'a' == kind || (done)}", '"a" == kind || done'),
        ("${a == b}", "a == b"),
        ("${a lt b && c}", "a < b && c"),
        ("${order.total > 5 * 2 + 1}", "order.total > 5 * 2 + 1"),
        ('${order["total"] > 5}', "order.total > 5"),
        ("${x - 1 > 1 - (x - 5)}", "x - 1 > 1 - (x - 5)"),
        ("= amount in [1..10]", "amount >= 1 && amount <= 10"),
        ("= amount in ]1..10[", "amount > 1 && amount < 10"),
        ("= x in (<5, >10)", "x < 5 || x > 10"),
        ("= x between 1 and 5 and y", "x >= 1 && x <= 5 && y"),
        ("= if c then b > 1 else c", "c ? b > 1 : c"),
        ('= list contains(tags, "x")', '"x" in tags'),
        ('= starts with(name, "x")', 'name.startsWith("x")'),
        ("return amount > 1000L;", "amount > 1000"),
        ("// large\nreturn amount > 1e3;", "amount > 1000"),
        ("KieFunctions.between(amount, 1, 5)", "amount >= 1 && amount <= 5"),
        ('"b".equals(a)', 'a == "b"'),
        ("Boolean.TRUE.equals(x)", "x == true"),
        ("${!(a > 5 && done)}", "!(a > 5 && done)"),
        ("${not (a > 5)}", "a <= 5"),
        ("${x != null && x > 3}", "x != null && x > 3"),
        ("${empty name}", "name == null"),
        ("${name == 'x' && !empty name}", 'name == "x" && !(name == null || name == "")'),
        ('= day >= date("2026-01-01")', 'day >= date("2026-01-01")'),
        ('= at < date and time("2026-01-01T10:00:00")', 'at < timestamp("2026-01-01T10:00:00Z")'),
        ("größe > 3", "grosse > 3"),
        ("${for > 3}", "for_ > 3"),
        ("${a} && ${b}", "a && b"),
        ("${items.size() > 2}", "size(items) > 2"),
        ("${code == 'abc' && code.length() > 2}", 'code == "abc" && size(code) > 2'),
    ],
)
def test_an_expression_is_taken_over(text: str, condition: str) -> None:
    assert taken_over(text) == condition


@pytest.mark.parametrize(
    "text",
    [
        "", "amount >", "5 5", "${service.fast(x)}", "exec('rm')", "${amount > 5 && amount == 'x'}", "a ? b", "x in",
        "(" * 5000, "!" * 500 + "a", "not(" * 60 + "a" + ")" * 60, "empty " * 200 + "a", "[" * 100, "a || " * 400 + "b",
        "a." * 900 + "b", "a matches 'x'", "new File('x')", "`x`", "x" * 3000, "-" * 1000 + "1", '"' + "x" * 100,
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Unclear):
        taken_over(text)
    assert time.process_time() - began < 10


def test_what_one_expression_says_of_a_variable_holds_for_the_next() -> None:
    scope = Scope()
    assert scope.condition(read_term("${limit > 5}")) == "limit > 5"
    assert scope.condition(read_term("${amount == limit}")) == "amount == limit"
    with pytest.raises(Unclear):
        scope.condition(read_term("${amount == 'x'}"))
    assert scope.condition(read_term("${amount == '7'}")) == "amount == 7"  # engines compare numbers with their text
    scope.declare("day", "date")
    assert scope.condition(read_term("${day == '2026-02-01'}")) == 'day == date("2026-02-01")'
    assert scope.shape("amount") == {"type": "decimal", "required": True}


@pytest.mark.parametrize(
    ("text", "tests"),
    [
        ("-", 0), ("", 0), ("> 5", 1), ("[1..5]", 1), ('"a","b"', 2), ('not("a")', 1), ("<5, >10", 2),
        ("? > 5 and ? < 7", 1), ("true", 1), ('date("2026-01-01")', 1), ('["a", "b"]', 1), ("(1..3], 7", 2),
    ],
)  # fmt: skip
def test_unary_tests_are_about_their_input(text: str, tests: int) -> None:
    found = read_test(text, Term("name", value="x"))
    assert len(found) == tests
    assert all(test.names() == {"x"} for test in found)

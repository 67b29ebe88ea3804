"""What an author may write, what is refused and with which words, and what it comes to."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from placet.errors import ConditionInvalid, EvaluationFailed
from placet.expressions import (
    BOOL,
    DATE,
    DECIMAL,
    INT,
    STRING,
    TIMESTAMP,
    Expression,
    Type,
    compile_condition,
    evaluate,
    list_of,
    object_of,
)
from placet.expressions.types import type_from

NOTE = Type(kind="string", optional=True)
LINE = object_of({"price": DECIMAL, "count": INT, "note": NOTE})
SCOPE = {
    "amount": DECIMAL,
    "days": INT,
    "department": STRING,
    "urgent": BOOL,
    "start": DATE,
    "at": TIMESTAMP,
    "tags": list_of(STRING),
    "scores": list_of(INT),
    "lines": list_of(LINE),
    "supplier": object_of({"name": STRING, "vat": NOTE}),
    "comment": NOTE,
    "limit": Type(kind="decimal", optional=True),
}
VALUES: dict[str, object] = {
    "amount": Decimal("6000.10"),
    "days": 7,
    "department": "it",
    "urgent": False,
    "start": date(2026, 2, 1),
    "at": datetime(2026, 2, 1, 9, tzinfo=UTC),
    "tags": ["a", "bc"],
    "scores": [1, 2, 3],
    "lines": [{"price": Decimal("0.1"), "count": 3, "note": "x"}, {"price": Decimal("0.2"), "count": 1}],
    "supplier": {"name": "ACME", "vat": None},
    "comment": None,
}


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('amount > 5000 && department == "it"', True),  # the contract's own example
        ("amount == 6000.1", True),  # trailing zeros are no difference
        ("amount > 6000.0999999999999999999999", True),  # no binary float in between
        ("amount - 6000 == 0.1", True),  # exact subtraction
        ("0.1 + 0.2 == 0.3", True),  # which no float would say
        ("5000 < amount", True),  # literal on the left
        ("amount == -6000.10", False),  # a sign belongs to its literal
        ("-amount == - 6000.10", True),  # also with a space
        ("days / 2 == 3", True),  # whole numbers truncate
        ("-7 / 2 == -3 && -7 % 2 == -1", True),  # towards zero, as CEL has it
        ("days / 2.0 == 3.5", True),  # a decimal on one side makes a decimal
        ("amount / 3 > 2000.03 && amount / 3 < 2000.04", True),  # 34 digits
        ("days * 2 > amount", False),  # an int variable beside a decimal one
        ("days in [1, 7]", True),  # whole in whole
        ("amount in [1, 6000.1]", True),  # a list of mixed numbers is a list of decimals
        ("amount in scores", False),  # decimal in a list of ints
        ("2 in scores && !(5.5 in scores)", True),  # both ways
        ("scores == [1, 2, 3]", True),  # lists by their items
        ("scores + [4] == [1, 2, 3, 4]", True),  # lists join
        ("scores == [1.0, 2.0, 3.0]", True),  # and widen
        ('department + "!" == "it!"', True),  # strings join
        ('department in ["sales", "it"]', True),  # membership
        ("department >= 'hr'", True),  # by code point; single quotes too
        ("urgent || days > 5", True),  # left to right
        ("urgent && days / 0 > 1", False),  # the right side is not reached
        ("urgent ? days > 100 : days < 100", True),  # one branch only
        ("(urgent ? 1 : 2.5) == 2.5", True),  # branches of mixed numbers
        ("!urgent", True),  # negation
        ('start > date("2026-01-31")', True),  # days
        ('at == timestamp("2026-02-01T10:00:00+01:00")', True),  # one moment, two offsets
        ("size(tags) == 2 && tags.size() == 2", True),  # both spellings
        ("size(department) == 2", True),  # characters
        ('tags[1] == "bc"', True),  # from 0
        ('"abc".startsWith("ab") && "abc".endsWith("bc") && "abc".contains("b")', True),  # text
        ('department.matches("^(i|x)t{1,2}$")', True),  # a pattern
        ('department.matches("t")', True),  # anywhere in the text, as CEL has it
        ("lines.exists(l, l.price > 0.15)", True),  # some
        ("lines.all(l, l.price * l.count < 0.31)", True),  # every; 0.1 * 3 is 0.3
        ("lines.exists_one(l, l.count == 1)", True),  # exactly one
        ("lines.filter(l, l.count > 1).size() == 1", True),  # kept
        ("scores.map(s, s * 2) == [2, 4, 6]", True),  # computed
        ("scores.map(s, s > 1, s * 2) == [4, 6]", True),  # kept and computed
        ("scores.exists(s, scores.exists(o, o == s + 1))", True),  # one in another
        ("scores.exists(s, s == 3) && scores.all(s, s > 0)", True),  # the same name twice in a row
        ("lines.exists(l, has(l.note)) && !lines.all(l, has(l.note))", True),  # a field that may be absent
        ("has(supplier.vat)", False),  # null is absent
        ("supplier.vat == null && comment == null && limit == null", True),  # three ways to be absent
        ("null != department", True),  # on either side
        ("comment != null && comment.size() > 3", False),  # the guard
        ("amount > 5000 // large\n && days > 1", True),  # a comment
        ("amount > 1e3", True),  # an exponent
        ("amount > 0x10", True),  # a hexadecimal number
        ('department == "it" || "ü😀" == "x"', True),  # beyond ASCII
        ("true", True),  # always
    ],
)
def test_an_expression_comes_to_its_value(text: str, outcome: bool) -> None:
    assert evaluate(compile_condition(text, SCOPE), VALUES) is outcome


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("amout > 5", ("line 1, column 1", "'amout'", "did you mean 'amount'")),  # a slip
        ("xyz > 5", ("unknown name 'xyz'", "names: amount, at, comment")),  # nothing like it
        ("supplier.nam == ''", ("column 9", "did you mean 'name'", "fields: name, vat")),  # a field
        ("department.beginsWith('x')", ("unknown function", "did you mean", "startsWith")),  # a function
        ("\namount >\n  'x'", ("line 2, column 8", "decimal and a string", "quotes")),  # the place, over lines
        ('amount > "5000"', ("> mixes a decimal and a string",)),  # mixed types
        ("urgent == 1", ("== mixes a bool and an int",)),  # no truthiness
        ("urgent > true", ("no order",)),  # bools have none
        ('start > "2026-01-01"', ("date and a string", 'date("2026-01-31")')),  # says how
        ("start < at", ("date and a timestamp",)),  # a day is no moment
        ("amount", ("gives a decimal", "a bool is needed")),  # the result
        ("days && urgent", ("&& needs a bool, this is an int",)),  # no truthiness either
        ("amount ? true : false", ("needs a bool",)),  # nor here
        ("urgent ? 1 : 'x'", ("an int and a string",)),  # branches
        ("amount % 2 == 0", ("whole numbers only",)),  # remainders
        ("urgent + urgent == 1", ("+ is not defined for a bool",)),  # nonsense
        ("at - at > 1", ("- is not defined for a timestamp",)),  # no durations
        ("department in 'abc'", ("text.contains",)),  # CEL has it so
        ("'name' in supplier", ("has(object.field)",)),  # nor maps
        ("1 in tags", ("mixes an int and a list(string)",)),  # wrong items
        ("tags['a'] == 'b'", ("an index needs an int",)),  # wrong index
        ("supplier['name'] == ''", ("object.field",)),  # says how
        ("amount.x == 1", ("has no fields",)),  # no object
        ("supplier == supplier", ("compare their fields",)),  # whole objects
        ("lines == lines", ("compare their fields",)),  # nor in lists
        ("[1, 'x'] == [1]", ("a list holds one type",)),  # mixed list
        ("tags == []", ("compare size(...) with 0",)),  # says how
        ("null == null", ("only a variable",)),  # nothing to ask
        ("amount + 1 == null", ("only a variable",)),  # never absent
        ("amount > null", ("== or !=",)),  # no order
        ("[null] == [null]", ("null can only be compared",)),  # nor there
        ("has(comment)", ("name != null",)),  # a variable
        ("has(1, 2)", ("one argument",)),  # count
        ("size(amount) > 1", ("string or a list",)),  # no size
        ("exists(tags, t, t == 'a')", ("write x.exists",)),  # form
        ("tags.date('x')", ("write date(x)",)),  # form
        ("amount.exists(x, x > 1)", ("goes over a list",)),  # no list
        ("tags.exists(t, t)", ("exists() needs a bool, this is a string",)),  # the body
        ("tags.exists(days, days == 'a')", ("'days' is a name already",)),  # hides a variable
        ("tags.exists(t, tags.exists(t, t == 'a'))", ("'t' is a name already",)),  # hides an item
        ("tags.exists(t, true) && t == 'a'", ("unknown name 't'",)),  # an item ends with its macro
        ("tags.exists(a.b, true)", ("first argument",)),  # no name
        ("tags.exists(t)", ("write list.exists(x",)),  # count
        ("date('2026-02-30') == start", ("no such day",)),  # no day
        ("date(department) == start", ("quoted text",)),  # literals only
        ("timestamp('2026-02-01T09:00:00') == at", ("offset",)),  # a moment needs one
        ("department.matches('(')", ("pattern, character 2",)),  # bad pattern
        ("department.matches(department)", ("quoted text, not from a variable",)),  # proofs need it so
        ("department.matches('(?=x)')", ("(?:...)",)),  # no look-ahead
        ("{'a': 1} == {'a': 1}", ("maps and messages",)),  # left out
        ("1u == 1", ("unsigned",)),  # left out
        ("b'x' == b'x'", ("bytes",)),  # left out
        ("amount > 1e99", ("38 digits",)),  # an absurd literal
        ("amount > 0." + "1" * 39, ("38 digits",)),  # too fine
        ("days > 99999999999999999999", ("64 bits", "1.0")),  # too large, says how
        ("amount > 5000 and urgent", ("line 1, column 15", "write &&")),  # another language's word
        ("not urgent", ("write !",)),  # so is this
        ("days = 7", ("write ==",)),  # assignment
        ("days <> 7", ("write !=",)),  # SQL
        ("days > 5 & urgent", ("write &&",)),  # bits
        ("amount >", ("column 9", "ends too early")),  # incomplete
        ("(amount > 5", ("ends too early",)),  # so is this
        ("for > 1", ("reserved", "cannot be a name")),  # a reserved word
        ("amount > 5 5", ("no CEL expression",)),  # two numbers
        ("  ", ("empty",)),  # nothing
        ("'\ud800' == ''", ("column 2", "surrogate")),  # no text
        ("(" * 40 + "true" + ")" * 40, ("nested more than 32",)),  # too deep
        ("true || " * 600 + "true", ("4000 characters",)),  # too long
        ("[" + "1," * 1500 + "1] == [1]", ("1000 parts",)),  # too many
        (".amount > 1", ("unknown name '.amount'",)),  # CEL's absolute names
        ("amount.`a-b` > 1", ("has no fields",)),  # CEL's quoted fields
    ],
)
def test_an_expression_is_refused_with_its_place_and_a_remedy(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConditionInvalid) as refused:
        compile_condition(text, SCOPE)
    assert refused.value.message.startswith("line ")
    for word in words:
        assert word in refused.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limit > 5", ("line 1, column 1", "'limit' has no value", "limit != null")),  # absent is never false
        ("days > 1 &&\n  limit > 5", ("line 2, column 3",)),  # the place
        ("lines.all(l, l.note == 'x')", ("'note' is absent", "has()")),  # an absent field
        ("supplier.vat.size() > 1", ("'vat' is absent",)),  # null is absent
        ("days / (days - 7) == 1", ("column 6", "division by zero")),  # whole
        ("days % (days - 7) == 1", ("division by zero",)),  # remainder
        ("amount / (amount - amount) == 1", ("division by zero",)),  # decimal
        ("(amount - amount) / 0 == 1", ("division by zero",)),  # nought by nought
        ("days * 9000000000000000000 > 1", ("64 bits",)),  # overflow
        ("-(-9223372036854775808 + days - 7) > 0", ("64 bits",)),  # the one that has no negative
        (" * ".join(["1.00000000000000000000001"] * 6) + " > 1", ("100 digits",)),  # exact or nothing
        ("tags[2] == 'x'", ("no item 2", "has 2")),  # beyond
        ("tags[-1] == 'x'", ("no item -1",)),  # before
        (
            "".join(f"scores.map({x}, " for x in "abcdefghijk") + "a" + ")" * 11 + ".size() > 0",
            ("too much work",),
        ),  # 3^11
        (
            "[1].map(x, 'aaaaaaaaaaaaaaaa')" + ".map(x, x+x+x+x+x+x+x+x)" * 5 + ".size() == 1",
            ("longer than 100000",),
        ),  # a text that grows by eights
    ],
)
def test_an_evaluation_that_cannot_be_right_fails_with_its_place(text: str, words: tuple[str, ...]) -> None:
    expression = compile_condition(text, SCOPE)
    with pytest.raises(EvaluationFailed) as failed:
        evaluate(expression, VALUES)
    for word in words:
        assert word in failed.value.message


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("amount > 1", {"amount": 2.5}),  # a binary float
        ("amount > 1", {"amount": True}),  # a bool is no number
        ("amount > 1", {"amount": "2"}),  # nor is text
        ("amount > 1", {"amount": Decimal("NaN")}),  # nor is this
        ("amount > 1", {"amount": Decimal("-Infinity")}),  # nor this
        ("amount > 1", {"amount": Decimal("1e9999")}),  # absurd
        ("amount > 1", {"amount": 10**4000}),  # absurd
        ("days > 1", {"days": Decimal(2)}),  # an int was declared
        ("days > 1", {"days": True}),  # a bool is no number
        ("days > 1", {"days": 2**63}),  # too large
        ("urgent", {"urgent": 1}),  # no truthiness
        ("department == 'it'", {"department": 5}),  # no text
        ("start > date('2026-01-01')", {"start": datetime(2026, 1, 1, tzinfo=UTC)}),  # a moment is no day
        ("at > timestamp('2026-01-01T00:00:00Z')", {"at": date(2026, 1, 1)}),  # a day is no moment
        ("at > timestamp('2026-01-01T00:00:00Z')", {"at": datetime(2026, 1, 1)}),  # noqa: DTZ001 - naive on purpose
        ("'a' in tags", {"tags": "abc"}),  # a string is no list
        ("'a' in tags", {"tags": ["b", 1]}),  # a wrong item is not quietly unequal
        ("'a' in tags", {"tags": ["b", None]}),  # nor is an absent one
        ("supplier.name == 'x'", {"supplier": ["name"]}),  # no object
        ("supplier.name == 'x'", {"supplier": {"name": 1}}),  # a wrong field
        ("supplier.name == 'x'", {"supplier": {}}),  # a missing one
        ("lines.exists(l, true)", {"lines": [1]}),  # no objects
        ("amount > 1", {}),  # nothing at all
    ],
)
def test_a_value_of_another_type_is_never_quietly_false(text: str, values: dict[str, object]) -> None:
    expression = compile_condition(text, SCOPE)
    with pytest.raises(EvaluationFailed, match="line 1, column"):
        evaluate(expression, values)


def test_an_int_may_stand_for_a_decimal_and_a_tuple_for_a_list() -> None:
    assert evaluate(compile_condition("amount > 1 && 'a' in tags", SCOPE), {"amount": 2, "tags": ("a",)}) is True


@pytest.mark.parametrize(
    ("text", "expect", "value"),
    [
        ("amount * 0.19", DECIMAL, Decimal("1140.019")),  # an exact product
        ("days", DECIMAL, Decimal(7)),  # an int where a decimal is wanted
        ("1 / 3.0", DECIMAL, Decimal("0." + "3" * 34)),  # the stated precision
        ("2.0 / 3", DECIMAL, Decimal("0." + "6" * 33 + "7")),  # half to even at its end
        ("-0.0", DECIMAL, Decimal(0)),  # no negative zero
        ("-0." + "1" * 38, DECIMAL, Decimal("-0." + "1" * 38)),  # a sign costs no digits
        ("-(amount * 0." + "1" * 37 + ")", DECIMAL, Decimal("-666.677777777777777777777777777777777711110")),
        ("size(tags) + 1", INT, 3),
        ("department + '-1'", STRING, "it-1"),
        ("tags.map(t, size(t))", list_of(INT), (1, 2)),
        ("lines.map(l, l.price)", list_of(DECIMAL), (Decimal("0.1"), Decimal("0.2"))),
        ("urgent ? start : date('2026-03-01')", DATE, date(2026, 3, 1)),
        ("timestamp('2026-03-01T00:30:00.25+01:00')", TIMESTAMP, datetime(2026, 2, 28, 23, 30, 0, 250000, tzinfo=UTC)),
    ],
)
def test_other_results_than_a_bool_can_be_asked_for(text: str, expect: Type, value: object) -> None:
    result = evaluate(compile_condition(text, SCOPE, expect=expect), VALUES)
    assert (result, type(result)) == (value, type(value))


def test_an_expression_is_plain_json_with_typed_nodes() -> None:
    expression = compile_condition("amount > 5000", SCOPE)
    assert json.loads(json.dumps(expression.ast)) == {
        "op": "gt",
        "type": "bool",
        "at": 7,
        "args": [
            {"op": "name", "type": "decimal", "at": 0, "args": [], "name": "amount"},
            {"op": "literal", "type": "decimal", "at": 9, "args": [], "value": "5000"},
        ],
    }
    adapter = TypeAdapter(Expression)
    again = adapter.validate_json(adapter.dump_json(expression))
    assert again == expression
    assert hash(again) == hash(expression)
    assert evaluate(again, VALUES) is True
    assert adapter.dump_json(expression) == adapter.dump_json(again)  # what evaluation derived is no part of it


def test_an_expression_names_what_it_reads() -> None:
    expression = compile_condition("lines.exists(l, l.price > limit) || urgent", SCOPE)
    assert expression.names == {"lines", "limit", "urgent"}


@pytest.mark.parametrize("of", [*SCOPE.values(), list_of(list_of(BOOL))])
def test_a_type_is_read_back_from_its_description(of: Type) -> None:
    assert type_from(json.loads(json.dumps(of.described()))) == of


@pytest.mark.parametrize(
    "ast",
    [
        {},  # nothing
        {"op": "exec", "type": "bool", "at": 0, "args": []},  # an unknown operation
        {"op": "gt", "type": "bool", "at": 0, "args": [1, 2]},  # no nodes
        {"op": "literal", "type": "decimal", "at": 0, "args": [], "value": "x"},  # no number
        {"op": "not", "type": "bool", "at": 0, "args": []},  # no operand
    ],
)
def test_a_stored_tree_of_another_form_fails_as_an_evaluation(ast: dict[str, object]) -> None:
    with pytest.raises(EvaluationFailed, match="compile its text again"):
        evaluate(Expression(source="x", ast=ast), {})


def test_evaluation_needs_neither_the_parser_nor_a_native_module() -> None:
    code = (
        "import sys; from placet.expressions import evaluate, Expression; "
        "tree = {'op': 'literal', 'type': 'bool', 'at': 0, 'args': [], 'value': True}; "
        "assert evaluate(Expression(source='true', ast=tree), {}); "
        "assert not [name for name in sys.modules if name.startswith(('cel_expr', 'google'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)

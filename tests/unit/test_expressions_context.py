"""Moments, lists, texts, numbers and the requester in expressions, and how each fails."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from placet.definition.variables import Variable, scope_of, values_of
from placet.directory import Person
from placet.errors import BlueprintInvalid, ConditionInvalid, EvaluationFailed
from placet.expressions import compile_condition, compile_expression, evaluate
from placet.expressions.types import NOW, REQUESTER, ZONE
from placet.plan.calendar_compiler import zone_offsets
from tests.unit.core import START, Case, blueprint, graph, office, plan_of

VARIABLES = [
    Variable(name="amount", type="decimal"),
    Variable(name="count", type="integer"),
    Variable(name="day", type="date"),
    Variable(name="at", type="datetime"),
    Variable(name="note", type="string"),
    Variable.model_validate({"name": "prices", "type": "list", "items": {"type": "decimal"}}),
    Variable.model_validate({"name": "counts", "type": "list", "items": {"type": "integer"}}),
]
GIVEN = {
    "amount": "2.5",
    "count": 7,
    "day": "2026-03-28",
    "at": "2026-03-29T00:59:59Z",
    "note": "Größe XL",
    "prices": ["1.10", "2.20"],
    "counts": [3, 4],
}
FACTS = {"id": "rita", "department": "it", "manager": "mo", "managers": 3, "groups": ("finance",), "roles": ()}
BERLIN = zone_offsets("Europe/Berlin", START)


def value(text: str, **more: Any) -> object:
    expression = compile_expression(text, scope_of(VARIABLES))
    world = {NOW: datetime(2026, 3, 29, 22, 30, tzinfo=UTC), ZONE: BERLIN, REQUESTER: FACTS}
    return evaluate(expression, {**values_of(VARIABLES, {**GIVEN, **more}), **world})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # half an hour past midnight in summer time
        ("today()", date(2026, 3, 30)),
        ("now()", datetime(2026, 3, 29, 22, 30, tzinfo=UTC)),
        ("today() - day", 2),
        ("day - today()", -2),
        ("day + 4", date(2026, 4, 1)),
        ("day - 28", date(2026, 2, 28)),
        ("daysBetween(day, today())", 2),
        ("hoursBetween(at, now())", Decimal("21.50027777777777777777777777777778")),
        ("at + 1.5", datetime(2026, 3, 29, 2, 29, 59, tzinfo=UTC)),
        ("at - 2", datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC)),
        ("weekday(day)", 6),
        ("weekday(now())", 1),
        ("month(now())", 3),
        ("year(day)", 2026),
        ("day(day + 4)", 1),
        # a second before the clocks go on: from 1:59:59 to 3
        ("hour(at)", 1),
        ("hour(at + 1)", 3),
        ("at.minute()", 59),
        ("date(at)", date(2026, 3, 29)),
        ("timestamp(date(at))", datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ('date("2026-01-31")', date(2026, 1, 31)),
        ("sum(prices)", Decimal("3.30")),
        ("sum(counts)", 7),
        ("sum(prices.filter(p, p > 5.0))", Decimal(0)),
        ("max(counts)", 4),
        ("min(count, 3)", 3),
        ("max(amount, 3)", Decimal(3)),
        ("max(count, 1, 9, 2)", 9),
        ('min("b", "a")', "a"),
        ("round(amount)", Decimal(3)),
        ("round(-amount)", Decimal(-3)),
        ("round(amount * 1.11, 1)", Decimal("2.8")),
        ("round(7)", Decimal(7)),
        ("int(round(amount))", 3),
        ("int('-12')", -12),
        ("decimal('1.50')", Decimal("1.50")),
        ("decimal(count) / 2", Decimal("3.5")),
        ("string(amount) + string(count) + string(true) + string(day)", "2.57true2026-03-28"),
        ('lower(note) == "größe xl"', True),
        ("note.lower().contains('xl')", True),
        ("requester.department", "it"),
        ('"finance" in requester.groups && requester.managers > 2', True),
        ("requester.id", "rita"),
        ("has(requester.department)", True),
        ("requester.roles.exists(r, r == 'cfo')", False),
    ],
)
def test_an_expression_computes(text: str, expected: object) -> None:
    found = value(text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("int(note)", {"note": "12a"}, "whole number"),
        ("int(note)", {"note": "9223372036854775808"}, "64 bits"),
        ("int(note)", {"note": "١٢"}, "whole number"),
        ("int(amount)", {}, "not whole"),
        ("decimal(note)", {"note": "1,5"}, "plain decimal"),
        ("max(prices)", {"prices": []}, "empty"),
        ("day + 9000000", {}, "no such day"),
        ("at + 100000000", {}, "no such moment"),
        ("sum(counts)", {"counts": [2**62, 2**62]}, "64 bits"),
        ("requester.manager == requester.department", {}, None),
    ],
)
def test_what_has_no_result_fails_with_a_reason(text: str, given: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert value(text, **given) is False
        return
    with pytest.raises(EvaluationFailed, match=words) as failed:
        value(text, **given)
    assert failed.value.message.startswith("line 1, column ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("today(1) == day", "takes no arguments"),
        ("lower(count) == 'x'", "lower() does not take int"),
        ("round(amount, count) > 1.0", "as a number from 0 to 12"),
        ("day + 1.5 == day", "mixes"),
        ("requester == 'rita'", "mixes"),
        ("requester.salary > 1", "unknown field 'salary'"),
        ("sum(note) > 1", "sum() does not take string"),
        ("hour(day) > 1", "hour() does not take date"),
        ("date(note) > day", "quoted text"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_would(text: str, words: str) -> None:
    with pytest.raises(ConditionInvalid) as refused:
        compile_condition(text, scope_of(VARIABLES))
    assert words in refused.value.message


def test_a_variable_called_requester_is_the_variable() -> None:
    variables = [Variable(name="requester", type="string")]
    expression = compile_condition('requester == "x"', scope_of(variables))
    assert expression.names == {"requester"}
    assert evaluate(expression, {"requester": "x"}) is True


def test_without_a_moment_or_a_requester_the_evaluation_fails() -> None:
    for text in ("now() > at", "today() > day", "requester.managers > 1"):
        expression = compile_condition(text, scope_of(VARIABLES))
        with pytest.raises(EvaluationFailed, match="known"):
            evaluate(expression, values_of(VARIABLES, GIVEN))


# In a process


def deciding(condition: str, *, before: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a process that decides by a condition, once what comes before it is over."""
    nodes: dict[str, dict[str, Any]] = {"d": {"type": "decision"}} | ({"b": before} if before else {})
    drawn = graph(*(["start -> b", "b -> d"] if before else ["start -> d"]), nodes=nodes)
    drawn["edges"] += [
        {"from": "d", "to": "approved", "condition": condition},
        {"from": "d", "to": "rejected", "default": True},
    ]
    steps = [{}] if before and "step" in before else []
    return {**blueprint(*steps, **more), "graph_spec": drawn}


def test_the_moment_is_that_at_which_the_node_is_entered() -> None:
    raw = deciding("now() > timestamp('2026-03-02T10:00:00Z')", before={"step": "Stage 1"})
    late, early = Case(plan_of(raw), office(), twice=True), Case(plan_of(raw), office())
    late.hours(2)
    for case in (late, early):
        case.decide("mo")
    assert (late.state.outcome, early.state.outcome) == ("approved", "rejected")
    [routed] = late.of_kind("routed")
    assert routed.at == START + timedelta(hours=2)


def test_the_day_is_that_of_the_processs_zone() -> None:
    condition = "today() == date('2026-03-02')"
    assert Case(plan_of(deciding(condition)), office()).state.outcome == "approved"
    far = deciding(condition, settings={"timezone": "Pacific/Kiritimati"})  # at 9:00 UTC it is 23:00 there
    assert Case(plan_of(far), office()).state.outcome == "approved"
    farther = deciding("hour(now()) == 23 && weekday(today()) == 1", settings={"timezone": "Pacific/Kiritimati"})
    assert Case(plan_of(farther), office()).state.outcome == "approved"


def test_a_wait_may_count_from_the_moment_it_begins() -> None:
    wait = {"w": {"type": "wait", "until": "today() + 2"}}
    raw = {**blueprint(), "graph_spec": graph("start -> w", "w -> approved", nodes=wait, ends=("approved",))}
    case = Case(plan_of(raw), office(), twice=True)
    assert [wait.until for wait in case.state.waits] == [datetime(2026, 3, 4, tzinfo=UTC)]


def test_an_action_is_given_what_is_computed_when_it_begins() -> None:
    look = {"type": "action", "action": "look", "input": {"due": {"expr": "now() + 1.5"}}}
    raw = {**blueprint(), "graph_spec": graph("start -> l", "l -> approved", nodes={"l": look}, ends=("approved",))}
    case = Case(plan_of(raw), office())
    assert [call.input for call in case.state.actions] == [{"due": "2026-03-02T10:30:00Z"}]


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("requester.department == 'sales'", "approved"),
        ("'buyers' in requester.groups && !('cfo' in requester.roles)", "approved"),
        ("requester.managers == 3 && requester.manager == 'mo'", "approved"),
        ("requester.department == 'it'", "rejected"),
    ],
)
def test_facts_about_the_requester_come_from_the_directory(condition: str, outcome: str) -> None:
    rita = Person(id="rita", manager="mo", department="sales", groups=("buyers",))
    assert Case(plan_of(deciding(condition)), office(rita=rita), twice=True).state.outcome == outcome


def test_the_directory_is_read_anew_where_it_is_asked() -> None:
    raw = deciding("requester.department == 'sales'", before={"step": "Stage 1"})
    case = Case(plan_of(raw), office())
    case.org = office(rita=Person(id="rita", manager="mo", department="sales"))
    case.hours(2)
    case.decide("mo")
    assert case.state.outcome == "approved"


def asking(expr: Any, **more: Any) -> dict[str, Any]:
    variables = [
        {"name": "amount", "type": "decimal", "required": True},
        {"name": "sponsor", "type": "string"},
        {"name": "others", "type": "list", "items": {"type": "string"}},
    ]
    return blueprint({"approvers": [expr], **more}, variables=variables)


CHOOSE = {"expr": "amount > 1000 ? 'role:cfo' : sponsor != null ? sponsor : 'manager_of(requester)'"}


@pytest.mark.parametrize(
    ("expr", "given", "asked"),
    [
        (CHOOSE, {"amount": 5000}, ["cfo"]),
        (CHOOSE, {"amount": 5}, ["mo"]),
        (CHOOSE, {"amount": 5, "sponsor": "ann"}, ["ann"]),
        ({"expr": "['user:ann', 'user:ben']"}, {"amount": 5}, ["ann", "ben"]),
        ({"expr": "amount > 10 ? others : ['user:ann']"}, {"amount": 50, "others": ["ben", "cid"]}, ["ben", "cid"]),
        ({"expr": "requester.managers > 2 ? 'user:dh' : 'user:ceo'", "weight": 2}, {"amount": 5}, ["dh"]),
        ({"expr": "hour(now()) < 12 ? 'user:ann' : 'user:ben'"}, {"amount": 5}, ["ann"]),
    ],
)
def test_an_expression_chooses_the_approvers(expr: Any, given: dict[str, Any], asked: list[str]) -> None:
    case = Case(plan_of(asking(expr)), office(), input=given, twice=True)
    assert [task.assignee for task in case.state.open_tasks] == asked
    assert not case.of_kind("approver_missing")


def test_where_the_choice_fails_somebody_stands_in_and_it_is_on_record() -> None:
    case = Case(plan_of(asking({"expr": "sponsor == 'x' ? 'user:ann' : 'user:ben'"})), office(), input={"amount": 5})
    assert [task.assignee for task in case.state.open_tasks] == ["olivia"]
    [missing] = case.of_kind("approver_missing")
    assert missing.detail["why"]["code"] == "approvers_not_chosen"


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        ("'user:' + sponsor", "gives names"),
        ("amount", "gives names"),
        ("amount > 1 ? 'no such thing!' : 'user:ann'", "line 1, column 14"),
        ("amount > ", "ends too early"),
        ("'assignee'", "has no assignee"),
        (f"[{', '.join(repr(f'user:p{n}') for n in range(21))}]", "at most 20 names"),
    ],
)
def test_an_expression_that_gives_no_names_is_refused_at_its_place(expr: str, words: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        plan_of(asking({"expr": expr}))
    assert [problem.pointer for problem in refused.value.problems] == ["/process_steps/0/approvers/0/expr"]
    assert words in refused.value.problems[0].message


def test_a_table_decides_by_moments_too() -> None:
    table = {
        "inputs": ["weekday(today())", "requester.managers"],
        "rules": [{"when": ["<= 5", ">= 3"], "to": "approved"}],
        "default": "rejected",
    }
    drawn = graph("start -> d", nodes={"d": {"type": "decision", "table": table}})
    assert Case(plan_of({**blueprint(), "graph_spec": drawn}), office(), twice=True).state.outcome == "approved"

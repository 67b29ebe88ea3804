"""DMN decision tables become decisions of a blueprint that decide the same."""

from __future__ import annotations

import time
from typing import Any

import pytest

from placet.definition.bpmn import import_bpmn, import_dmn
from placet.errors import BlueprintInvalid
from tests.unit.bpmn_files import ACTIONS, Play, bpmn, end, flows, gateway, said_of, sound, step, task, told
from tests.unit.bpmn_files import START_EVENT as S

HEAD = '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="D">'


def text(value: str) -> str:
    return f"<text>{value.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</text>"


def table(
    inputs: dict[str, str],
    outputs: dict[str, str],
    *rules: tuple[str, ...],
    policy: str = "",
    values: str = "",
    **more: str,
) -> str:
    """Return a table: `inputs` and `outputs` are types by expression and by name, a rule has a cell for each."""
    attributes = f'hitPolicy="{policy}"' if policy else ""
    attributes += "".join(f' {key}="{value}"' for key, value in more.items())
    rows = [
        f'<rule id="r{n}">'
        + "".join(f'<inputEntry id="i{n}-{k}">{text(cell)}</inputEntry>' for k, cell in enumerate(rule[: len(inputs)]))
        + "".join(
            f'<outputEntry id="o{n}-{k}">{text(cell)}</outputEntry>' for k, cell in enumerate(rule[len(inputs) :])
        )
        + "</rule>"
        for n, rule in enumerate(rules, 1)
    ]
    asked = [
        f'<input id="in{n}"><inputExpression id="ie{n}" typeRef="{kind}">{text(name)}</inputExpression></input>'
        for n, (name, kind) in enumerate(inputs.items())
    ]
    allowed = f"<outputValues>{text(values)}</outputValues>" if values else ""
    given = [
        f'<output id="out-{name}" name="{name}" typeRef="{kind}">{allowed}</output>' for name, kind in outputs.items()
    ]
    return f'<decisionTable id="t" {attributes}>{"".join([*asked, *given, *rows])}</decisionTable>'


def decision(logic: str, ident: str = "level", name: str = "Level", requires: tuple[str, ...] = ()) -> str:
    links = "".join(
        f'<informationRequirement id="{ident}-{one}"><requiredDecision href="#{one}"/></informationRequirement>'
        for one in requires
    )
    return f'<decision id="{ident}" name="{name}">{links}{logic}</decision>'


def dmn(*decisions: str) -> bytes:
    return f"{HEAD}{''.join(decisions)}</definitions>".encode()


def played(logic: str, **given: Any) -> Play:
    """Import one decision, see that it is sound, and play a request of it."""
    found = import_dmn(dmn(decision(logic)))
    sound(found)
    return Play(found, given)


AMOUNT = {"amount": "number"}
LEVEL = {"level": "string"}


@pytest.mark.parametrize(
    ("amount", "level"), [("1000", "manager"), ("1000.01", "director"), ("9999", "director"), ("10000", "board")]
)
@pytest.mark.parametrize("policy", ["", "UNIQUE", "ANY", "FIRST"])
def test_the_rule_that_fits_says_what_it_comes_to(policy: str, amount: str, level: str) -> None:
    rules = (("<= 1000", '"manager"'), ("(1000..10000)", '"director"'), (">= 10000", '"board"'))
    play = played(table(AMOUNT, LEVEL, *rules, policy=policy), amount=amount)
    assert (play.case.state.input["level"], play.outcome) == (level, level)


def test_the_table_keeps_its_hit_policy_inputs_and_rules() -> None:
    found = import_dmn(
        dmn(
            decision(
                table(
                    {"kind": "string", **AMOUNT}, LEVEL, ('"a","b"', "[1..5]", '"x"'), ("-", "-", '"y"'), policy="FIRST"
                )
            )
        )
    )
    node = next(node for node in found.blueprint["graph_spec"]["nodes"] if "table" in node)
    made = node["table"]
    assert (made["hit_policy"], made["inputs"]) == ("first", ["kind", "amount"])
    assert [rule["when"] for rule in made["rules"]] == [['in ["a", "b"]', [">= 1", "<= 5"]], [None, None]]
    assert {left.kind for left in found.left} == {"mapped"}
    assert len(found.left) == len({left.id for left in found.left}) == 15


@pytest.mark.parametrize(
    ("cell", "kind", "value", "fits"),
    [
        ('not("a")', "string", "b", True),
        ('not("a", "b")', "string", "b", False),
        ("<5, >10", "number", "12", True),
        ("<5, >10", "number", "7", False),
        ("? > 5 and ? < 7", "number", "6", True),
        ("true", "boolean", True, True),
        ('> date("2026-01-01")', "date", "2026-01-02", True),
        ("> limit * 2", "number", "9", True),
        ("> limit * 2", "number", "7", False),
    ],
)
def test_unary_tests_mean_the_same(cell: str, kind: str, value: Any, fits: bool) -> None:
    limit = {"limit": "4"} if "limit" in cell else {}
    play = played(table({"x": kind}, LEVEL, (cell, '"yes"'), ("-", '"no"'), policy="FIRST"), x=value, **limit)
    assert play.outcome == ("yes" if fits else "no")


@pytest.mark.parametrize(
    ("cell", "absent", "fits", "other"),  # the outcome where the amount is absent, one that fits, and one that does not
    [
        ("not(< 5)", "second", "7", "3"),
        ("5", "second", "5", "3"),
        ("5, 7", "second", "7", "3"),
        ("[4..8]", "second", "4", "3"),
        ("? > 5 and ? < 8", "second", "6", "8"),
        ("not(null)", "second", "6", None),
        # An absent value is another one than 5.
        ("not(5)", "first", "3", "5"),
        ("not(5, 7)", "first", "3", "7"),
        ("5, null", "first", "5", "3"),
        ("< 5, null", "first", "3", "5"),
    ],
)
def test_a_rule_about_what_is_absent_fits_as_it_does_in_dmn(
    cell: str, absent: str, fits: str, other: str | None
) -> None:
    logic = table(AMOUNT, LEVEL, (cell, '"first"'), ("null", '"second"'), policy="FIRST")
    assert played(logic).outcome == absent
    assert played(logic, amount=fits).outcome == "first"
    if other is not None:
        assert played(logic, amount=other).outcome == "completed"
    if absent == "second":
        assert "lost" not in {left.kind for left in import_dmn(dmn(decision(logic))).left}


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2026-01-01T00:00:00", True),
        ("2026-01-01T00:00:00.5+01:00", False),
        ("2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:00:00+0100", False),
    ],
)
@pytest.mark.parametrize("policy", ["UNIQUE", "COLLECT"])
def test_a_moment_without_an_offset_is_told_to_be_in_utc(moment: str, told: bool, policy: str) -> None:
    logic = table({"at": "dateTime"}, LEVEL, (f'> date and time("{moment}")', '"a"'), policy=policy)
    assert ("taken as UTC" in said_of(import_dmn(dmn(decision(logic))), "r1")) is told


@pytest.mark.parametrize("kind", ["exclusive", "inclusive"])
def test_so_is_one_in_a_condition_and_in_a_timer(kind: str) -> None:
    timer = "<timerEventDefinition><timeDate>2026-02-01T08:00:00</timeDate></timerEventDefinition>"
    catch = f'<intermediateCatchEvent id="t">{timer}</intermediateCatchEvent>'
    drawn = flows(
        "s -> t", "t -> g", 'g -> a ? = at > date and time("2026-01-01T00:00:00")', "g -> b", "a -> e", "b -> e"
    )
    split = gateway("g", kind=kind, default="g-b")
    found = import_bpmn(bpmn(S + catch + split + task("a") + task("b") + end("e") + drawn), actions=ACTIONS)
    assert "taken as UTC" in said_of(found, "t")
    assert "taken as UTC" in said_of(found, "g-a")


def test_what_is_collected_of_what_is_absent_is_computed_too() -> None:
    rules = (("> 5", "1"), ("null", "2"), ("not(5)", "4"))
    found = import_dmn(dmn(decision(table(AMOUNT, {"fee": "number"}, *rules, policy="COLLECT", aggregation="SUM"))))
    sound(found)
    given: list[tuple[dict[str, str], str]] = [({}, "6"), ({"amount": "7"}, "5"), ({"amount": "5"}, "0")]
    assert [Computed(found, values)["fee"] for values, _ in given] == [fee for _, fee in given]


def test_where_no_rule_fits_nothing_is_set() -> None:
    play = played(table(AMOUNT, LEVEL, ("> 5", '"x"')), amount="1")
    assert ("level" in play.case.state.input, play.outcome) == (False, "completed")


def test_rules_of_a_priority_table_count_in_the_order_of_its_output_values() -> None:
    rules = (("> 1", '"low"'), ("> 5", '"high"'))
    logic = table(AMOUNT, LEVEL, *rules, policy="PRIORITY", values='"high","low"')
    assert [played(logic, amount=amount).outcome for amount in ("9", "3")] == ["high", "low"]


@pytest.mark.parametrize(
    ("aggregation", "amounts"),
    [
        ("SUM", {"9": "15", "3": "5", "0": "0"}),
        ("COUNT", {"9": "2", "0": "0"}),
        ("MAX", {"9": "10", "3": "5"}),
        ("MIN", {"9": "5", "3": "5"}),
    ],
)
def test_what_is_collected_is_computed(aggregation: str, amounts: dict[str, str]) -> None:
    logic = table(AMOUNT, {"fee": "number"}, ("> 1", "5"), ("> 5", "10"), policy="COLLECT", aggregation=aggregation)
    found = import_dmn(dmn(decision(logic)))
    sound(found)
    for amount, fee in amounts.items():
        text_of = str(found.blueprint)
        if aggregation in {"SUM", "COUNT"}:
            assert "? " in text_of
            assert Computed(found, {"amount": amount})["fee"] == fee
        else:
            assert str(Play(found, {"amount": amount}).case.state.input["fee"]) == fee


def test_what_is_collected_without_an_aggregation_is_a_list() -> None:
    logic = table(AMOUNT, {"who": "string"}, ("> 1", '"a"'), ("> 5", '"b"'), policy="COLLECT")
    found = import_dmn(dmn(decision(logic)))
    sound(found)
    assert Computed(found, {"amount": "9"})["who"] == ["a", "b"]
    assert Computed(found, {"amount": "3"})["who"] == ["a"]


def test_several_outputs_are_set_each_and_what_is_computed_is() -> None:
    logic = table(AMOUNT, {"fee": "number", "note": "string"}, ("> 1", "amount * 2", '"x"'), ("<= 1", "0.5", '"y"'))
    found = import_dmn(dmn(decision(logic)))
    sound(found)
    assert Computed(found, {"amount": "3"}) == {"amount": "3", "fee": "6", "note": "x"}
    assert Computed(found, {"amount": "1"}) == {"amount": "1", "fee": "0.5", "note": "y"}


def test_a_decision_comes_after_those_that_it_requires_and_names_have_spaces() -> None:
    season = decision(
        table({"Guest Count": "number"}, {"size": "string"}, ("> 8", '"big"'), ("<= 8", '"small"')), "s", "Party Size"
    )
    dish = decision(
        table({"Party Size": "string"}, {"dish": "string"}, ('"big"', '"stew"'), ('"small"', '"fish"')),
        "dish",
        "Dish",
        ("s",),
    )
    season = season.replace('name="size"', 'name="Party Size"')
    data = '<inputData id="g" name="Guest Count"><variable id="gv" name="Guest Count" typeRef="number"/></inputData>'
    found = import_dmn(dmn(data, dish, season))
    sound(found)
    assert Play(found, {"guest_count": "9"}).outcome == "stew"
    assert found.blueprint["name"] == "Dish"


class Computed(dict[str, Any]):
    """What a request's variables are at its end, computed by the production code."""

    def __init__(self, found: Any, given: dict[str, Any]) -> None:
        super().__init__(Play(found, given).case.state.input)


@pytest.mark.parametrize(
    ("logic", "says"),
    [
        (table(AMOUNT, LEVEL, ("f(amount)", '"x"')), "'f'"),
        (table({"f(x)": "number"}, LEVEL, ("1", '"x"')), "'f'"),
        (table(AMOUNT, LEVEL, ("> 1", '"x"'), policy="COLLECT", aggregation="MIN"), "numbers only"),
        (table(AMOUNT, LEVEL, ("> 1", '"x"'), policy="PRIORITY"), "order"),
        (table(AMOUNT, LEVEL, ("> 1", '"x"'), policy="SOME"), "SOME"),
        (table(AMOUNT, LEVEL, ("> 1",)), "one entry for each"),
        ("<context/>", "only tables and expressions"),
        (table(AMOUNT, LEVEL, ('"a"', '"x"'), ("> 1", '"y"')), "not comparable"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_name_of_dmn(logic: str, says: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        import_dmn(dmn(decision(logic)))
    assert [problem.pointer for problem in refused.value.problems] == ["/dmn"]
    assert refused.value.message.startswith("the DMN decision 'Level' cannot be taken over: ")
    assert says in refused.value.message


@pytest.mark.parametrize("content", [b"", b"<a/>", b"no", bpmn(S), dmn(), dmn(decision("", "a"), decision("", "b"))])
def test_what_is_no_single_decision_is_refused(content: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BlueprintInvalid) as refused:
        import_dmn(content)
    assert time.process_time() - began < 10
    assert [problem.pointer for problem in refused.value.problems] == ["/dmn"]


def test_which_of_several_decisions_is_meant_can_be_said() -> None:
    one = decision(table(AMOUNT, LEVEL, ("> 1", '"x"')), "a", "A")
    other = decision(table(AMOUNT, LEVEL, ("> 1", '"y"')), "b", "B")
    found = import_dmn(dmn(one, other), decision="B")
    assert Play(found, {"amount": "2"}).outcome == "y"
    assert told(found)["a"] == "lost"


def test_large_tables_and_many_conditions_take_bounded_work() -> None:
    began = time.process_time()
    rules = [(*(f"> {row + column}" for column in range(20)), f'"{row % 7}"') for row in range(400)]
    found = import_dmn(dmn(decision(table({f"i{n}": "number" for n in range(20)}, LEVEL, *rules, policy="FIRST"))))
    assert len(next(n for n in found.blueprint["graph_spec"]["nodes"] if "table" in n)["table"]["rules"]) == 400
    drawn = [f"x{n} -> x{n + 1} ? ${{a * b * c + d > e * {n} && (f / g > h || q > {n})}}" for n in range(59)]
    drawn += [f"x{n} -> e ? ${{a * {n} > b * c}}" for n in range(60)]
    gates = "".join(gateway(f"x{n}") for n in range(60))
    import_bpmn(bpmn(S + gates + end("e") + flows("s -> x0", *drawn)), actions=ACTIONS)
    assert time.process_time() - began < 60


# Behind a business rule task


def rule_task(ident: str, inner: str = "", **attributes: str) -> str:
    written = " ".join(f'camunda:{key}="{value}"' for key, value in attributes.items())
    inside = f"<extensionElements>{inner}</extensionElements>" if inner else ""
    return f'<businessRuleTask id="{ident}" {written}>{inside}</businessRuleTask>'


RULES = decision(table(AMOUNT, {"level": "string"}, ("<= 1000", '"manager"'), ("> 1000", '"board"')))


@pytest.mark.parametrize(
    "ruled",
    [
        rule_task("b", decisionRef="level", resultVariable="who", mapDecisionResult="singleEntry"),
        rule_task("b", '<zeebe:calledDecision decisionId="level" resultVariable="who"/>'),
    ],
)
def test_a_business_rule_task_is_its_decision(ruled: str) -> None:
    inside = (
        S
        + ruled
        + gateway("x", "Who?")
        + task("m")
        + task("c")
        + end("e", "done")
        + flows("s -> b", "b -> x", "x -> m ? ${who == 'manager'}", "x -> c ? ${who == 'board'}", "m -> e", "c -> e")
    )
    found = import_bpmn(bpmn(inside), dmn=[dmn(RULES)], actions=ACTIONS)
    sound(found)
    assert Play(found, {"amount": "5"}).asked == ["m"]
    assert Play(found, {"amount": "5000"}).asked == ["c"]
    assert told(found) == {"m": "assumed", "c": "assumed", "x": "assumed"} or "b" not in told(found)


def test_a_result_with_members_is_read_by_them() -> None:
    inside = (
        S + '<businessRuleTask id="b" camunda:decisionRef="level" camunda:resultVariable="r" '
        'camunda:mapDecisionResult="singleResult"/>'
        + gateway("x")
        + task("m")
        + end("e", "done")
        + flows("s -> b", "b -> x", "x -> m ? ${r.level == 'board'}", "x -> e ? ${r.level == 'manager'}", "m -> e")
    )
    found = import_bpmn(bpmn(inside), dmn=[dmn(RULES)], actions=ACTIONS)
    sound(found)
    assert Play(found, {"amount": "5000"}).asked == ["m"]
    assert Play(found, {"amount": "5"}).outcome == "done"


def test_a_business_rule_task_without_its_file_is_lost_loudly() -> None:
    found = import_bpmn(
        bpmn(S + '<businessRuleTask id="b" camunda:decisionRef="level"/>' + end("e") + flows("s -> b", "b -> e"))
    )
    assert said_of(found, "b").startswith("lost: its rules 'level' are in a DMN file of their own")


def test_a_decision_that_cannot_be_said_names_dmn_behind_a_task_too() -> None:
    inside = S + '<businessRuleTask id="b" camunda:decisionRef="level"/>' + end("e") + flows("s -> b", "b -> e")
    with pytest.raises(BlueprintInvalid, match="the DMN decision 'Level' cannot be taken over"):
        import_bpmn(bpmn(inside), dmn=[dmn(decision("<context/>"))], actions=ACTIONS)


def test_steps_are_none_of_a_decision() -> None:
    assert import_dmn(dmn(RULES)).blueprint["process_steps"] == []
    with pytest.raises(StopIteration):
        step(import_dmn(dmn(RULES)), "x")

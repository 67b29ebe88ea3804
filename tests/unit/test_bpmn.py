"""BPMN files become blueprints that compile, and what does not map is said."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.actions.builtin import BUILT_IN
from placet.actions import ActionSpec
from placet.blueprint import parse_blueprint
from placet.bpmn import Imported, import_bpmn
from placet.bpmn.words import condition_of, hours_of, slug, verdict
from placet.errors import BlueprintInvalid
from placet.plan import compile_plan

INVOICE = (Path(__file__).parents[1] / "data" / "bpmn" / "invoice.bpmn").read_bytes()
NOW = datetime(2026, 1, 5, tzinfo=UTC)
PAY = ActionSpec(name="pay_invoice", executor="http", is_idempotent=True, latency_class="fast")
ACTIONS = {spec.name: spec for spec in (*BUILT_IN, PAY)}
_HEAD = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p" name="P">'


def process(inside: str, **given: Any) -> Imported:
    """Import one process whose elements are these, and see that it compiles."""
    found = import_bpmn(f"{_HEAD}{inside}</process></definitions>".encode(), actions=ACTIONS, **given)
    compile_plan(parse_blueprint(found.blueprint), start=NOW, actions=ACTIONS)
    return found


def flow(source: str, target: str, name: str = "", condition: str = "") -> str:
    inner = f"<conditionExpression>{condition}</conditionExpression>" if condition else ""
    ident = f"{source}-{target}"
    return f'<sequenceFlow id="{ident}" name="{name}" sourceRef="{source}" targetRef="{target}">{inner}</sequenceFlow>'


def told(found: Imported) -> dict[str, str]:
    return {left.id: left.kind for left in found.left}


def ways(found: Imported) -> set[tuple[Any, ...]]:
    edges = found.blueprint["graph_spec"]["edges"]
    return {
        (e["from"], e["to"], e.get("on") or e.get("condition") or ("default" if e.get("default") else ""))
        for e in edges
    }


def test_whole_process_maps_and_compiles() -> None:
    found = import_bpmn(INVOICE, version="2.1.0", actions=ACTIONS)
    blueprint = found.blueprint
    compile_plan(parse_blueprint(blueprint), start=NOW, actions=ACTIONS)
    assert (blueprint["name"], blueprint["version"]) == ("Invoice approval", "2.1.0")
    assert blueprint["variables"] == [
        {"name": "amount", "type": "decimal", "required": True},
        {"name": "currency", "type": "string", "required": True},
    ]
    assert blueprint["process_steps"] == [
        {"stage_name": "Check invoice", "approvers": ["role:finance_team"], "sla_hours": 60.0, "final": "expire"},
        {"stage_name": "Legal review", "approvers": ["group:legal", "group:counsel"]},
        {"stage_name": "Audit invoice", "approvers": ["user:dora"]},
    ]
    nodes = {node["id"]: node for node in blueprint["graph_spec"]["nodes"]}
    assert {name: node["type"] for name, node in nodes.items()} == {
        "received": "trigger",
        "check": "approval",
        "amount": "decision",
        "refused": "terminator",
        "expired": "terminator",
        "both": "fork",
        "legal": "approval",
        "auditor": "approval",
        "together": "join",
        "cool": "wait",
        "pay": "action",
        "done": "terminator",
    }
    assert (nodes["check"]["x"], nodes["check"]["y"]) == (240.0, 80.5)
    assert (nodes["cool"]["hours"], nodes["pay"]["action"]) == (1.5, "pay_invoice")
    assert (nodes["done"]["outcome"], nodes["refused"]["outcome"]) == ("approved", "rejected")
    assert ways(found) == {
        ("received", "check", ""),
        ("check", "amount", "approved"),
        ("check", "refused", "rejected"),
        ("check", "expired", "expired"),
        ("amount", "both", 'amount >= 1000 && currency == "EUR"'),
        ("amount", "pay", "default"),
        ("both", "legal", ""),
        ("both", "auditor", ""),
        ("legal", "together", "approved"),
        ("legal", "refused", "rejected"),
        ("auditor", "together", "approved"),
        ("auditor", "refused", "rejected"),
        ("together", "cool", ""),
        ("cool", "pay", ""),
        ("pay", "done", ""),
    }
    assert told(found) == {"told": "lost", "legal": "assumed", "auditor": "assumed"}


def test_conditions_that_are_not_plain_become_a_choice_of_the_input() -> None:
    found = process(
        '<startEvent id="s"/><exclusiveGateway id="g" name="What now?"/><endEvent id="a" name="Ship"/>'
        '<endEvent id="b"/>'
        + flow("s", "g")
        + flow("g", "a", "By air", "${service.fast(x)}")
        + flow("g", "b", "By sea", "y")
    )
    (variable,) = found.blueprint["variables"]
    assert (variable["name"], variable["enum"]) == ("what_now", ["By air", "By sea"])
    assert ("g", "a", 'what_now == "By air"') in ways(found)
    assert told(found) == {"g": "assumed"}


def test_what_has_no_counterpart_is_listed_and_the_rest_goes_on() -> None:
    found = process(
        '<startEvent id="s"><messageEventDefinition/></startEvent><serviceTask id="t" name="Unknown thing"/>'
        '<callActivity id="c" name="Other" calledElement="other"/><inclusiveGateway id="i"/>'
        '<task id="u" name="Look"/><boundaryEvent id="e" attachedToRef="u"><errorEventDefinition/></boundaryEvent>'
        '<endEvent id="z"/><endEvent id="island"/>'
        + flow("s", "t")
        + flow("t", "c")
        + flow("c", "i")
        + flow("i", "u")
        + flow("i", "z")
        + flow("u", "z")
    )
    assert told(found) == {
        "s": "assumed",
        "t": "assumed",
        "c": "lost",
        "i": "assumed",
        "u": "assumed",
        "e": "lost",
        "island": "lost",
    }
    actions = [node["action"] for node in found.blueprint["graph_spec"]["nodes"] if node["type"] == "action"]
    assert actions == ["set_variables"]


def test_ways_without_a_gateway_are_parallel() -> None:
    found = process(
        '<startEvent id="s"/><userTask id="a"/><userTask id="b"/><parallelGateway id="j"/>'
        + flow("s", "a")
        + flow("s", "b")
        + flow("a", "j")
        + flow("b", "j")
    )
    kinds = [node["type"] for node in found.blueprint["graph_spec"]["nodes"]]
    assert sorted(kinds) == ["approval", "approval", "fork", "join", "terminator", "terminator", "trigger"]


def test_long_chains_and_circles_of_nothing_end() -> None:
    tasks = [f"t{n}" for n in range(290)]
    chain = "".join(f'<userTask id="{t}"/>' for t in tasks) + "".join(map(flow, ["s", *tasks], tasks))
    assert len(process(f'<startEvent id="s"/>{chain}').blueprint["process_steps"]) == 290
    circle = '<startEvent id="s"/><exclusiveGateway id="a"/><exclusiveGateway id="b"/>'
    found = process(circle + flow("s", "a") + flow("a", "b") + flow("b", "a"))
    assert [node["type"] for node in found.blueprint["graph_spec"]["nodes"]] == ["trigger", "terminator"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        b"<definitions/>",
        b"<a>" * 5000,
        _HEAD.encode() + b"<task/>" * 10 + b"</process></definitions>",
        _HEAD.encode() + b'<task id="a"/><task id="a"/></process></definitions>',
        _HEAD.encode() + b"</process></definitions>",
        _HEAD.encode() + b"".join(b'<task id="t%d"/>' % n for n in range(500)) + b"</process></definitions>",
        _HEAD.encode() + b"<x/>" * 30_000 + b"</process></definitions>",
        b"x" * 3_000_000,
        # entities that grow, and that reach elsewhere
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_hostile_file_is_refused_at_once(content: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BlueprintInvalid) as raised:
        import_bpmn(content)
    assert time.process_time() - began < 10
    assert [problem.pointer for problem in raised.value.problems] == ["/bpmn"]
    assert len(raised.value.message) < 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${amount > 5}", ("amount > 5", {"amount": "decimal"})),
        ("= amount = 5 and not late", ("amount == 5 && ! late", {"amount": "decimal", "late": "boolean"})),
        ("#{'a' == kind || (done)}", ('"a" == kind || ( done )', {"kind": "string", "done": "boolean"})),
        ("${a == b}", None),  # of what type?
        ("${a > 5 && a == 'x'}", None),
        ("${order.total > 5}", None),
        ("${exec('rm')}", None),
        ("amount > ", None),
        ("5 > 3", None),
        ("größe > 3", None),
        ("", None),
        ("(" * 5000, None),
    ],
)
def test_only_plain_conditions_are_taken_over(text: str, expected: object) -> None:
    assert condition_of(text) == expected


def test_words_are_read_as_people_write_them() -> None:
    assert [hours_of(t) for t in ("PT36H", "P1D", "PT30M", "P1W", "PT0S", "R3/PT1H", "x")] == [
        36,
        24,
        0.5,
        168,
        *[None] * 3,
    ]
    assert [verdict(t) for t in ("Yes", "nein", "Approved!", "Not approved", "perhaps", "")] == [
        "approved",
        "rejected",
        "approved",
        None,
        None,
        None,
    ]
    assert [slug(t, "-") for t in ("Größe prüfen", "5 Tage", "!!", "for")] == ["grosse_prufen", "x_5_tage", "-", "for_"]

"""BPMN files become blueprints that compile, and of every element it is said what became of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from placet.definition.bpmn import import_bpmn
from placet.definition.bpmn.file.words import asks, hours_from_now, hours_of, says, slug
from placet.definition.model import parse_definition
from placet.errors import BlueprintInvalid
from placet.plan.compiler import compile_plan
from tests.unit.bpmn_files import (
    ACTIONS,
    HEAD,
    NOW,
    Play,
    edges,
    end,
    flows,
    form,
    gateway,
    imported,
    said_of,
    sound,
    step,
    task,
    told,
)
from tests.unit.bpmn_files import START_EVENT as S

INVOICE = (Path(__file__).parents[1] / "data" / "bpmn" / "invoice.bpmn").read_bytes()
_HEAD = f'{HEAD}<process id="p" name="P">'
E = end("e", "done")


def one_task(inner: str = "", **attributes: str) -> Any:
    """Import a process of one task, which is `a`."""
    return imported(S + task("a", "A", inner, **attributes) + E + flows("s -> a", "a -> e"))


def test_whole_process_maps_and_compiles() -> None:
    found = import_bpmn(INVOICE, version="2.1.0", actions=ACTIONS)
    definition = found.blueprint
    compile_plan(parse_definition(definition), start=NOW, actions=ACTIONS)
    assert (definition["name"], definition["version"]) == ("Invoice approval", "2.1.0")
    answer = {"type": "string", "enum": ["Yes", "No"], "title": "Invoice in order?"}
    assert definition["variables"] == [
        {"name": "invoice_in_order", **answer},
        {"name": "amount", "type": "decimal", "required": True},
        {"name": "currency", "type": "string", "required": True},
    ]
    assert definition["process_steps"] == [
        {
            "stage_name": "Check invoice",
            "approvers": ["role:finance_team"],
            "sla_hours": 60.0,
            "final": "expire",
            "form": {"type": "object", "properties": {"invoice_in_order": answer}, "required": ["invoice_in_order"]},
        },
        {"stage_name": "Legal review", "approvers": ["group:legal", "group:counsel"]},
        {"stage_name": "Audit invoice", "approvers": ["user:dora"]},
    ]
    nodes = {node["id"]: node for node in definition["graph_spec"]["nodes"]}
    assert {name: node["type"] for name, node in nodes.items()} == {
        "received": "trigger",
        "check": "approval",
        "fine": "decision",
        "rejected": "terminator",
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
    assert edges(found) == {
        ("received", "check", ""),
        ("check", "fine", "approved"),
        ("check", "rejected", "rejected"),
        ("fine", "amount", 'invoice_in_order == "Yes"'),
        ("fine", "refused", 'invoice_in_order == "No"'),
        ("check", "expired", "expired"),
        ("amount", "both", 'amount >= 1000 && currency == "EUR"'),
        ("amount", "pay", "default"),
        ("both", "legal", ""),
        ("both", "auditor", ""),
        ("legal", "together", "approved"),
        ("legal", "rejected", "rejected"),
        ("auditor", "together", "approved"),
        ("auditor", "rejected", "rejected"),
        ("together", "cool", ""),
        ("cool", "pay", ""),
        ("pay", "done", ""),
    }
    assert told(found) == {
        "check": "assumed",
        "fine": "assumed",
        "amount": "assumed",
        "legal": "assumed",
        "auditor": "assumed",
        "told": "lost",
    }


def test_what_has_no_counterpart_is_listed_and_the_rest_goes_on() -> None:
    found = imported(
        '<startEvent id="s"><messageEventDefinition/></startEvent><serviceTask id="t" name="Unknown thing"/>'
        '<callActivity id="c" name="Other" calledElement="other"/><inclusiveGateway id="i"/>'
        '<task id="u" name="Look"/><boundaryEvent id="e" attachedToRef="u"><errorEventDefinition/></boundaryEvent>'
        '<endEvent id="z"/><endEvent id="island"/><textAnnotation id="note"/>'
        + flows("s -> t", "t -> c", "c -> i", "i -> u", "i -> z", "u -> z")
    )
    assert told(found) == {
        "s": "assumed",
        "t": "assumed",
        "c": "lost",
        "i": "assumed",
        "u": "assumed",
        "e": "lost",
        "island": "lost",
        "note": "lost",
    }
    actions = [node["action"] for node in found.blueprint["graph_spec"]["nodes"] if node["type"] == "action"]
    assert actions == ["set_variables"]


def test_ways_without_a_gateway_are_parallel() -> None:
    found = imported(
        S + task("a") + task("b") + gateway("j", kind="parallel") + flows("s -> a", "s -> b", "a -> j", "b -> j")
    )
    kinds = [node["type"] for node in found.blueprint["graph_spec"]["nodes"]]
    assert sorted(kinds) == ["approval", "approval", "fork", "join", "terminator", "terminator", "trigger"]


def test_long_chains_and_circles_of_nothing_end() -> None:
    tasks = [f"t{n}" for n in range(290)]
    chain = "".join(f'<userTask id="{t}"/>' for t in tasks)
    drawn = flows(*(f"{one} -> {other}" for one, other in zip(["s", *tasks], tasks, strict=False)))
    assert len(imported(S + chain + drawn).blueprint["process_steps"]) == 290
    passed = [f"n{n}" for n in range(390)]
    thrown = "".join(f'<intermediateThrowEvent id="{t}"/>' for t in passed)
    drawn = flows(*(f"{one} -> {other}" for one, other in zip(["s", *passed], passed, strict=False)))
    assert len(imported(S + thrown + drawn).blueprint["graph_spec"]["nodes"]) == 2
    circle = S + gateway("a") + gateway("b") + flows("s -> a", "a -> b", "b -> a")
    assert [node["type"] for node in imported(circle).blueprint["graph_spec"]["nodes"]] == ["trigger", "terminator"]


def test_branches_that_begin_themselves_again_end() -> None:
    found = imported(
        S + task("a") + task("b") + task("c") + E + flows("s -> a", "a -> b", "a -> c", "b -> a", "c -> e")
    )
    assert told(found)["b-a"] == "lost"
    play = Play(found).decide("a")
    assert play.asked == ["b", "c"]
    assert play.decide("b").outcome == "returned"


# People


def extended(inner: str) -> str:
    return f"<extensionElements>{inner}</extensionElements>"


# Until when


@pytest.mark.parametrize(
    ("due", "hours"),
    [
        ("P3D", 72),
        ("PT36H", 36),
        ('= now() + duration("P2D")', 48),
        ('= duration("PT4H")', 4),
        ("${now().plusDays(3)}", 72),
        ("${dateTime().plusDays(1).plusHours(2).toDate()}", 26),
    ],
)
def test_a_due_date_is_the_stage_s_service_level(due: str, hours: float) -> None:
    assert step(one_task(**{"camunda:dueDate": due}), "A")["sla_hours"] == hours
    zeebe = f'<zeebe:taskSchedule dueDate="{due.replace(chr(34), "&quot;")}"/>'
    assert step(one_task(extended(zeebe), id_="x"), "A")["sla_hours"] == hours


@pytest.mark.parametrize("due", ["${dueDate}", "2026-01-01T12:00:00Z", "${service.due()}"])
def test_a_due_date_that_does_not_count_from_the_opening_is_lost_loudly(due: str) -> None:
    found = one_task(**{"camunda:dueDate": due})
    assert "sla_hours" not in step(found, "A")
    assert said_of(found, "a").startswith(f"lost: its due date {due}")


def test_timers_on_a_task_are_its_deadline_or_its_reminders() -> None:
    def timer(ident: str, inner: str, cancel: str) -> str:
        return (
            f'<boundaryEvent id="{ident}" attachedToRef="a" cancelActivity="{cancel}"><timerEventDefinition>{inner}'
            "</timerEventDefinition></boundaryEvent>"
        )

    found = imported(
        S
        + task("a", "A")
        + timer("t", "<timeDuration>P1D</timeDuration>", "true")
        + timer("r", "<timeCycle>R/PT8H</timeCycle>", "false")
        + timer("u", "<timeDate>${when}</timeDate>", "true")
        + E
        + end("late", "expired")
        + flows("s -> a", "a -> e", "t -> late", "r -> late")
    )
    assert step(found, "A") == {
        "stage_name": "A",
        "approvers": ["group:a"],
        "sla_hours": 24,
        "final": "expire",
        "reminders": {"every_hours": 8},
    }
    assert ("a", "late", "expired") in edges(found)
    assert Play(found).hours(25).outcome == "expired"
    assert (told(found)["r"], told(found)["u"]) == ("assumed", "lost")


# How many


# What is filled in


@pytest.mark.parametrize("vendor", ["camunda", "flowable"])
def test_what_an_approver_fills_in_is_the_decision_s_form_and_what_is_read_later_a_variable(vendor: str) -> None:
    found = imported(
        S
        + task("a", "A", form("risk:long", "note:string", vendor=vendor), **{"camunda:candidateGroups": "a"})
        + gateway("x")
        + task("b")
        + E
        + flows("s -> a", "a -> x", "x -> b ? ${risk > 5}", "x -> e ? ${risk <= 5}", "b -> e")
    )
    assert found.blueprint["variables"] == [{"name": "risk", "type": "integer"}]
    assert step(found, "A")["form"] == {
        "type": "object",
        "properties": {"risk": {"type": "integer"}, "note": {"type": "string"}},
        "required": ["risk"],
    }
    assert Play(found).decide("A", form={"risk": 7}).asked == ["b"]
    assert Play(found).decide("A", form={"risk": 5, "note": "fine"}).outcome == "done"


def test_what_is_filled_in_later_than_it_is_read_is_asked_of_the_requester_too() -> None:
    found = imported(
        S
        + gateway("x")
        + task("a", "A", form("risk:long"), **{"camunda:candidateGroups": "a"})
        + E
        + flows("s -> x", "x -> a ? ${risk > 5}", "x -> e ? ${risk <= 5}", "a -> e")
    )
    assert found.blueprint["variables"] == [{"name": "risk", "type": "integer", "required": True}]
    assert told(found)["x"] == "assumed"


def test_objects_are_filled_in_by_the_members_that_are_read() -> None:
    outputs = (
        '<ioSpecification><dataOutput id="o" name="Case" itemSubjectRef="case"/></ioSpecification>'
        "<dataOutputAssociation><sourceRef>o</sourceRef><targetRef>case</targetRef></dataOutputAssociation>"
    )
    inside = S + task("a", "A", outputs, id_="x") + gateway("x") + end("y", "large") + end("n", "small")
    drawn = flows("s -> a", "a -> x", "x -> y ? return case.getSize() > 5;", "x -> n ? return case.getSize() <= 5;")
    content = _HEAD.replace("<process", '<itemDefinition id="case" structureRef="org.acme.Case"/><process')
    found = import_bpmn(f"{content}{inside}{drawn}</process></definitions>".encode(), actions=ACTIONS)
    sound(found)
    assert Play(found).decide("A", form={"case": {"size": 7}}).outcome == "large"
    assert Play(found).decide("A", form={"case": {"size": 5}}).outcome == "small"


def test_the_verdict_is_no_field_of_the_form() -> None:
    found = imported(
        S
        + task("a", "A", form("approved:boolean", "note:string"), **{"camunda:candidateGroups": "a"})
        + gateway("x", "Approved?")
        + end("ok", "approved")
        + end("no", "rejected")
        + flows("s -> a", "a -> x", "x -> ok ? ${approved}", "x -> no ? ${!approved}")
    )
    assert list(step(found, "A")["form"]["properties"]) == ["note"]


def test_outputs_of_jbpm_and_embedded_forms_are_fields() -> None:
    outputs = (
        '<ioSpecification><dataOutput id="o" name="Score" itemSubjectRef="int"/></ioSpecification>'
        "<dataOutputAssociation><sourceRef>o</sourceRef><targetRef>score</targetRef></dataOutputAssociation>"
    )
    zeebe = extended('<zeebe:formDefinition formKey="camunda-forms:bpmn:f1"/>')
    embedded = (
        '<zeebe:userTaskForm id="f1">{"components": [{"key": "level", "type": "number", "label": "Level", '
        '"validate": {"required": true}}, {"type": "button"}, {"key": "ro", "type": "number", "disabled": true}]}'
        "</zeebe:userTaskForm>"
    )
    inside = extended(embedded) + S + task("a", "A", outputs, id_="x") + task("b", "B", zeebe, id_="x") + E
    content = _HEAD.replace("<process", '<itemDefinition id="int" structureRef="java.lang.Integer"/><process')
    found = import_bpmn(f"{content}{inside}{flows('s -> a', 'a -> b', 'b -> e')}</process></definitions>".encode())
    assert step(found, "A")["form"]["properties"] == {"score": {"type": "integer"}}
    assert step(found, "B")["form"]["properties"] == {"level": {"type": "number", "title": "Level"}}
    assert step(found, "B")["form"]["required"] == ["level"]


# Events


def test_a_sub_process_that_an_event_begins_is_lost_with_all_that_is_in_it() -> None:
    timer = "<timerEventDefinition><timeDuration>P1D</timeDuration></timerEventDefinition>"
    found = imported(
        S
        + task("a")
        + E
        + f'<subProcess id="es" triggeredByEvent="true"><startEvent id="ess">{timer}</startEvent>{task("est")}'
        + f"{flows('ess -> est')}</subProcess>"
        + flows("s -> a", "a -> e")
    )
    assert {ident: kind for ident, kind in told(found).items() if ident.startswith("es")} == {
        "es": "lost",
        "ess": "lost",
        "est": "lost",
        "ess-est": "lost",
    }


def test_a_failure_of_an_action_leads_where_its_error_event_does() -> None:
    found = imported(
        S
        + '<serviceTask id="v" name="Pay"/>'
        + '<boundaryEvent id="b" attachedToRef="v"><errorEventDefinition/></boundaryEvent>'
        + E
        + end("f", "failed")
        + flows("s -> v", "v -> e", "b -> f")
    )
    assert ("v", "f", "failed") in edges(found)


def test_other_processes_of_the_file_are_lost_with_all_that_is_in_them() -> None:
    other = f'<process id="q">{task("z")}</process>'
    content = f"{_HEAD}{S}{task('a')}{E}{flows('s -> a', 'a -> e')}</process>{other}</definitions>"
    assert {ident: kind for ident, kind in told(import_bpmn(content.encode())).items() if ident in "qz"} == {
        "q": "lost",
        "z": "lost",
    }


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


def test_words_are_read_as_people_write_them() -> None:
    assert [hours_of(t) for t in ("PT36H", "P1D", "PT30M", "P1W", "PT0S", "R3/PT1H", "x")] == [
        36,
        24,
        0.5,
        168,
        *[None] * 3,
    ]
    assert [hours_from_now(t) for t in ("P1D", "${now().plusWeeks(1)}", "${now().minusDays(1)}", "")] == [
        24,
        168,
        None,
        None,
    ]
    assert [says(t) for t in ("Approved!", "Not approved", "Request denied", "perhaps", "")] == [
        "approved",
        "rejected",
        "rejected",
        None,
        None,
    ]
    assert [asks(t) for t in ("isApproved", "loanRejected", "approvedAmount", "autoApproved", "Approved vendor?")] == [
        "approved",
        "rejected",
        None,
        None,
        None,
    ]
    assert [slug(t, "-") for t in ("Größe prüfen", "5 Tage", "!!", "for")] == ["grosse_prufen", "x_5_tage", "-", "for_"]

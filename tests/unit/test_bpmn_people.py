"""Files of BPMN: whom a task asks, how many of them, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from placet.definition.bpmn import Imported
from tests.unit.bpmn_files import START_EVENT as S
from tests.unit.bpmn_files import (
    Play,
    end,
    flows,
    form,
    gateway,
    imported,
    said_of,
    step,
    task,
    told,
)
from tests.unit.test_bpmn import E, extended, one_task


@pytest.mark.parametrize(
    ("attributes", "approvers"),
    [
        ({"camunda:assignee": "kermit"}, ["user:kermit"]),
        ({"camunda:assignee": "${'kermit'}"}, ["user:kermit"]),
        ({"camunda:candidateUsers": "kermit, fozzie"}, ["user:kermit", "user:fozzie"]),
        ({"camunda:candidateGroups": "legal,counsel"}, ["group:legal", "group:counsel"]),
        ({"camunda:candidateGroups": "Finance Team"}, ["group:finance_team"]),
        ({"flowable:assignee": "${managerId}"}, ["manager_of(requester)"]),
        ({"camunda:assignee": "${ldapService.findManager(initiator)}"}, ["manager_of(requester)"]),
        ({"camunda:assignee": "${hrManager}"}, ["input:hrManager"]),
        ({"camunda:assignee": "#{approver}"}, ["input:approver"]),
        ({"camunda:assignee": "${service.find(x)}"}, ["manager_of(requester)"]),
        ({"camunda:assignee": "bob", "camunda:candidateGroups": "g"}, ["user:bob"]),
    ],
)
def test_who_does_a_task_is_named_as_the_blueprint_names_approvers(
    attributes: dict[str, str], approvers: list[str]
) -> None:
    assert step(one_task(**attributes), "A")["approvers"] == approvers


def owned(expression: str) -> str:
    """Return a resource that owns a task."""
    given = f"<resourceAssignmentExpression><formalExpression>{expression}</formalExpression>"
    return f"<potentialOwner>{given}</resourceAssignmentExpression></potentialOwner>"


@pytest.mark.parametrize(
    ("inner", "approvers"),
    [
        (extended('<zeebe:assignmentDefinition assignee="= initiator.manager"/>'), ["manager_of(requester)"]),
        (extended('<zeebe:assignmentDefinition assignee="=approver"/>'), ["input:approver"]),
        (
            extended('<zeebe:assignmentDefinition candidateGroups="=[&quot;a&quot;,&quot;b&quot;]"/>'),
            ["group:a", "group:b"],
        ),
        (owned("user(kermit), group(management)"), ["user:kermit", "group:management"]),
        (owned("Finance Team"), ["role:finance_team"]),
    ],
)
def test_extensions_and_resources_name_people_too(inner: str, approvers: list[str]) -> None:
    assert step(one_task(inner, id_="x"), "A")["approvers"] == approvers


def given_to(ident: str, **values: str) -> str:
    """Return the inputs of a task of jBPM; `$x` is a variable."""
    inputs = "".join(f'<dataInput id="{ident}_{name}" name="{name}"/>' for name in values)
    links = "".join(
        f"<dataInputAssociation><sourceRef>{value[1:]}</sourceRef><targetRef>{ident}_{name}</targetRef></dataInputAssociation>"
        if value[0] == "$"
        else f"<dataInputAssociation><targetRef>{ident}_{name}</targetRef><assignment><from>{value}</from>"
        "</assignment></dataInputAssociation>"
        for name, value in values.items()
    )
    return f"<ioSpecification>{inputs}</ioSpecification>{links}"


def test_groups_and_excluded_owners_of_jbpm_are_taken_over() -> None:
    found = imported(
        S
        + task("a", "First", given_to("a", GroupId="managers", ExcludedOwnerId="$initiator"), id_="x")
        + task("b", "Second", given_to("b", ActorId="john,mary", ExcludedOwnerId="$approver"), id_="x")
        + E
        + flows("s -> a", "a -> b", "b -> e")
    )
    assert step(found, "First") == {"stage_name": "First", "approvers": ["group:managers"]}
    second = step(found, "Second")
    assert (second["approvers"], second["separation_of_duties"]) == (["user:john", "user:mary"], {"repeat": "forbid"})
    assert "#{approver} must not do it" in said_of(found, "b")


def test_a_potential_owner_of_jbpm_is_a_person() -> None:
    found = one_task(given_to("a", GroupId="managers") + owned("manager"), id_="x")
    assert step(found, "A")["approvers"] == ["user:manager", "group:managers"]


@pytest.mark.parametrize(
    ("told_to", "hours", "to"),
    [
        ("[users:|groups:directors]@[4h]", 4, "group:directors"),
        ("[users:john|groups:]@[2d]", 48, "user:john"),
        ("[users:john,mary|groups:]@[2d]", None, None),
        ("[users:john|groups:]@[soon]", None, None),
    ],
)
def test_a_reassignment_of_jbpm_is_an_escalation_or_lost(told_to: str, hours: float | None, to: str | None) -> None:
    found = one_task(given_to("a", GroupId="managers", NotCompletedReassign=told_to), id_="x")
    made = step(found, "A")
    assert (made.get("sla_hours"), made.get("escalation_to")) == (hours, to)
    assert told(found)["a"] == ("assumed" if to else "lost")


def test_a_task_of_the_requester_is_no_approval() -> None:
    found = imported(
        '<startEvent id="s" camunda:initiator="starter_id"/>'
        + task("f", "Fill in", form("days:long!", "why:string"), **{"camunda:assignee": "${starter_id}"})
        + task("a", "Manager")
        + task("g", "Confirm", **{"camunda:assignee": "${starter_id}"})
        + E
        + flows("s -> f", "f -> a", "a -> g", "g -> e")
    )
    assert [one["stage_name"] for one in found.blueprint["process_steps"]] == ["Manager"]
    assert {v["name"]: (v["type"], v.get("required", False)) for v in found.blueprint["variables"]} == {
        "days": ("integer", True),
        "why": ("string", False),
    }
    assert (told(found)["f"], told(found)["g"]) == ("assumed", "lost")


def test_nobody_is_said_to_be_named_only_where_nobody_is() -> None:
    assert "nobody is named" in said_of(one_task(id_="x"), "a")
    for attributes in ({"camunda:assignee": "${x}"}, {"camunda:candidateUsers": "${a.b(c)}"}):
        assert "nobody is named" not in said_of(one_task(**attributes), "a")


def several(inner: str = "", **attributes: str) -> str:
    written = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f"<multiInstanceLoopCharacteristics {written}>{inner}</multiInstanceLoopCharacteristics>"


def completed(condition: str) -> str:
    return f"<completionCondition>{condition.replace('<', '&lt;').replace('>', '&gt;')}</completionCondition>"


BOARD = {"camunda:collection": "board", "camunda:elementVariable": "member"}


@pytest.mark.parametrize(
    ("condition", "quorum"),
    [
        (None, "all"),
        ("${nrOfCompletedInstances == 3}", {"at_least": 3}),
        ("${nrOfCompletedInstances >= 2}", {"at_least": 2}),
        ("${nrOfCompletedInstances > 2}", {"at_least": 3}),
        ("${2 <= nrOfCompletedInstances}", {"at_least": 2}),
        ("${nrOfCompletedInstances/nrOfInstances >= 0.6}", {"percent": 60}),
        ("${nrOfCompletedInstances/nrOfInstances > 0.5}", {"percent": 50.001}),
        ("${nrOfCompletedInstances >= nrOfInstances * 0.25}", {"percent": 25}),
        ("${nrOfCompletedInstances * 2 > nrOfInstances}", {"percent": 50.001}),
        ("${nrOfCompletedInstances == nrOfInstances}", "all"),
        ("${nrOfActiveInstances == 0}", "all"),
        ("${nrOfCompletedInstances == nrOfInstances || rejected}", "all"),
        ("${rejected == true || nrOfCompletedInstances >= 2}", {"at_least": 2}),
        ("= numberOfCompletedInstances >= 2", {"at_least": 2}),
    ],
)
def test_a_task_of_several_instances_is_a_quorum(condition: str | None, quorum: Any) -> None:
    loop = several(completed(condition) if condition else "", **BOARD)
    found = one_task(loop, **{"camunda:assignee": "${member}"})
    made = step(found, "A")
    assert (made["approvers"], made["quorum"]) == (["inputs:board"], quorum)
    assert found.blueprint["variables"][0]["type"] == "list"
    assert told(found)["a"] == "assumed"


def test_everyone_in_the_collection_is_asked_at_once_or_one_after_the_other() -> None:
    for sequential, first in (("false", ["A"] * 3), ("true", ["A"])):
        loop = several(completed("${nrOfCompletedInstances == 2}"), isSequential=sequential, **BOARD)
        found = one_task(loop, **{"camunda:assignee": "${member}"})
        play = Play(found, {"board": ["ann", "ben", "cid"]})
        assert [task.stage for task in play.case.state.open_tasks] == first
        assert play.decide("A").outcome is None
        assert play.decide("A").outcome == "done"


def test_a_number_of_instances_is_a_quorum_of_a_group_and_a_list_in_the_file_names_people() -> None:
    counted = one_task(several("<loopCardinality>3</loopCardinality>"), **{"camunda:candidateGroups": "g"})
    assert step(counted, "A")["quorum"] == {"at_least": 3}
    listed = several(**{"camunda:collection": "${['ann', 'ben']}", "camunda:elementVariable": "u"})
    assert step(one_task(listed, **{"camunda:assignee": "${u}"}), "A")["approvers"] == ["user:ann", "user:ben"]


@pytest.mark.parametrize(
    ("inner", "attributes"),
    [
        (
            several(**{"camunda:collection": "items", "camunda:elementVariable": "item"}),
            {"camunda:candidateGroups": "g"},
        ),
        (several("<loopCardinality>${n}</loopCardinality>"), {"camunda:candidateGroups": "g"}),
        (several("<loopCardinality>3</loopCardinality>"), {"camunda:assignee": "bob"}),
        (several(completed("${service.done(x)}"), **BOARD), {"camunda:assignee": "${member}"}),
        ("<standardLoopCharacteristics><loopCondition>${again}</loopCondition></standardLoopCharacteristics>", {}),
    ],
)
def test_a_repetition_that_cannot_be_said_is_lost_loudly(inner: str, attributes: dict[str, str]) -> None:
    assert told(one_task(inner, **(attributes or {"id_": "x"})))["a"] == "lost"


def test_repetitions_of_other_elements_are_lost_loudly() -> None:
    inside = task("a") + flows("is -> a")
    found = imported(
        S
        + f'<serviceTask id="v">{several()}</serviceTask>'
        + f'<subProcess id="sub">{several()}<startEvent id="is"/>{inside}</subProcess>'
        + E
        + flows("s -> v", "v -> sub", "sub -> e")
    )
    assert (told(found)["v"], told(found)["sub"]) == ("lost", "lost")
    assert told(found)["a"] == "assumed"


def asking_late(*start: str, rework: str = "") -> Imported:
    """Import a process whose initiator fills in `received` after the approval of the boss."""
    return imported(
        f'<startEvent id="s" camunda:initiator="starter">{form(*start)}</startEvent>'
        + task("b", "Approve")
        + task("a", "Confirm receipt", form("received:boolean"), **{"camunda:assignee": "${starter}"})
        + gateway("x", "Received?")
        + end("e", "done")
        + end("n", "no")
        + flows("s -> b", "b -> a", "a -> x", "x -> e ? ${received}", f"x -> {rework or 'n'} ? ${{!received}}")
    )


@pytest.mark.parametrize("rework", ["", "b"])
def test_a_field_that_the_initiator_fills_in_late_is_told_to_be_asked_at_the_start(rework: str) -> None:
    assert "the requester fills in received at the start instead" in said_of(asking_late(rework=rework), "a")


def test_a_field_that_the_start_asks_for_too_is_not_told_and_stays_required() -> None:
    found = asking_late("received:boolean!")
    assert "at the start instead" not in said_of(found, "a")
    assert found.blueprint["variables"] == [{"name": "received", "type": "boolean", "required": True}]

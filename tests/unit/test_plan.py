"""Compiling a blueprint into a plan: defaults filled in, and every fault named at its place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.routes.examples import EXPENSE_APPROVAL
from placet.definition.model import parse_definition
from placet.errors import BlueprintInvalid
from placet.plan.compiler import compile_plan, digest
from placet.plan.graph import Stage
from tests.unit.core import HOUR, PLANS, START, blueprint, plan_of


def stage_of(step: dict[str, Any], **settings: Any) -> Stage:
    return plan_of(blueprint(step, settings=settings)).stages[0]


def test_steps_alone_are_a_straight_chain_in_which_a_rejection_ends_the_request() -> None:
    plan = plan_of(blueprint({}, {}))
    edges = {p.id: [(w.on, w.target) for w in p.edges] for p in plan.nodes.values()}
    assert edges == {
        "start": [(None, "step-1")],
        "step-1": [("approved", "step-2"), ("rejected", "rejected")],
        "step-2": [("approved", "approved"), ("rejected", "rejected")],
        "approved": [],
        "rejected": [],
    }


@pytest.mark.parametrize(
    ("step", "settings", "field", "value"),
    [
        ({"sla_hours": 24}, {}, "warn_before", 2 * HOUR),
        ({"sla_hours": 1}, {}, "warn_before", HOUR / 2),  # half of what is shorter than the warning
        ({}, {}, "warn_before", 2 * HOUR),
        ({}, {}, "re_escalate_after", 24 * HOUR),
        ({"re_escalate_after_hours": 1}, {"re_escalate_after_hours": 3}, "re_escalate_after", HOUR),
        ({}, {"re_escalate_after_hours": 3}, "re_escalate_after", 3 * HOUR),
        ({"sla_hours": 1, "escalation_to": "cfo"}, {}, "to_the_top", True),
        ({"sla_hours": 1, "escalation_to": "cfo", "escalation_enabled": False}, {}, "to_the_top", False),
        ({"sla_hours": 1, "escalation_to": "cfo", "escalation_enabled": False}, {}, "levels", ()),
        ({"sla_hours": 1, "escalation": [{"to": "cfo"}]}, {}, "to_the_top", False),
        ({}, {}, "final", "wait"),
        ({}, {"separation_of_duties": {"repeat": "carry"}}, "repeat", "carry"),
        (
            {"separation_of_duties": {"repeat": "forbid"}},
            {"separation_of_duties": {"repeat": "carry"}},
            "repeat",
            "forbid",
        ),
        ({"reminders": {"before_hours": [1, 3]}}, {}, "remind_before", (3 * HOUR, HOUR)),
    ],
)
def test_a_stage_has_its_own_setting_or_the_process_or_the_default(
    step: dict[str, Any], settings: dict[str, Any], field: str, value: Any
) -> None:
    assert getattr(stage_of(step, **settings), field) == value


def test_separation_of_duties_may_stand_beside_the_settings() -> None:
    raw = blueprint({}, {"separation_of_duties": {"repeat": "carry"}}, separation_of_duties={"repeat": "forbid"})
    stages = [node.stage.repeat for node in plan_of(raw).nodes.values() if node.stage]
    assert stages == ["forbid", "carry"]
    with pytest.raises(BlueprintInvalid, match="not both"):
        parse_definition({**raw, "settings": {"separation_of_duties": {"repeat": "allow"}}})


def test_a_plan_survives_its_json_and_has_the_blueprints_digest() -> None:
    plan = plan_of(EXPENSE_APPROVAL)
    assert PLANS.validate_json(PLANS.dump_json(plan, by_alias=True)) == plan
    assert (
        plan.digest
        == digest(parse_definition(EXPENSE_APPROVAL))
        != digest(parse_definition({**EXPENSE_APPROVAL, "version": "1.0.1"}))
    )


def test_numbers_that_no_double_holds_have_a_digest_too() -> None:
    forms = [{"maximum": 2**60}, {"maximum": 2**60 + 1}]
    assert len({digest(parse_definition(blueprint({"form": form}))) for form in forms}) == 2


def test_a_plan_names_everybody_whom_it_may_need() -> None:
    names = {str(name) for name in plan_of(EXPENSE_APPROVAL).names}
    assert names == {"manager_of(requester)", "role:department_head", "role:cfo", "user:olivia"}


def test_a_plan_compares_loads_where_one_stage_goes_to_the_least_loaded() -> None:
    steps: list[dict[str, Any]] = [{}, {"approvers": ["group:finance"], "assign": "each"}]
    assert not plan_of(blueprint(*steps)).compares_loads
    assert plan_of(blueprint(*steps, {"approvers": ["group:finance"], "assign": "least_loaded"})).compares_loads


NODES = [
    {"id": "start", "type": "trigger"},
    {"id": "one", "type": "approval", "step": "Stage 1"},
    {"id": "size", "type": "decision"},
    {"id": "end", "type": "terminator", "outcome": "approved"},
]


@pytest.mark.parametrize(
    ("changed", "pointers"),
    [
        ({"nodes": NODES[1:]}, ["/graph_spec/edges/0/from", "/graph_spec/nodes"]),  # no trigger
        ({"nodes": [*NODES, {"id": "two", "type": "trigger"}]}, ["/graph_spec/nodes"]),
        ({"nodes": [*NODES, NODES[3]]}, ["/graph_spec/nodes/4/id"]),
        ({"nodes": [*NODES, {"id": "x", "type": "approval", "step": "?"}]}, ["/graph_spec/nodes/4/step"]),
        ({"edges": [{"from": "start", "to": "gone"}]}, ["/graph_spec/edges/0/to"]),
        ({"edges": [{"from": "gone", "to": "end"}]}, ["/graph_spec/edges/0/from"]),
        ({"edges": [{"from": "start", "to": "one", "condition": "true"}]}, ["/graph_spec/edges/0/condition"]),
        ({"edges": [{"from": "start", "to": "one", "on": "approved"}]}, ["/graph_spec/edges/0/on"]),
        ({"edges": [{"from": "size", "to": "end"}]}, ["/graph_spec/edges/0"]),  # neither condition nor default
        ({"edges": [{"from": "size", "to": "end", "condition": "amount >"}]}, ["/graph_spec/edges/0/condition"]),
        ({"edges": [{"from": "size", "to": "end", "condition": "price > 1"}]}, ["/graph_spec/edges/0/condition"]),
    ],
)
def test_a_fault_of_the_graph_is_named_at_its_place(changed: dict[str, Any], pointers: list[str]) -> None:
    graph = {"nodes": NODES, "edges": [{"from": "start", "to": "one"}], **changed}
    raw = blueprint({}, graph_spec=graph, variables=[{"name": "amount", "type": "decimal"}])
    with pytest.raises(BlueprintInvalid) as refused:
        plan_of(raw)
    assert [p.pointer for p in refused.value.problems] == pointers


@pytest.mark.parametrize(
    ("step", "more", "pointer"),
    [
        ({"approvers": ["assignee"]}, {}, "/process_steps/0/approvers/0"),  # there is none yet
        ({"approvers": [{"who": "manager_of(assignee)"}]}, {}, "/process_steps/0/approvers/0/who"),
        ({"approvers": ["input:boss"]}, {}, "/process_steps/0/approvers/0"),  # no such variable
        ({"sla_hours": 1, "escalation_to": "input:boss"}, {}, "/process_steps/0/escalation_to"),
        ({"sla_hours": 1, "escalation": [{"to": "input:boss"}]}, {}, "/process_steps/0/escalation/0/to"),
        ({}, {"owner": "input:boss"}, "/owner"),
        ({}, {"settings": {"timezone": "Mars/Olympus"}}, "/settings/timezone"),
    ],
)
def test_a_name_that_can_never_stand_for_anybody_is_refused(
    step: dict[str, Any], more: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        compile_plan(parse_definition(blueprint(step, **more)), start=START)
    assert [p.pointer for p in refused.value.problems] == [pointer]


def test_the_jitter_is_declared_in_seconds() -> None:
    assert plan_of(blueprint({}, settings={"jitter_seconds": 90})).jitter == timedelta(seconds=90)

"""The blueprint's JSON: what is accepted word for word, and what is refused at which place."""

from __future__ import annotations

from typing import Any

import pytest

from api.routes.examples import EXPENSE_APPROVAL
from placet.definition.model import canonical, parse_definition
from placet.errors import BlueprintInvalid
from tests.unit.core import blueprint


def test_the_published_blueprint_is_accepted_and_exported_as_it_came() -> None:
    assert canonical(parse_definition(EXPENSE_APPROVAL)) == EXPENSE_APPROVAL


def test_an_export_imports_as_the_same_blueprint() -> None:
    once = parse_definition(EXPENSE_APPROVAL)
    assert parse_definition(canonical(once)) == once


@pytest.mark.parametrize(
    "step",
    [
        {
            "stage_name": "Manager Approval",
            "sla_hours": 24,
            "escalation_enabled": True,
            "escalation_to": "department_head",
        },
        {"stage_name": "Nothing else"},
        {"stage_name": "Fractions", "sla_hours": 5 / 3600},
        {"stage_name": "As text", "sla_hours": "1.5"},  # decimals may come as strings
        {"stage_name": "A deputy without a deadline", "escalation_to": "cfo"},
        {"stage_name": "Long form", "sla": {"target_hours": 8, "warn_before_hours": 0, "critical_hours": 16}},
        {"stage_name": "Weights", "approvers": [{"who": "cfo", "weight": 2}, "owner"], "quorum": {"weight": 3}},
    ],
)
def test_a_stage_is_accepted(step: dict[str, Any]) -> None:
    assert parse_definition(blueprint(step)).process_steps[0].stage_name == step["stage_name"]


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        ({"stage_name": ""}, "/process_steps/0/stage_name"),
        ({"nonsense": 1}, "/process_steps/0/nonsense"),
        ({"approvers": []}, "/process_steps/0/approvers"),  # an empty list is an error
        ({"approvers": "role:x"}, "/process_steps/0/approvers"),
        ({"approvers": ["role:x", "user:"]}, "/process_steps/0/approvers/1"),
        ({"approvers": [5]}, "/process_steps/0/approvers/0"),
        ({"approvers": [{"who": "!"}]}, "/process_steps/0/approvers/0/who"),
        ({"approvers": [{"who": "cfo", "weight": 0}]}, "/process_steps/0/approvers/0/weight"),
        ({"quorum": "most"}, "/process_steps/0/quorum"),
        ({"quorum": 2}, "/process_steps/0/quorum"),
        ({"quorum": {}}, "/process_steps/0/quorum"),
        ({"quorum": {"at_least": 1, "percent": 50}}, "/process_steps/0/quorum"),
        ({"quorum": {"at_least": True}}, "/process_steps/0/quorum/at_least"),
        ({"quorum": {"percent": 101}}, "/process_steps/0/quorum/percent"),
        ({"sla_hours": 0}, "/process_steps/0/sla_hours"),
        ({"sla_hours": -1}, "/process_steps/0/sla_hours"),
        ({"sla_hours": 1e-12}, "/process_steps/0/sla_hours"),  # a clock that never rests
        ({"sla_hours": 1e9}, "/process_steps/0/sla_hours"),
        ({"sla_hours": float("nan")}, "/process_steps/0/sla_hours"),
        ({"sla_hours": True}, "/process_steps/0/sla_hours"),
        ({"sla_hours": 1, "sla": {"target_hours": 1}}, "/process_steps/0"),
        ({"reminders": {"every_hours": 0}}, "/process_steps/0/reminders/every_hours"),
        ({"escalation_to": "a b"}, "/process_steps/0/escalation_to"),
        ({"sla_hours": 1, "escalation_enabled": True}, "/process_steps/0"),  # to whom?
        ({"escalation_enabled": True, "escalation_to": "cfo"}, "/process_steps/0"),  # after what?
        ({"escalation_to": "cfo", "escalation": [{"to": "cfo"}]}, "/process_steps/0"),
        ({"escalation": [{"to": "a", "after_hours": 2}, {"to": "b", "after_hours": 1}]}, "/process_steps/0"),
        ({"escalation": [{"to": "a", "action": "shout"}]}, "/process_steps/0/escalation/0/action"),
        ({"final": "shrug"}, "/process_steps/0/final"),
        ({"form": {"type": "nonsense"}}, "/process_steps/0/form"),
        ({"form": {"$ref": "https://example.com/schema"}}, "/process_steps/0/form"),  # nobody is asked for it
    ],
)
def test_a_fault_of_a_stage_is_named_once_at_its_place(step: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        parse_definition(blueprint(step))
    assert [p.pointer for p in refused.value.problems] == [pointer]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"version": "1.0"}, "/version"),
        ({"version": "1.0.0\n"}, "/version"),
        ({"version": "01.0.0"}, "/version"),
        ({"version": "1.0.0-a..b"}, "/version"),
        ({"version": 1}, "/version"),
        ({"name": ""}, "/name"),
        ({"owner": "user:"}, "/owner"),
        ({"owner": "manager_of(owner)"}, "/owner"),
        ({"variables": [{"name": "a", "type": "string"}] * 2}, "/variables"),
        ({"variables": [{"name": "a", "type": "colour"}]}, "/variables/0/type"),
        ({"process_steps": [{"stage_name": "A"}, {"stage_name": "A"}]}, "/process_steps"),
        ({"process_steps": []}, ""),
        ({"settings": {"calendar": "9to5"}}, "/settings/calendar"),
        ({"settings": {"max_rounds": 0}}, "/settings/max_rounds"),
        ({"graph_spec": {"nodes": [{"id": "a", "type": "maybe"}], "edges": []}}, "/graph_spec/nodes/0"),
        ({"graph_spec": {"nodes": [{"id": "a", "type": "approval"}], "edges": []}}, "/graph_spec/nodes/0/step"),
        (
            {"graph_spec": {"nodes": [{"id": "a", "type": "trigger"}], "edges": [{"from": "a"}]}},
            "/graph_spec/edges/0/to",
        ),
        ({"a/b~c": 1}, "/a~1b~0c"),
    ],
)
def test_a_fault_of_the_blueprint_is_named_once_at_its_place(changed: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BlueprintInvalid) as refused:
        parse_definition({**blueprint({}), **changed})
    assert [p.pointer for p in refused.value.problems] == [pointer]


@pytest.mark.parametrize("raw", [None, [], "text", 5, {}])
def test_what_is_no_blueprint_at_all_is_refused(raw: object) -> None:
    with pytest.raises(BlueprintInvalid):
        parse_definition(raw)


@pytest.mark.parametrize("version", ["0.0.1", "1.2.3-alpha.1", "1.2.3-0a+build.05", "10.20.30"])
def test_semantic_versions_are_accepted(version: str) -> None:
    assert parse_definition({**blueprint({}), "version": version}).version == version

"""What BPMN has no words for comes as properties of a task: each setting of a stage is taken over, or told as lost."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import pytest

from placet.definition.bpmn.elements.stage_properties import SAID_BY_BPMN
from placet.definition.steps import Step
from tests.unit.bpmn_files import START_EVENT, end, flows, imported, said_of, step, task, told

SETTINGS: dict[str, Any] = {
    "quorum": {"percent": 50.5},
    "rejection": "unreachable",
    "order": "sequential",
    "claim": True,
    "ad_hoc": False,
    "assign": "least_loaded",
    "sla_hours": 12.5,
    "sla": {"target_hours": 8, "critical_hours": 2},
    "warn_before_hours": 1,
    "re_escalate_after_hours": 3,
    "escalation_enabled": False,
    "escalation_to": "role:cfo",
    "escalation": [{"after_hours": 1, "to": "role:cfo", "action": "notify"}],
    "final": "reject",
    "reminders": {"every_hours": 4, "before_hours": [1, 2]},
    "undo_seconds": 30,
    "comment_required": ["reject"],
    "separation_of_duties": {"repeat": "carry"},
    "description": "Look at the invoice.",
    "decision_links": "off",
    "sign": {"reauthenticate": True, "reasons": ["I reviewed the invoice"]},
}


def of(*properties: tuple[str, str], vendor: str = "camunda", **attributes: str) -> Any:
    """Import a process of one task with these properties."""
    listed = "".join(f'<{vendor}:property name="{name}" value="{escape(value)}"/>' for name, value in properties)
    inner = f"<extensionElements><{vendor}:properties>{listed}</{vendor}:properties></extensionElements>"
    drawn = task("a", "A", inner, **({"camunda__candidateGroups": "a"} | attributes))
    return imported(START_EVENT + drawn + end("e", "done") + flows("s -> a", "a -> e"))


def test_every_setting_of_a_stage_is_known_here() -> None:
    assert set(SETTINGS) | SAID_BY_BPMN == set(Step.model_fields)


@pytest.mark.parametrize("vendor", ["camunda", "zeebe"])
@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_of_a_stage_is_taken_over_from_a_property(name: str, vendor: str) -> None:
    found = of((f"placet:{name}", json.dumps(SETTINGS[name])), vendor=vendor)
    assert step(found, "A")[name] == SETTINGS[name]
    assert f"with its {name}" in said_of(found, "a")


@pytest.mark.parametrize("name", sorted(SAID_BY_BPMN))
def test_what_the_task_itself_says_is_not_said_again(name: str) -> None:
    found = of((f"placet:{name}", '"x"'))
    assert f"placet:{name} is left out: the task says that itself" in said_of(found, "a")
    assert told(found)["a"] == "lost"


def test_text_needs_no_quotes() -> None:
    assert step(of(("placet:final", "expire"), ("placet:sla_hours", "8")), "A")["final"] == "expire"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("undo_seconds", "a while", "a number is needed here"),
        ("sign", '{"reasons": []}', "at least 1"),
        ("sign", '{"reasons": ["x"], "reauthenticate": false}', "a fresh proof of who decides"),
        ("decision_links", "maybe", "write"),
        ("undo", "30", "is no setting of a stage"),
        ("description", "x" * 20_001, "longer than"),
    ],
)
def test_what_does_not_fit_is_lost_and_said(name: str, value: str, says: str) -> None:
    found = of((f"placet:{name}", value), ("placet:claim", "true"))
    assert told(found)["a"] == "lost"
    assert says in said_of(found, "a")
    assert step(found, "A").get("claim") is True, "the others are taken over"
    assert name not in step(found, "A")


def test_settings_that_do_not_go_together_are_lost_together() -> None:
    found = of(("placet:sla_hours", "8"), ("placet:sla", '{"target_hours": 8}'))
    assert {"sla", "sla_hours"}.isdisjoint(step(found, "A"))
    assert 'give "sla_hours" or "sla", not both' in said_of(found, "a")


def test_a_property_counts_before_what_else_the_file_says() -> None:
    found = of(("placet:sla_hours", "8"), camunda__dueDate="PT2H")
    assert step(found, "A")["sla_hours"] == 8
    assert "placet:sla_hours counts" in said_of(found, "a")

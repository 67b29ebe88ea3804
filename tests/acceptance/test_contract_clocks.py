"""The HTTP contract about time, with seconds for hours: warnings, breaches, chains, their ends, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract import SECOND, Placet, open_tasks
from tests.waiting import poll

STEPS: dict[str, dict[str, Any]] = {
    "to the top": {"sla_hours": 2 * SECOND, "warn_before_hours": SECOND, "escalation_enabled": True,
                   "escalation_to": "department_head", "re_escalate_after_hours": SECOND},
    "list": {"sla_hours": SECOND, "re_escalate_after_hours": 10,
             "escalation": [{"after_hours": 0, "to": "role:department_head", "action": "reassign"},
                            {"after_hours": SECOND, "to": "user:ann", "action": "add"},
                            {"after_hours": 2 * SECOND, "to": "user:ben", "action": "notify"}]},
    "expire": {"sla_hours": SECOND, "escalation_to": "department_head", "re_escalate_after_hours": SECOND,
               "final": "expire"},
    "approve": {"sla": {"target_hours": SECOND, "warn_before_hours": SECOND / 2, "critical_hours": 1},
                "final": "approve"},
    "reject": {"sla_hours": SECOND, "final": "reject"},
    "off": {"sla_hours": SECOND, "escalation_enabled": False, "escalation_to": "department_head"},
    "remind": {"sla_hours": 30, "reminders": {"every_hours": SECOND}},
    "decided": {"sla_hours": 20 * SECOND, "reminders": {"every_hours": 20 * SECOND},
                "escalation_to": "department_head"},
    "no sla": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def started(placet: Placet) -> dict[str, dict[str, Any]]:
    """Give a request for each way, all of whose clocks run at the same time."""
    names = {edge: placet.publish(placet.process(step)) for edge, step in STEPS.items()}
    decided = placet.start(names.pop("decided"))  # and long before its deadline, on the slowest machine too
    placet.decide("max", open_tasks(decided)["max"])
    return {edge: placet.start(name) for edge, name in names.items()} | {"decided": decided}


def until(placet: Placet, request: dict[str, Any], kind: str, times: int = 1) -> list[dict[str, Any]]:
    """Wait until something has happened so often to a request, and return it."""

    def often() -> list[dict[str, Any]]:
        found = placet.timeline(request, kind)
        return found if len(found) >= times else []

    return poll(often, what=f"{kind} {times} times")


def told(placet: Placet, request: dict[str, Any], *events: str) -> set[str]:
    """Return who has been told of a request, or of these events of it."""
    details = [line["detail"] for line in placet.timeline(request, "notified")]
    return {detail["to"] for detail in details if not events or detail["event"] in events}


def levels(placet: Placet, request: dict[str, Any]) -> list[tuple[int, str, list[str]]]:
    """Return the escalations of a request: level, action and who was asked or told."""
    details = [line["detail"] for line in placet.timeline(request, "escalated")]
    return [(detail["level"], detail["action"], detail["after"]["to"]) for detail in details]


def test_a_breach_reassigns_to_the_target_and_then_to_the_top(placet: Placet, started: Any) -> None:
    request = started["to the top"]
    until(placet, request, "escalation_ended")
    assert levels(placet, request) == [(1, "reassign", ["user:dana"]), (2, "reassign", ["user:carla"])]
    kinds = [line["kind"] for line in placet.timeline(request, "sla_warning", "sla_breached", "escalated")]
    assert kinds == ["sla_warning", "sla_breached", "escalated", "escalated"]
    now = placet.request(request)
    (task,) = now["tasks"]
    assert (task["id"], task["assignee"]) == (request["tasks"][0]["id"], "user:carla")
    assert (task["sla_state"], task["escalation_level"], now["status"]) == ("breached", 2, "pending")
    assert task["due_at"] > request["tasks"][0]["due_at"]
    for who in ("max", "dana"):
        placet.decide(who, task["id"], expect=403)
        assert placet.get(who, f"requests/{request['id']}/")["id"] == request["id"]
    assert task["id"] in [t["id"] for t in placet.get("carla", "tasks/?assignee=me&sla_state=breached")["items"]]
    poll(lambda: {"user:max", "user:carla"} <= told(placet, request), what="that both are told")
    until(placet, request, "reminded")
    assert placet.decide("carla", task["id"])["outcome"] == "approved"
    assert placet.get("rita", f"requests/{request['id']}/audit/verify/")["ok"]


def test_an_explicit_list_reassigns_adds_and_tells_and_ends_with_its_last(placet: Placet, started: Any) -> None:
    request = started["list"]
    until(placet, request, "escalated", 3)
    assert levels(placet, request) == [
        (1, "reassign", ["user:dana"]),
        (2, "add", ["user:ann"]),
        (3, "notify", ["user:ben"]),
    ]
    task = placet.request(request)["tasks"][0]
    assert task["assignee"] == "user:dana"

    poll(lambda: "user:ben" in told(placet, request, "escalated_to"), what="that Ben is told")
    placet.decide("ben", task["id"], expect=404)
    placet.decide("max", task["id"], expect=403)
    assert placet.decide("ann", task["id"])["tasks"][0]["decided_by"] == "user:ann"


@pytest.mark.parametrize(("edge", "outcome"), [("expire", "expired"), ("approve", "approved"), ("reject", "rejected")])
def test_the_final_rule_ends_a_request_whose_chain_has_ended(
    placet: Placet, started: Any, edge: str, outcome: str
) -> None:
    until(placet, started[edge], "completed")
    ended = placet.request(started[edge])
    assert (ended["status"], ended["outcome"]) == ("completed", outcome)
    assert ended["tasks"][0]["sla_state"] == "breached"


def test_what_is_off_undated_or_decided_does_not_escalate(placet: Placet, started: Any) -> None:
    until(placet, started["off"], "sla_breached")
    until(placet, started["remind"], "reminded", 2)
    due = datetime.fromisoformat(started["decided"]["tasks"][0]["due_at"])
    poll(lambda: datetime.now(UTC) > due + timedelta(seconds=1), what="the deadline of what was decided")
    for edge in ("off", "remind", "no sla", "decided"):
        assert placet.timeline(started[edge], "escalated") == []
    assert list(open_tasks(placet.request(started["off"]))) == ["max"]
    assert placet.timeline(started["decided"], "reminded", "sla_warning", "sla_breached") == []
    undated = placet.request(started["no sla"])["tasks"][0]
    assert (undated["due_at"], undated["sla_state"]) == (None, "ok")


def test_escalations_are_counted(placet: Placet, started: Any) -> None:
    until(placet, started["expire"], "completed")
    until(placet, started["remind"], "reminded")
    now = placet.send("rita", "GET", "metrics/workflow-escalations").json()
    for name in ("checked", "escalated", "reminded", "over_sla"):
        assert now[f"workflow_tasks_{name}_total"] >= 1, name

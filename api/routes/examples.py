"""The example blueprint of the API documentation."""

from __future__ import annotations

from typing import Any

EXPENSE_APPROVAL: dict[str, Any] = {
    "name": "Expense approval",
    "version": "1.0.0",
    "template_type": "approval",
    "owner": "user:olivia",
    "variables": [
        {"name": "amount", "type": "decimal", "required": True, "minimum": 0},
        {"name": "department", "type": "string", "enum": ["sales", "it"]},
    ],
    "settings": {
        "timezone": "Europe/Berlin",
        "calendar": "24x7",
        "warn_before_hours": 2,
        "re_escalate_after_hours": 24,
    },
    "process_steps": [
        {
            "stage_name": "Manager Approval",
            "approvers": ["manager_of(requester)"],
            "quorum": "any",
            "sla_hours": 24,
            "escalation_enabled": True,
            "escalation_to": "department_head",
            "reminders": {"every_hours": 8},
        },
        {"stage_name": "CFO Approval", "approvers": ["role:cfo"], "sla_hours": 48, "escalation_enabled": False},
    ],
    "graph_spec": {
        "nodes": [
            {"id": "start", "type": "trigger", "x": 0, "y": 0},
            {"id": "manager", "type": "approval", "step": "Manager Approval"},
            {"id": "large", "type": "decision"},
            {"id": "cfo", "type": "approval", "step": "CFO Approval"},
            {"id": "yes", "type": "terminator", "outcome": "approved"},
            {"id": "no", "type": "terminator", "outcome": "rejected"},
        ],
        "edges": [
            {"from": "start", "to": "manager"},
            {"from": "manager", "to": "large", "on": "approved"},
            {"from": "manager", "to": "no", "on": "rejected"},
            {"from": "large", "to": "cfo", "condition": "amount > 5000"},
            {"from": "large", "to": "yes", "default": True},
            {"from": "cfo", "to": "yes", "on": "approved"},
            {"from": "cfo", "to": "no", "on": "rejected"},
        ],
    },
}

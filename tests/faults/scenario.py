"""The people and processes of the simulated office."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from placet.definition.model import ProcessDefinition, canonical, parse_definition
from placet.directory import Directory, Person
from placet.engine.bound_action import BoundAction
from placet.engine.events import Opening
from placet.plan.compiler import compile_plan
from placet.plan.plan import Plan
from storage.tables.approvals import StoredPerson
from tests.faults.virtual_time import START
from workflows.approval import Start

MANAGERS: dict[str, str | None] = {"rita": "mo", "mo": "dh", "dh": "ceo", "ceo": None, "ann": "dh", "olivia": "ceo"}
APPROVERS = ("mo", "dh", "ceo", "ann")
OPERATOR = "olivia"
REQUESTER = "rita"
CLAIMABLE_FOR = timedelta(hours=4)  # from the start of a request

PROCESSES: tuple[dict[str, Any], ...] = (
    {"name": "One step", "process_steps": [{"stage_name": "Manager", "approvers": ["user:mo"], "sla_hours": 8}]},
    {
        "name": "Escalating",
        "process_steps": [
            {
                "stage_name": "Manager",
                "approvers": ["user:mo", "user:ann"],
                "quorum": "any",
                "sla_hours": 2,
                "reminders": {"every_hours": 1},
                "escalation": [
                    {"after_hours": 0, "to": "user:dh", "action": "add"},
                    {"after_hours": 1, "to": "user:ceo", "action": "reassign"},
                ],
            }
        ],
    },
    {
        "name": "Two steps",
        "process_steps": [
            {"stage_name": "Manager", "approvers": ["user:mo"], "sla_hours": 4, "undo_seconds": 60},
            {
                "stage_name": "Board",
                "approvers": ["user:dh", "user:ceo"],
                "quorum": "all",
                "rejection": "any",
                "undo_seconds": 600,
            },
        ],
    },
    {
        "name": "Expiring",
        "process_steps": [
            {
                "stage_name": "Queue",
                "approvers": ["user:mo", "user:ann"],
                "claim": True,
                "sla_hours": 1,
                "final": "reject",
            }
        ],
    },
)


def people() -> list[StoredPerson]:
    """Return the rows of everybody."""
    return [
        StoredPerson(
            id=name,
            name=name.title(),
            email=f"{name}@example.org",
            manager=manager,
            roles=[],
            groups=[],
            access=["approver", *(["admin"] if name == OPERATOR else [])],
            away=[],
            preferences={},
            updated_at=START,
        )
        for name, manager in MANAGERS.items()
    ]


def versions() -> list[dict[str, Any]]:
    """Return the rows of the processes, as they were published."""
    return [
        {
            "id": plan.name,
            "name": plan.name,
            "version": plan.version,
            "template_type": "approval",
            "status": "published",
            "owner": OPERATOR,
            "digest": plan.digest,
            "blueprint": canonical(_definition(number)),
            "created_by": OPERATOR,
            "created_at": START,
        }
        for number in range(len(PROCESSES))
        for plan in [plan_of(number)]
    ]


def _definition(number: int) -> ProcessDefinition:
    return parse_definition({"version": "1.0.0", "owner": f"user:{OPERATOR}", **PROCESSES[number]})


@cache
def plan_of(number: int) -> Plan:
    """Return a process, compiled once."""
    return compile_plan(_definition(number), start=START)


def action_of(request_id: str, at: datetime) -> BoundAction:
    """Return the action that a request which starts then asks for."""
    parameters = {"request": request_id, "amount": 820}
    return BoundAction(type="payment", target="DE02", parameters=parameters, expires_at=at + CLAIMABLE_FOR)


def start_of(request_id: str, process: int, at: Any, *, action: BoundAction | None = None) -> Start:
    """Return what a request starts with, as the API makes it."""
    plan = plan_of(process)
    directory = Directory(people={name: Person(id=name, manager=boss) for name, boss in MANAGERS.items()})
    opening = Opening(
        request_id=request_id,
        requester=REQUESTER,
        title=f"Request {request_id}",
        input={},
        directory=directory,
        directory_at=at,
        secret="00" * 16,
        titled=True,
        action=action,
    )
    return Start(plan=plan, opening=opening, template_id=plan.name)

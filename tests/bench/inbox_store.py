"""A store in which very many tasks are open, written directly: for lists and the inbox of who has few and who has many.

One open task waits in each pending request. `mia` has fifty; of the others, half are `boss`'s and half wait in the
queue of the group `finance`, of which `boss` is. As many requests have ended, half of them by `boss`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, text

from storage.database import Database
from storage.queries.requests import titles
from storage.tables.approvals import ApprovalRequest, ApprovalTask, DefinitionVersion, Participant
from tests.approvals import EXPENSE, store_people

FEW = 50  # open tasks of mia
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STAFF: tuple[dict[str, Any], ...] = (
    {"id": "mia"},
    {"id": "boss", "groups": ["finance"]},
    {"id": "audrey", "access": ["auditor"]},
    {"id": "adam", "access": ["admin"]},
    {"id": "olivia"},
    *({"id": f"p{number}", "manager": "boss"} for number in range(200)),
)
# Of a hundred requests one is a purchase, and one in a thousand is for the office in Kraków.
_PROCESSES = {"Expense": "t-expense", "Purchase": "t-purchase"}
BLUEPRINT = {
    **EXPENSE,
    "variables": [
        {"name": "amount", "type": "decimal", "currency": "EUR", "required": True, "minimum": 0},
        {"name": "department", "type": "string"},
        {"name": "needed_by", "type": "date"},
    ],
    "settings": {"amount": "amount", "summary": ["amount", "department", "needed_by"]},
}
_TOGETHER = 5_000  # rows of one statement


async def fill(database: Database, opened: int) -> None:
    """Store people, two processes, requests with `opened` open tasks, and as many that have ended."""
    await store_people(database, STAFF)
    await database.write(_definitions)
    await database.write(_requests, opened)
    # As their own upkeep does; nobody does it to SQLite.
    if database.dialect == "postgresql":
        await database.write(lambda connection: connection.execute(text("ANALYZE")))


def _definitions(connection: Connection) -> None:
    rows = [
        {
            "id": ident,
            "name": name,
            "version": "1.0.0",
            "template_type": "approval",
            "status": "published",
            "owner": "olivia",
            "digest": ident,
            "blueprint": {**BLUEPRINT, "name": name},
            "created_by": "olivia",
            "created_at": NOW,
        }
        for name, ident in _PROCESSES.items()
    ]
    connection.execute(insert(DefinitionVersion), rows)


def _requests(connection: Connection, opened: int) -> None:
    drawn = random.Random(opened)
    for first in range(0, 2 * opened, _TOGETHER):
        made = [_made(number, opened, drawn) for number in range(first, min(first + _TOGETHER, 2 * opened))]
        connection.execute(insert(ApprovalRequest), [request for request, _ in made])
        titles.put(connection, [request for request, _ in made])
        connection.execute(insert(ApprovalTask), [task for _, task in made])
        connection.execute(insert(Participant), list(_participants(made)))


def _made(number: int, opened: int, drawn: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the request with this number and its task; those from `opened` on have ended."""
    waits = number < opened
    # Spread over a year, in no order: what is found together was not written together.
    began = NOW - timedelta(seconds=drawn.uniform(0, 365 * 24 * 3600))
    ended = began + timedelta(hours=drawn.uniform(1, 90))
    whose = "mia" if number % (opened // FEW) == 0 else "boss" if number % 2 else None
    name = "Purchase" if drawn.random() < 0.01 else "Expense"
    amount = None if drawn.random() < 0.02 else round(drawn.lognormvariate(5, 1.5), 2)
    place = "Kraków" if drawn.random() < 0.001 else "Berlin"
    request = {
        "id": f"r{number:07}",
        "template_id": _PROCESSES[name],
        "template": name,
        "version": "1.0.0",
        "title": f"{name} {number} for the office in {place}",
        "input": {"amount": str(amount or 0), "department": "sales", "needed_by": "2026-05-01"},
        "requester": f"p{number % 200}",
        "owner": "olivia",
        "status": "pending" if waits else "completed",
        "outcome": None if waits else "approved",
        "stage": "Manager Approval" if waits else None,
        "round": 1,
        "returned": False,
        "revision": 1,
        "seq": 3,
        "head": "h",
        "started_at": began,
        "ended_at": None if waits else ended,
        "amount": amount,
    }
    task: dict[str, Any] = {
        "id": f"r{number:07}.1",
        "request_id": request["id"],
        "position": 1,
        "stage": "Manager Approval",
        "round": 1,
        "assignee": whose if waits else whose or "boss",
        "queue": None if whose else "group:finance",
        "candidates": [],
        "delegates": [],
        "assigned_via": "manager_of(requester)" if whose else "group:finance",
        "status": "open" if waits else "decided",
        "opened_at": began,
        "due_at": None if drawn.random() < 0.1 else began + timedelta(hours=drawn.choice((24, 72, 24 * 400))),
        "sla_state": drawn.choices(("ok", "warning", "breached"), (90, 9, 1))[0],
        "escalation_level": 0,
        "decision": None if waits else "approve",
        "decided_by": None if waits else whose or "boss",
        "decided_at": None if waits else ended,
        "revision": 1,
        "amount": amount,
    }
    return request, task


def _participants(made: list[tuple[dict[str, Any], dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for request, task in made:
        if task["assignee"] is not None:
            yield {"request_id": request["id"], "person": task["assignee"]}

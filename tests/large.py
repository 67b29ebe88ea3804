"""A large installation for tests: ten thousand of everything that its pages list, put into the tables directly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert
from sqlmodel import SQLModel

from placet.audit.admin_acts import Act, ActedBy
from storage.recording import admin_acts
from storage.tables.approvals import ApiToken, ApprovalRequest, DefinitionVersion, StoredPerson
from storage.tables.drafts import BlueprintDraft
from storage.tables.evidence import EvidencePack
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow
from tests.approvals import EXPENSE, person

MANY = 10_000
NOW = datetime.now(UTC)
LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenbeschaffung"
HOOK = "wh-00000"
BACKTEST = "5" * 32
BY = ActedBy(actor="user:adam", actor_type="person", way="api")


def put_many(connection: Connection, many: int = MANY) -> None:
    """Store so many drafts, processes, people, tokens, webhooks, deliveries, acts, and simulations with rows."""
    numbers = range(many)
    _put(connection, StoredPerson, map(_person, numbers))
    _put(connection, ApiToken, map(_token, numbers))
    _put(connection, DefinitionVersion, map(_version, numbers))
    _put(connection, BlueprintDraft, map(_draft, numbers))
    _put(connection, WebhookEndpoint, map(_endpoint, numbers))
    _put(connection, NotificationMessage, map(_message, numbers))
    _put(connection, ApprovalRequest, map(_request, numbers))
    _put(connection, WorkflowSimulation, map(_simulation, numbers))
    _put(connection, WorkflowSimulation, [_simulation(0, BACKTEST)])
    _put(connection, WorkflowSimulationRow, map(_row, numbers))
    _put(connection, EvidencePack, map(_pack, numbers))
    for number in numbers:
        act = Act(kind="person_changed", target=f"person:p{number:05}", detail={"changed": ["groups"]})
        admin_acts.record(connection, BY, act, _at(number))


def _put(connection: Connection, table: type[SQLModel], rows: Iterable[SQLModel]) -> None:
    values = [row.model_dump() for row in rows]
    for first in range(0, len(values), 500):
        connection.execute(insert(table), values[first : first + 500])


def _at(number: int) -> datetime:
    return NOW - timedelta(minutes=number)


def _person(number: int) -> StoredPerson:
    away: list[Any] = []
    if number % 2 == 0:
        span = {"from": _at(60).isoformat(), "until": (NOW + timedelta(days=2)).isoformat(), "substitute": None}
        away = [span]
    groups = [f"group-{number:05}", "everyone"]
    return person(id=f"p{number:05}", name=f"{LONG} {number:05}", groups=groups, roles=["clerk"], away=away)


def _token(number: int) -> ApiToken:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return ApiToken(digest=digest, person=f"p{number:05}", name=f"{LONG} {number}", created_at=_at(number))


def _version(number: int) -> DefinitionVersion:
    name = f"{LONG} {number:05}"
    return DefinitionVersion(
        id=f"{number:032x}",
        name=name,
        version="1.0.0",
        template_type="approval",
        status="published",
        digest="d",
        blueprint={**EXPENSE, "name": name},
        created_by="adam",
        created_at=_at(number),
        published_by="adam",
        published_at=_at(number),
    )


def _draft(number: int) -> BlueprintDraft:
    name = f"{LONG} {number:05}"
    return BlueprintDraft(
        id=f"{number:032x}",
        process=name,
        content={**EXPENSE, "name": name},
        revision=1,
        status="open",
        authors=["adam"],
        created_by="adam",
        created_at=_at(number),
        updated_by="adam",
        updated_at=_at(number),
    )


def _endpoint(number: int) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=f"wh-{number:05}",
        url=f"https://hooks.example.com/{number}",
        description=f"{LONG} {number}",
        secret_ref="derived:1",
        events=["completed"],
        seen_at=NOW,
        created_by="adam",
        created_at=_at(number),
    )


def _message(number: int) -> NotificationMessage:
    failed = number % 2 == 0
    return NotificationMessage(
        key=f"m{number:05}",
        channel=f"webhook:{HOOK}" if number % 4 < 2 else "mail",
        request_id=f"r{number:05}",
        seq=1,
        hash="h",
        event="completed",
        person=None if number % 4 < 2 else f"p{number:05}",
        status="failed" if failed else "sent",
        attempts=9 if failed else 1,
        created_at=_at(number),
        next_attempt_at=_at(number),
        finished_at=_at(number),
        last_error="the endpoint answered 503" if failed else None,
    )


def _request(number: int) -> ApprovalRequest:
    return ApprovalRequest(
        id=f"r{number:05}",
        template_id=f"{number:032x}",
        template=f"{LONG} {number:05}",
        version="1.0.0",
        title=f"{LONG} {number}",
        input={},
        requester=f"p{number:05}",
        status="pending",
        stage="Manager",
        seq=1,
        head="h",
        started_at=_at(number),
    )


def _simulation(number: int, ident: str | None = None) -> WorkflowSimulation:
    backtest = ident is not None
    return WorkflowSimulation(
        id=ident or f"{number + 1:032x}",
        mode="backtest" if backtest else "explore",
        status="running" if backtest else "failed",
        template=f"{LONG} {number:05}",
        version="1.0.0",
        question={"mode": "backtest" if backtest else "explore"},
        error=None if backtest else "nothing was found",
        created_by="adam",
        created_at=_at(number),
        finished_at=None if backtest else _at(number),
    )


def _row(number: int) -> WorkflowSimulationRow:
    before = {
        "route": ["Manager"],
        "approvers": [f"p{number:05}"],
        "outcome": "approved",
        "duration_ms": 60_000,
        "sla_state": "ok",
        "cost": "1.00",
    }
    after = {**before, "outcome": "rejected"} if number % 2 == 0 else before
    return WorkflowSimulationRow(
        simulation_id=BACKTEST,
        position=number,
        revision=number + 1,
        request_id=f"r{number:05}",
        changed=number % 2 == 0,
        row={
            "request_id": f"r{number:05}",
            "before": before,
            "after": after,
            "changed": ["outcome"] if number % 2 == 0 else [],
            "unknown": None,
        },
    )


def _pack(number: int) -> EvidencePack:
    return EvidencePack(
        id=f"{number:032x}",
        process=f"{LONG} {number:05}",
        since=_at(number + 9999),
        until=_at(number),
        sample=0,
        seed="s",
        with_files=False,
        status="failed",
        ordered_by="adam",
        ordered_at=_at(number),
        error="the store did not answer",
    )

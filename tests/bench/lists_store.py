"""A store with very many rows of everything that a page lists, written directly, a part of them with the longest names.

The requests and their tasks are those of the inbox's store. Everything else is as many rows: people, tokens, acts,
deliveries, SLAs and their breaches, suggestions, simulations, event logs, drafts, evidence packs, canaries, webhooks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, insert, text

from placet.audit.admin_acts import KINDS
from storage.database import Database
from storage.tables.actions import ActionExecution
from storage.tables.admin_acts import AdminAct
from storage.tables.approvals import ApiToken, DefinitionVersion, StoredPerson
from storage.tables.canaries import WorkflowCanary
from storage.tables.drafts import BlueprintDraft
from storage.tables.event_logs import EventLog
from storage.tables.evidence import EvidencePack
from storage.tables.identity import BrowserSession
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from storage.tables.reading import Watch
from storage.tables.simulations import WorkflowSimulation
from storage.tables.slas import SlaBreach, SlaExecution, WorkflowSla
from storage.tables.suggestions import WorkflowSuggestion
from tests.bench import inbox_store
from tests.bench.inbox_store import NOW

LONG = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 4
"""A name without a space, of which 200 characters are the most that most names may have."""
_LONG_ONE_IN = 5
_PROCESSES = 500
_TOGETHER = 2_000  # rows of one statement
_ENDED = timedelta(minutes=7)


def name_of(kind: str, number: int) -> str:
    """Return the name of a row; that of every fifth is as long as it may be."""
    return f"{kind}{number}{LONG}"[:200] if number % _LONG_ONE_IN == 0 else f"{kind} {number}"


async def fill(database: Database, count: int) -> None:
    """Store `count` rows of everything that is listed."""
    await inbox_store.fill(database, count)
    await database.write(_everything, count)
    if database.dialect == "postgresql":
        await database.write(lambda connection: connection.execute(text("ANALYZE")))


def _everything(connection: Connection, count: int) -> None:
    for model, made in _MADE:
        for first in range(0, count, _TOGETHER):
            rows = [made(number) for number in range(first, min(first + _TOGETHER, count))]
            connection.execute(insert(model), rows)
    connection.execute(
        insert(Watch), [{"person": "adam", "request_id": f"r{n:07}", "since": _at(n)} for n in range(count)]
    )


def _at(number: int) -> Any:
    return NOW - number * _ENDED


def _process(number: int) -> str:
    return name_of("Process", number % _PROCESSES)


def _person_id(number: int) -> str:
    return (
        f"someone{number}{LONG}".lower().replace("ä", "a").replace("ü", "u")[:100] if number % 50 == 0 else f"n{number}"
    )


def _person(number: int) -> dict[str, Any]:
    away = [{"from": "2026-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z", "substitute": "user:boss"}]
    return {
        "id": _person_id(number),
        "name": name_of("Person", number),
        "email": f"n{number}@example.org",
        "manager": "boss",
        "department": name_of("Department", number % 100),
        "roles": [name_of("role", number % 300)],
        "groups": [name_of("group", number % 400)],
        "access": ["requester", "approver"],
        "away": away if number % 10 == 0 else [],
        "preferences": {},
        "active": True,
        "actor_type": "person",
        "updated_at": NOW,
    }


def _token(number: int) -> dict[str, Any]:
    return {
        "digest": f"{number:064x}",
        "person": _person_id(number),
        "name": name_of("Token", number)[:100],
        "scopes": None,
        "created_at": _at(number),
        "expires_at": NOW + timedelta(hours=number),
        "revoked_at": None,
        "last_used_at": None,
    }


def _session(number: int) -> dict[str, Any]:
    return {
        "digest": f"s{number:063x}",
        "person": _person_id(number),
        "csrf_token": "c",
        "method": "link",
        "user_agent": LONG,
        "created_at": _at(number),
        "seen_at": _at(number),
        "expires_at": NOW + timedelta(days=3650),
    }


def _act(number: int) -> dict[str, Any]:
    kinds = sorted(KINDS)
    targets = (
        f"person:{_person_id(number)}",
        f"version:v{number}",
        f"webhook:w{number}",
        f"sla:{name_of('SLA', number)}",
    )
    return {
        "seq": number + 1,
        "at": _at(number),
        "kind": kinds[number % len(kinds)],
        "actor": f"user:{_person_id(number)}",
        "actor_type": "person",
        "way": "page",
        "target": targets[number % len(targets)],
        "outcome": "partly" if number % 7 == 0 else "done",
        "detail": {"name": {"before": name_of("Before", number), "after": name_of("After", number)}, "reason": LONG},
        "hash": f"{number:064x}",
    }


def _message(number: int) -> dict[str, Any]:
    return {
        "key": f"k{number}",
        "channel": "mail" if number % 2 else f"webhook:w{number}",
        "request_id": f"r{number:07}",
        "seq": 1,
        "hash": "h",
        "event": "task_opened",
        "person": _person_id(number) if number % 2 else None,
        "status": "failed",
        "attempts": 5,
        "created_at": _at(number),
        "next_attempt_at": _at(number),
        "last_error": f"{LONG} refused {number}",
        "finished_at": _at(number),
    }


def _webhook(number: int) -> dict[str, Any]:
    return {
        "id": f"w{number}",
        "url": f"https://example.org/{name_of('hook', number)}",
        "description": name_of("Webhook", number),
        "secret_ref": f"derived:{number}",
        "events": ["failed"],
        "active": number % 3 != 0,
        "problem": None,
        "seen_at": NOW,
        "created_by": "adam",
        "created_at": _at(number),
    }


def _version(number: int) -> dict[str, Any]:
    name = _process(number)
    return {
        "id": f"v{number}",
        "name": name,
        "version": f"1.{number // _PROCESSES}.0",
        "template_type": "approval",
        "status": "published",
        "owner": "olivia",
        "digest": f"v{number}",
        "blueprint": {**inbox_store.BLUEPRINT, "name": name},
        "created_by": "olivia",
        "created_at": _at(number),
        "published_by": "olivia",
        "published_at": _at(number),
    }


def _draft(number: int) -> dict[str, Any]:
    return {
        "id": f"d{number}",
        "process": _process(number),
        "content": {**inbox_store.BLUEPRINT, "name": _process(number)},
        "revision": 1,
        "status": "open" if number % 3 else "submitted",
        "authors": ["olivia", _person_id(number)],
        "created_by": "olivia",
        "created_at": _at(number),
        "updated_by": _person_id(number),
        "updated_at": _at(number),
    }


def _sla(number: int) -> dict[str, Any]:
    return {
        "id": f"sla{number}",
        "name": name_of("SLA", number),
        "template": _process(number),
        "stage": name_of("Stage", number),
        "target_duration_seconds": 3600.0,
        "warning_threshold_seconds": 1800.0,
        "critical_threshold_seconds": 7200.0,
        "slo_window_hours": 24.0 * 3650,
        "slo_target_percentage": 95.0,
        "since": NOW - timedelta(days=365),
        "judged_until": NOW,
        "created_by": "olivia",
        "created_at": _at(number),
        "updated_by": "olivia",
        "updated_at": _at(number),
    }


def _execution(number: int) -> dict[str, Any]:
    return {
        "sla_id": f"sla{number % 10}",
        "request_id": f"r{number:07}",
        "visit": 1,
        "began_at": _at(number) - timedelta(hours=1),
        "ended_at": _at(number),
        "end_seq": 2,
        "actual_seconds": 3600.0,
        "breached": number % 40 == 0,
        "known_at": _at(number),
        "head": "h",
    }


def _breach(number: int) -> dict[str, Any]:
    return {
        "id": f"b{number}",
        "sla_id": f"sla{number % 100}",
        "sla_name": name_of("SLA", number % 100),
        "template": _process(number),
        "request_id": f"r{number:07}",
        "visit": 1,
        "stage": name_of("Stage", number),
        "severity": "critical" if number % 3 else "warning",
        "target_duration_seconds": 3600.0,
        "threshold_seconds": 3600.0,
        "actual_duration_seconds": 4000.0 + number,
        "breached_at": _at(number),
        "recorded_at": _at(number),
        "owner": "olivia",
        "acknowledged_by": _person_id(number) if number % 4 == 0 else None,
        "acknowledged_at": _at(number) if number % 4 == 0 else None,
        "notes": LONG if number % 4 == 0 else None,
        "reminders": 0,
    }


def _suggestion(number: int) -> dict[str, Any]:
    return {
        "id": f"g{number}",
        "template": _process(number),
        "version": "1.0.0",
        "suggestion_type": "performance",
        "source": "rule",
        "subject": [str(number)],
        "subject_id": str(number),
        "title": name_of("Suggestion", number),
        "description": LONG,
        "patch": [],
        "blueprint": {},
        "confidence": 0.9,
        "supporting_data": {},
        "findings": [],
        "status": "pending",
        "created_at": _at(number),
        "updated_at": _at(number),
    }


def _simulation(number: int) -> dict[str, Any]:
    return {
        "id": f"sim{number}",
        "mode": "explore",
        "status": "completed",
        "template": _process(number),
        "version": "1.0.0",
        "question": {"mode": "explore", "template": _process(number)},
        "result": {"branch_explorations": []},
        "created_by": _person_id(number),
        "created_at": _at(number),
        "finished_at": _at(number),
    }


def _log(number: int) -> dict[str, Any]:
    return {
        "id": f"l{number}",
        "name": name_of("Log", number),
        "status": "completed",
        "file_name": f"{name_of('log', number)[:190]}.csv",
        "size": 1_000_000,
        "sha256": "0" * 64,
        "map": {},
        "cases": 10_000,
        "events": 123_456,
        "people": 50,
        "activities": 20,
        "seen": {},
        "columns": [],
        "stages": [],
        "warnings": [],
        "created_by": _person_id(number),
        "created_at": _at(number),
        "finished_at": _at(number),
    }


def _pack(number: int) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "process": _process(number),
        "since": NOW - timedelta(days=365),
        "until": NOW,
        "sample": 25,
        "seed": LONG[:100],
        "with_files": True,
        "status": "expired" if number % 2 else "failed",
        "ordered_by": _person_id(number),
        "ordered_at": _at(number),
        "finished_at": _at(number),
        "population": 1000,
        "sampled": 25,
        "exceptions": 3,
        "error": None if number % 2 else LONG,
    }


def _canary(number: int) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "template": _process(number),
        "owner": "olivia",
        "version": "1.1.0",
        "version_id": f"v{number}",
        "baseline": "1.0.0",
        "baseline_id": f"v{number}",
        "share": 0.1,
        "people_sample": 0.0,
        "horizon_seconds": 86400.0,
        "alpha": 0.05,
        "outcome_margin": 0.1,
        "status": "running" if number < _PROCESSES else "promoted",
        "began_by": _person_id(number),
        "began_at": _at(number),
        "ended_by": None if number < _PROCESSES else "adam",
        "ended_at": None if number < _PROCESSES else _at(number),
        "notes": LONG,
        "figures": [],
        "compared_at": _at(number),
    }


def _action(number: int) -> dict[str, Any]:
    return {
        "id": f"x{number}",
        "request_id": f"r{number:07}",
        "node": name_of("node", number),
        "visit": 1,
        "action": name_of("action", number),
        "attempt": 1,
        "started_at": _at(number),
        "finished_at": _at(number),
        "duration": 0.5,
        "ok": True,
    }


_MADE: tuple[tuple[Any, Callable[[int], dict[str, Any]]], ...] = (
    (StoredPerson, _person),
    (ApiToken, _token),
    (BrowserSession, _session),
    (AdminAct, _act),
    (NotificationMessage, _message),
    (WebhookEndpoint, _webhook),
    (DefinitionVersion, _version),
    (BlueprintDraft, _draft),
    (WorkflowSla, _sla),
    (SlaExecution, _execution),
    (SlaBreach, _breach),
    (WorkflowSuggestion, _suggestion),
    (WorkflowSimulation, _simulation),
    (EventLog, _log),
    (EvidencePack, _pack),
    (WorkflowCanary, _canary),
    (ActionExecution, _action),
)

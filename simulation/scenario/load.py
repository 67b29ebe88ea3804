"""Load what a simulation spec refers to from the store: the blueprint, the people, the past. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.definition.action_spec import ActionSpec
from placet.definition.assignees import AssigneeName
from placet.definition.model import ProcessDefinition, parse_or_none
from placet.directory import Directory
from placet.errors import NotFound
from placet.plan.plan import Child
from placet.sentences import sentence
from simulation import pool_functions
from simulation.modes.backtest import Case
from simulation.pool_functions import CarryOut
from simulation.scenario.past import Past
from simulation.scenario.scenario import CompiledDefinition, Scenario
from simulation.scenario.script import people_named
from simulation.scenario.spec import SimulationSpec, patched
from simulation.world.recorded_values import values_as_sent
from storage.database import Database, of_rows
from storage.queries import actions as catalog
from storage.queries.definitions import definitions
from storage.queries.definitions import dependencies as stored
from storage.queries.people import people as stored_people
from storage.tables.approvals import ApprovalRequest, AuditEntry, DefinitionVersion

ReadPast = Callable[[Connection, str, datetime], Past]
"""Read the past of the process of this name, as it is known at a moment."""
_AT_ONCE = 400  # requests whose timelines are read in one query


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """A stored audit entry, with its detail parsed."""

    at: datetime
    kind: str
    actor: str
    stage: str | None
    task_id: str | None
    detail: dict[str, Any]


@of_rows
def template_of(session: Session, name: str, version: str | None = None) -> DefinitionVersion:
    """Return a stored blueprint by name and version, or by id: the newest published one, else the newest draft."""
    try:
        return definitions.find(session.connection(), name, version)
    except NotFound:
        if version is None and (found := session.get(DefinitionVersion, name)) is not None:
            return found
        if version is not None:
            raise
        page = definitions.page(session.connection(), limit=500, name=name)
        if not page.items:
            raise
        return max(page.items, key=lambda row: row.created_at)


def candidate_of(connection: Connection, spec: SimulationSpec) -> tuple[str, Any]:
    """Return the name of the process whose requests are compared, and the candidate's JSON; raises NotFound."""
    if spec.template is None:
        return spec.requests_of or "", patched(spec.blueprint, spec.patch)
    try:
        row = template_of(connection, spec.template, spec.version)
    except NotFound:
        if spec.blueprint is None:
            raise
        return spec.template, patched(spec.blueprint, spec.patch)
    return row.name, patched(row.blueprint if spec.blueprint is None else spec.blueprint, spec.patch)


async def scenario_of(
    database: Database,
    carry_out: CarryOut,
    spec: SimulationSpec,
    *,
    requester: str,
    now: datetime,
    simulation_id: str,
    read_past: ReadPast,
) -> Scenario:
    """Return the scenario of a spec to explore or rehearse; raises NotFound and InputInvalid.

    `carry_out` parses and compiles the blueprint, outside of any transaction; `read_past` reads the past of a process.
    """
    raw, requester_id, recorded = await database.read(_asked, spec, requester)
    name = str((raw or {}).get("name", ""))
    raw = patched(raw, spec.patch)
    blueprint = await carry_out(parse_or_none, raw, by=requester)
    start = spec.starts_at or now
    actions, children = await database.read(dependencies, blueprint, start)
    scenario = Scenario(
        blueprint=raw,
        people=Directory(),
        actions=actions,
        children=children,
        requester=requester_id,
        start=start,
        given=given_for(blueprint, spec, recorded),
        action=spec.action,
        script=spec.script,
        past=await database.read(read_past, name, now),
        decide_after=spec.decide_after,
        sample=spec.sample,
        horizon=spec.horizon,
        most_branches=spec.most_branches,
        prices=spec.prices,
        request_id=simulation_id,
    )
    compiled: CompiledDefinition | None = None
    if blueprint is not None:
        compiled = await carry_out(pool_functions.compile_scenario, scenario, blueprint, by=requester)
    if compiled is None:
        return scenario  # the simulation reports its errors
    people = await database.read(_people, scenario, tuple(compiled.plan.names), spec)
    return replace(scenario, compiled=compiled, people=people)


def given_for(
    definition: ProcessDefinition | None, spec: SimulationSpec, recorded: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the input of a spec, or else that of its request as it was sent; None where it has neither."""
    if spec.input is not None:
        return spec.input
    return recorded if recorded is None or definition is None else values_as_sent(definition.variables, recorded)


def _asked(connection: Connection, spec: SimulationSpec, requester: str) -> tuple[Any, str, Mapping[str, Any] | None]:
    """Return the blueprint of a spec, the id of the requester, and the recorded input of its request if it has one."""
    requester_id, row = spec.person or requester, None
    recorded: Mapping[str, Any] | None = None
    if spec.request_id is not None:
        request, case = case_of(connection, spec.request_id)
        requester_id = spec.person or case.requester
        recorded = case.given
        row = template_of(connection, request.template_id)
    if spec.template is not None:
        row = template_of(connection, spec.template, spec.version)
    raw: Any = spec.blueprint if spec.blueprint is not None or row is None else row.blueprint
    return raw, requester_id, recorded


def dependencies(
    connection: Connection, definition: ProcessDefinition | None, start: datetime
) -> tuple[dict[str, ActionSpec], dict[str, Child]]:
    """Return the action catalog, and the sub-processes that a definition names, as a request would start them."""
    if definition is None:
        return {}, {}  # the simulation reports its errors
    _, children = stored.dependencies_of(connection, definition, start)
    return catalog.specs(connection), children


@of_rows
def case_of(session: Session, request_id: str) -> tuple[ApprovalRequest, Case]:
    """Return one request with its timeline; raises NotFound."""
    row = session.get(ApprovalRequest, request_id)
    if row is None:
        raise NotFound(sentence("There is no request {request_id!r}", request_id=request_id))
    if row.erased_at is not None:
        raise NotFound(
            sentence("The content of request {request_id!r} was erased; choose another request", request_id=request_id)
        )
    return row, cases_of(session.connection(), [row])[0]


def cases_of(connection: Connection, rows: Sequence[ApprovalRequest]) -> list[Case]:
    """Return these requests with their timelines, in the given order."""
    entries: dict[str, list[StoredEntry]] = {row.id: [] for row in rows}
    ids = list(entries)
    for first in range(0, len(ids), _AT_ONCE):
        query = (
            select(
                col(AuditEntry.request_id),
                col(AuditEntry.at),
                col(AuditEntry.kind),
                col(AuditEntry.actor),
                col(AuditEntry.stage),
                col(AuditEntry.task_id),
                col(AuditEntry.detail),
            )
            .where(col(AuditEntry.request_id).in_(ids[first : first + _AT_ONCE]))
            .order_by(col(AuditEntry.request_id), col(AuditEntry.seq))
        )
        for request_id, at, kind, actor, stage, task_id, detail in connection.execute(query).all():
            entries[request_id].append(
                StoredEntry(at=at, kind=kind, actor=actor, stage=stage, task_id=task_id, detail=json.loads(detail))
            )
    return [
        Case(
            id=row.id,
            requester=row.requester,
            given=_given(row, entries[row.id]),
            status=row.status,
            outcome=row.outcome,
            started_at=entries[row.id][0].at if entries[row.id] else row.started_at,
            ended_at=row.ended_at,
            entries=tuple(entries[row.id]),
        )
        for row in rows
    ]


def whole_directory(connection: Connection) -> Directory:
    """Read the whole directory."""
    return stored_people.everyone(connection)


def _given(row: ApprovalRequest, entries: Sequence[StoredEntry]) -> dict[str, Any]:
    """Return the input that a request started with; resubmissions may have changed it since."""
    for entry in entries:
        if entry.kind == "started" and isinstance(entry.detail.get("input"), dict):
            return dict(entry.detail["input"])
    return dict(row.input)


def _people(
    connection: Connection, scenario: Scenario, names: Sequence[AssigneeName], spec: SimulationSpec
) -> Directory:
    """Read the people whom the process can reach; the whole directory where its input or sub-processes name people."""
    if scenario.children or any(name.root.given for name in names):
        return whole_directory(connection)
    also = [scenario.requester, *people_named(spec.script)]
    return stored_people.read_directory(connection, names, also=also, given=scenario.given or {})

"""Start, read and cancel simulations. A simulation changes nothing but its own record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from placet.errors import InputInvalid, NotFound
from placet.json_text import with_floats
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from service.simulations.jobs import HELD
from service.simulations.simulator import failed
from service.visibility import seen_request, sees_definition, viewer_of
from simulation.report.result import json_value, with_sentences
from simulation.scenario.load import template_of
from simulation.scenario.spec import SimulationSpec, parse_spec
from storage.queries.simulations import simulation_rows, simulations
from storage.recording import metrics
from storage.tables.simulations import WorkflowSimulation, WorkflowSimulationRow

PATIENCE = 2.0  # seconds that a call waits for a background simulation before it answers that it runs
FIRST_ROWS = 500  # rows of a backtest in its answer; all rows can be read in pages
# What has money in it, or is digested.
_EXACT = {"input", "values", "variables", "action", "prices"}
_LOOKS_AT_OTHERS = frozenset({"designer", "auditor", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationWithRows:
    """A simulation with its first rows, and the number of its rows."""

    row: WorkflowSimulation
    rows: Sequence[WorkflowSimulationRow] = ()
    count: int = 0


def read_spec(raw: object) -> tuple[SimulationSpec, dict[str, Any]]:
    """Parse a specification. Return it with the raw JSON, in which amounts stay exact.

    Raises InputInvalid with all faults.
    """
    if not isinstance(raw, dict):
        raise InputInvalid('Send an object such as {"mode": "explore", "template": "…"}.')
    read = {key: value if key in _EXACT else with_floats(value) for key, value in raw.items()}
    return parse_spec(read), read


async def create(
    context: Context, principal: Principal, raw: object, *, simulation_id: str, fresh: bool = True, later: bool = False
) -> SimulationWithRows:
    """Simulate what a specification says, and return it: explore completed, other modes perhaps still running.

    `later` waits for nothing. One that was asked for before under this id (`fresh` says that there can be none) is
    that one. Raises InputInvalid, also where it names no process that the caller may see, NotFound for a request,
    NotPermitted, Busy, and Conflict where too many shadows stand.
    """
    spec, read = read_spec(raw)
    await _require_allowed(context, principal, spec)
    now = context.now()
    row = _row(simulation_id, principal, spec, read, now)
    requester, viewer, jobs = spec.person or principal.person, viewer_of(principal), context.jobs
    if not fresh and await context.database.read(simulations.there, row.id):
        # A repeat of a call whose answer did not arrive.
        await jobs.ended(row.id, patience=PATIENCE)
    elif spec.is_standing:
        await context.shadows.begin(row, patience=PATIENCE)
    elif spec.mode == "explore" and not later:
        found = await jobs.answered(spec, requester=requester, viewer=viewer, simulation_id=row.id)
        row.result = with_sentences(found)
        row.finished_at, row.status = context.now(), "failed" if failed(row.result) else "completed"
        await context.database.write(_store_ended, row)
    else:
        jobs.admit(principal.person)
        new = await context.database.write(simulations.insert, row)
        if new:
            jobs.start(row, spec, requester=requester, viewer=viewer)
        if not later:
            await jobs.ended(row.id, patience=PATIENCE)
    return await context.database.read(lambda connection: with_rows(connection, simulations.get(connection, row.id)))


def show(connection: Connection, principal: Principal, simulation_id: str) -> SimulationWithRows:
    """Return a simulation with the first of its rows; raises NotFound where the caller may see none."""
    return with_rows(connection, simulations.get(connection, simulation_id, viewer=viewer_of(principal)))


async def cancel(context: Context, principal: Principal, simulation_id: str) -> SimulationWithRows:
    """Cancel a simulation that runs; a shadow keeps what it has seen. Raises NotFound and Conflict."""

    def store(connection: Connection) -> SimulationWithRows:
        simulations.get(connection, simulation_id, viewer=viewer_of(principal))
        return with_rows(connection, simulations.cancel(connection, simulation_id, context.now()))

    found = await context.database.write(store)
    context.jobs.cancel(simulation_id)
    context.shadows.end(simulation_id)
    return found


def with_rows(connection: Connection, row: WorkflowSimulation) -> SimulationWithRows:
    """Return a simulation with the first of its rows."""
    page = simulation_rows.page(connection, row.id, limit=FIRST_ROWS)
    count = simulation_rows.count(connection, row.id) if page.next_cursor else len(page.items)
    return SimulationWithRows(row=row, rows=page.items, count=count)


async def _require_allowed(context: Context, principal: Principal, spec: SimulationSpec) -> None:
    """Check who may ask for what: the past of others, and their view of the organisation, are not for everybody."""
    if spec.compares or (spec.person is not None and spec.person != principal.person):
        principal.need(_LOOKS_AT_OTHERS)
    await context.database.read(_require_seen, principal, spec, context.now())


def _require_seen(connection: Connection, principal: Principal, spec: SimulationSpec, now: datetime) -> None:
    """Raise NotFound where the caller may not see the request, and InputInvalid where they may not see the process."""
    named = spec.template
    if spec.request_id is not None and not spec.compares:
        stored = seen_request(connection, principal, spec.request_id, now)
        named = named or stored.request.template
    if spec.blueprint is None and (spec.template is not None or spec.version is not None) and named is not None:
        try:
            row = template_of(connection, named, spec.version)
        except NotFound as error:
            place = "/template" if spec.version is None else "/version"
            raise InputInvalid.at(
                place, sentence("{message}; publish it, or name another", message=error.message)
            ) from error
        if not sees_definition(principal, row):
            message = sentence("There is no published process template {name!r}", name=named)
            raise InputInvalid.at("/template", sentence("{message}; publish it, or name another", message=message))


def _store_ended(connection: Connection, row: WorkflowSimulation) -> None:
    if simulations.insert(connection, row):
        metrics.count(connection, metrics.increment("workflow_simulation_total", row.status))


def _row(
    simulation_id: str, principal: Principal, spec: SimulationSpec, read: Any, now: datetime
) -> WorkflowSimulation:
    definition = spec.blueprint or {}
    return WorkflowSimulation(
        id=simulation_id,
        mode=spec.mode,
        status="running",
        template=spec.template or str(definition.get("name", ""))[:200] or None,
        version=spec.version,
        request_id=spec.request_id,
        # The numbers of an action are exact as floats, which is checked, and as texts they would be other values.
        question=json_value(read | ({"action": with_floats(read["action"])} if read.get("action") else {})),
        created_by=principal.person,
        created_at=now,
        followed_until=now + HELD,
    )

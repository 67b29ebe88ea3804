"""Timelines of what a simulation holds only in outline: a branch of an exploration, a row of a backtest.

Both are worked out anew when somebody opens them, by today's directory; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from placet.errors import NotFound
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from service.simulations.simulations import read_spec
from service.visibility import see_request, viewer_of
from simulation.modes.explore import key_of
from simulation.report.result import PathStep
from simulation.scenario.load import template_of
from simulation.scenario.spec import SimulationSpec, patched
from storage.queries.simulations import simulation_rows, simulations
from storage.tables.simulations import WorkflowSimulation


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchTimeline:
    """A branch of an exploration with its steps; `steps` is None where it is not found again."""

    simulation: WorkflowSimulation
    branch: dict[str, Any]
    steps: tuple[PathStep, ...] | None


async def branch_timeline(context: Context, principal: Principal, simulation_id: str, branch_id: str) -> BranchTimeline:
    """Explore again for the steps of one branch; raises NotFound."""
    row = await context.database.read(simulations.get, simulation_id, viewer=viewer_of(principal))
    branches = (row.result or {}).get("branch_explorations", ())
    branch = next((one for one in branches if one["id"] == branch_id), None)
    if branch is None:
        raise NotFound(
            sentence(
                "The simulation {simulation_id!r} has no branch {branch_id!r}",
                simulation_id=simulation_id,
                branch_id=branch_id,
            )
        )
    spec = as_simulated(row)
    steps = await context.simulator.branch_path(
        spec,
        key_of(branch),
        requester=spec.person or row.created_by,
        simulation_id=row.id,
        now=row.created_at,
    )
    return BranchTimeline(simulation=row, branch=branch, steps=steps)


async def row_timelines(context: Context, principal: Principal, simulation_id: str, request_id: str) -> dict[str, Any]:
    """Return both timelines of one request of a backtest or a shadow; raises NotFound where the caller sees none."""

    def read(connection: Connection) -> WorkflowSimulation:
        row = simulations.get(connection, simulation_id, viewer=viewer_of(principal))
        if not simulation_rows.there(connection, simulation_id, request_id):
            raise NotFound(
                sentence(
                    "The simulation {simulation_id!r} did not compare the request {request_id!r}",
                    simulation_id=simulation_id,
                    request_id=request_id,
                )
            )
        see_request(connection, principal, request_id, context.now())
        return row

    row = await context.database.read(read)
    return await context.simulator.both_timelines(as_simulated(row), request_id, context.now())


def as_simulated(row: WorkflowSimulation) -> SimulationSpec:
    """Return the spec of a stored simulation, with the version that it was carried out on."""
    spec, _ = read_spec(row.question)
    version = (row.result or {}).get("version")
    named = spec.template is not None and spec.version is None and spec.blueprint is None
    return spec.model_copy(update={"version": version}) if named and version else spec


def blueprint_of(connection: Connection, row: WorkflowSimulation) -> Mapping[str, Any] | None:
    """Return the blueprint that was simulated; None where it is not there any more."""
    spec = as_simulated(row)
    raw: Any = spec.blueprint
    if raw is None:
        result = row.result or {}
        name, version = result.get("template") or row.template, result.get("version") or row.version
        if name is None:
            return None
        try:
            raw = template_of(connection, name, version).blueprint
        except NotFound:
            return None
    found: Mapping[str, Any] = patched(raw, spec.patch)
    return found

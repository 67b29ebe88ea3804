"""Run a simulation in the mode of its spec and report its progress. Nothing is written here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any

from sqlalchemy import Connection
from temporalio.client import Client

from placet.definition.model import parse_definition, parse_or_none
from placet.sentences import sentence
from service.forecasts.past import past_of_process
from service.pool.pool import ProcessPool
from simulation import pool_functions
from simulation.modes.backtest import MOST_SECONDS, Backtest, BacktestRow, Candidate, Case, hidden_warning, totals_of
from simulation.modes.explore import BranchKey
from simulation.modes.rehearse import RehearsalEngine, rehearse
from simulation.modes.replay import check_history
from simulation.report.result import PathStep
from simulation.scenario.load import (
    candidate_of,
    case_of,
    cases_of,
    dependencies,
    given_for,
    scenario_of,
    template_of,
    whole_directory,
)
from simulation.scenario.scenario import Scenario
from simulation.scenario.spec import SimulationSpec, patched
from storage.database import Database
from storage.queries.simulations import simulations
from storage.tables.approvals import ApprovalRequest

Tell = Callable[[dict[str, Any]], None]
_BATCH = 500  # requests whose timelines are in memory at a time
_BATCH_SECONDS = int(MOST_SECONDS) + 60  # of processor time for one batch
_DRY_RUN_SECONDS = 20  # of processor time, for the simulated run of a rehearsal


@dataclass(frozen=True, kw_only=True)
class Simulator:
    """Runs simulations of any mode. Without `client` there is no engine, and nothing is rehearsed or replayed."""

    database: Database
    pool: ProcessPool
    client: Client | None = None
    rehearsals: str = "placet-rehearsal"
    ui_url: str | None = None

    async def carry_out(
        self,
        spec: SimulationSpec,
        *,
        requester: str,
        viewer: str | None,
        simulation_id: str,
        now: datetime,
        tell: Tell | None = None,
    ) -> dict[str, Any]:
        """Simulate a spec; return the result as JSON values.

        A backtest compares the requests that `viewer` may see (None: all) and counts the others. Raises NotFound,
        InputInvalid, BlueprintInvalid and Unavailable.
        """
        modes: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
            "explore": lambda: self._explore(spec, requester, simulation_id, now, tell),
            "rehearse": lambda: self._rehearse(spec, requester, simulation_id, now, tell),
            "replay": lambda: self._replay(spec, now),
            "backtest": lambda: self._backtest(spec, viewer, now, tell),
            "shadow": lambda: self._backtest(spec, viewer, now, tell),
        }
        result = await modes[spec.mode]()
        return {**result, "warnings": [*spec.ignored_fields, *result["warnings"]]}

    async def _explore(
        self, spec: SimulationSpec, requester: str, simulation_id: str, now: datetime, tell: Tell | None
    ) -> dict[str, Any]:
        scenario = await self._scenario(spec, requester, simulation_id, now)
        return await self._explored(scenario, requester, tell)

    async def _explored(self, scenario: Scenario, requester: str, tell: Tell | None) -> dict[str, Any]:
        return await self.pool.run(pool_functions.explore_with_proofs, scenario, tell=tell, by=requester)

    async def _rehearse(
        self, spec: SimulationSpec, requester: str, simulation_id: str, now: datetime, tell: Tell | None
    ) -> dict[str, Any]:
        scenario = await self._scenario(spec, requester, f"rehearsal-{simulation_id}", now)
        if self.client is None:
            result = await self._explored(scenario, requester, tell)
            why = "no engine is connected, so the process was explored instead of rehearsed"
            return {**result, "mode": "rehearse", "fell_back_to": "explore", "warnings": [why, *result["warnings"]]}
        # The simulated run of a rehearsal is computed in this process too: a dry run in the pool fails first.
        await self.pool.run(pool_functions.dry_run, scenario, by=requester, seconds=_DRY_RUN_SECONDS)
        engine = RehearsalEngine.beside(self.client, self.rehearsals, self.ui_url)
        found = await rehearse(engine, scenario, tell=tell)
        return await self.pool.run(pool_functions.with_proofs, scenario, found, by=requester)

    async def _replay(self, spec: SimulationSpec, now: datetime) -> dict[str, Any]:
        row, case, original, raw = await self.database.read(_replayed, spec)
        raw = patched(original if raw is None else raw, spec.patch)
        blueprint = await self.pool.run(parse_or_none, raw)

        def scenario_now(connection: Connection) -> Scenario:
            actions, children = dependencies(connection, blueprint, case.started_at)
            return Scenario(
                blueprint=raw,
                actions=actions,
                children=children,
                people=whole_directory(connection),
                requester=spec.person or case.requester,
                start=case.started_at,
                given=given_for(blueprint, spec, case.given),
                script=spec.script,
                past=past_of_process(connection, row.template, now),
                decide_after=spec.decide_after,
                horizon=spec.horizon,
                prices=spec.prices,
                request_id=case.id,
                title=row.title,
            )

        scenario = await self.database.read(scenario_now)
        compiled = (
            await self.pool.run(pool_functions.compile_scenario, scenario, blueprint) if blueprint is not None else None
        )
        scenario = replace(scenario, compiled=compiled)
        history = await check_history(self.client, case.id)
        unchanged = raw == original and not spec.script and spec.input is None
        return await self.pool.run(pool_functions.replay_with_changes, scenario, case, history, now, unchanged)

    async def _backtest(
        self, spec: SimulationSpec, viewer: str | None, now: datetime, tell: Tell | None
    ) -> dict[str, Any]:
        running = spec.mode == "shadow"
        name, candidate = await self._candidate(spec, now)
        wanted = (*spec.request_ids, *((spec.request_id,) if spec.request_id else ()))

        def read(connection: Connection) -> tuple[Sequence[ApprovalRequest], int]:
            return simulations.requests_of(
                connection, name, viewer=viewer, limit=spec.limit, running=running, only=wanted
            )

        requests, hidden = await self.database.read(read)
        # Errors of the candidate are raised also where there is no request.
        starts = candidate.uncompiled((now, *(request.started_at for request in requests)))
        candidate = await self.pool.run(pool_functions.compile_candidate, candidate, starts)
        started = perf_counter()
        rows: list[BacktestRow] = []
        # In batches: the timelines of all requests at once could take too much memory.
        for first in range(0, len(requests), _BATCH):
            cases = await self.database.read(cases_of, requests[first : first + _BATCH])
            left = started + MOST_SECONDS - perf_counter()
            run_batch = partial(
                pool_functions.backtest_cases,
                candidate,
                cases,
                until=now if running else None,
                seconds=left,
                done=len(rows),
                of=len(requests),
            )
            found = await self.pool.run(run_batch, tell=tell, seconds=_BATCH_SECONDS, background=True)
            rows += found
            if len(found) < len(cases):
                break
        whole = Backtest(rows=tuple(rows), totals=totals_of(rows), seconds=perf_counter() - started)
        left = len(requests) - len(rows)
        warnings = hidden_warning(hidden)
        if left:
            warnings.append(
                sentence(
                    "{left} requests were left out, because the backtest took more than {most_seconds:g} seconds",
                    left=left,
                    most_seconds=MOST_SECONDS,
                )
            )
        if not requests and not hidden:
            if running:
                warnings.append(sentence("no request of {name!r} runs yet", name=name))
            else:
                warnings.append(sentence("no request of {name!r} has ended yet", name=name))
        return {
            "mode": spec.mode,
            "template": name,
            "version": candidate.blueprint.version,
            **whole.described(),
            "left_out": hidden,
            "validation_errors": [],
            "warnings": warnings,
        }

    async def both_timelines(self, spec: SimulationSpec, request_id: str, now: datetime) -> dict[str, Any]:
        """Return one request of a backtest or a shadow as recorded and with its candidate, worked out anew."""
        _, candidate = await self._candidate(spec, now)
        row, case = await self.database.read(case_of, request_id)
        until = now if row.status == "pending" else None
        return await self.pool.run(pool_functions.both_timelines, candidate, case, case.started_at, until)

    async def branch_path(
        self, spec: SimulationSpec, taken: BranchKey, *, requester: str, simulation_id: str, now: datetime
    ) -> tuple[PathStep, ...] | None:
        """Return the path of a branch of an exploration; None where it is not found again."""
        scenario = await self._scenario(spec, requester, simulation_id, now)
        return await self.pool.run(pool_functions.branch_path, scenario, taken, by=requester)

    async def _candidate(self, spec: SimulationSpec, now: datetime) -> tuple[str, Candidate]:
        """Return the candidate of a spec, and the name of the process whose requests it is compared with."""
        name, raw = await self.database.read(candidate_of, spec)
        blueprint = await self.pool.run(parse_definition, raw)

        def read(connection: Connection) -> Candidate:
            actions, children = dependencies(connection, blueprint, now)
            people = whole_directory(connection)
            return Candidate(blueprint=blueprint, people=people, prices=spec.prices, actions=actions, children=children)

        return name, await self.database.read(read)

    async def _scenario(self, spec: SimulationSpec, requester: str, simulation_id: str, now: datetime) -> Scenario:
        return await scenario_of(
            self.database,
            self.pool.run,
            spec,
            requester=requester,
            now=now,
            simulation_id=simulation_id,
            read_past=past_of_process,
        )


def failed(result: dict[str, Any]) -> bool:
    """Whether a result says that nothing could be simulated."""
    return bool(result.get("validation_errors")) and not result.get("execution_path")


def _replayed(connection: Connection, spec: SimulationSpec) -> tuple[ApprovalRequest, Case, Any, Any]:
    """Return the request to replay with its timeline, its own blueprint, and the other one where there is one."""
    row, case = case_of(connection, spec.request_id or "")
    original = template_of(connection, row.template_id).blueprint
    raw: Any = spec.blueprint
    if raw is None and (spec.template or spec.version):
        raw = template_of(connection, spec.template or row.template, spec.version).blueprint
    return row, case, original, raw

"""Replay: check a real request's history against today's code, and simulate the request again with something changed.

People act as recorded as long as that is known. After that the approver model decides for them, and the result lists
whom it decided for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from placet.audit.chain import voids_decision
from placet.directory import Directory
from placet.errors import PlacetError
from placet.sentences import sentence, shortened
from simulation.modes.backtest import Case
from simulation.modes.explore import simulation_of, trace_warnings
from simulation.report.comparison import ComparedLine, before_claims, lines_of, side_by_side
from simulation.report.costs import price, usage_in
from simulation.report.prediction import predicted_from_history, predicted_from_rule
from simulation.report.result import Prediction, SimulationResult, json_value, milliseconds
from simulation.run.driver import Trace
from simulation.scenario.approver_model import ApproverModel
from simulation.scenario.prepared_scenario import PreparedScenario, invalid_result, prepare
from simulation.scenario.scenario import Scenario
from simulation.world.assumptions import warnings_of
from simulation.world.payloads import checked_calls, payload_errors, payload_warnings
from simulation.world.recorded_decisions import recorded_decisions_of
from simulation.world.recorded_people import RecordedPeople
from simulation.world.recorded_results import RecordedAnswers, recorded_answers
from simulation.world.world import SimulatedRun
from workflows.approval import Start
from workflows.registration import WORKFLOWS, workflow_runner

_LONGEST_FAILURE = 2000


@dataclass(frozen=True, kw_only=True)
class HistoryCheck:
    """The result of replaying a request's history in the engine; `ok` is None where there is no history, and `why`.

    `directory` is the part of the directory that the request started with.
    """

    ok: bool | None
    why: str | None = None
    events: int = 0
    directory: Directory | None = None

    def described(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {"ok": self.ok, "why": self.why, "events": self.events}


async def check_history(client: Client | None, request_id: str) -> HistoryCheck:
    """Replay a request's history in the engine against the workflows as they are now."""
    if client is None:
        return HistoryCheck(ok=None, why="no engine is connected")
    try:
        history = await client.get_workflow_handle(request_id).fetch_history()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return HistoryCheck(ok=None, why="the engine no longer has its history")
        return HistoryCheck(
            ok=None,
            why=shortened(
                sentence("the engine could not be reached: {message}", message=error.message), _LONGEST_FAILURE
            ),
        )
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=workflow_runner(),
        data_converter=client.data_converter,
        runtime=client.service_client.config.runtime,  # whose log is this process' own
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = result.replay_failure
    return HistoryCheck(
        ok=failure is None,
        why=None if failure is None else str(failure)[:_LONGEST_FAILURE],
        events=len(history.events),
        directory=await _directory(client, history),
    )


def what_if(
    scenario: Scenario, case: Case, *, history_check: HistoryCheck, now: datetime, unchanged: bool
) -> SimulationResult:
    """Simulate a real request with the blueprint and script of the scenario, and compare both timelines."""
    if history_check.directory is not None:
        known = Directory(people={**scenario.people.people, **history_check.directory.people})
        scenario = replace(scenario, people=known)
    prepared, errors = prepare(scenario)
    if prepared is None:
        return invalid_result("replay", scenario, errors)
    running = case.status == "pending"
    until = now if running else None
    recorded = recorded_decisions_of(case.entries, until=until)
    answered = recorded_answers(prepared.plan, case.entries, until=until, fill_gaps=True, lines=scenario.script)

    def replay_with(approver_model: ApproverModel) -> tuple[RecordedPeople, SimulatedRun]:
        people = RecordedPeople(
            plan=prepared.plan, recorded_decisions=recorded, lines=scenario.script, fallback=approver_model
        )
        return people, prepared.simulate(people, answered=answered)

    people, simulated = replay_with(prepared.approver_model())
    trace = simulated.trace
    predicted = _predicted(prepared, trace, people, lambda approver_model: replay_with(approver_model)[1].trace)
    was = lines_of(before_claims(case.entries), case.started_at)
    now_lines = lines_of(trace.entries, trace.started_at)
    called = tuple(checked_calls(simulated))
    warnings = [*prepared.warnings, *trace_warnings(trace), *payload_warnings(prepared.blueprint, called)]
    warnings += warnings_of(simulated, scenario.script)
    if people.assumed:
        names = ", ".join(f"{person} in {stage}" for stage, person in sorted(people.assumed))
        warnings.append(sentence("no recorded decision, assumed to approve: {names}", names=names))
    if isinstance(answered, RecordedAnswers) and answered.assumed:
        nodes = ", ".join(sorted(answered.assumed))
        warnings.append(
            sentence(
                "the input differs from the recorded one, and the recorded result was assumed: {nodes}; to change it, "
                'add a line to the script with "do": "answer"',
                nodes=nodes,
            )
        )
    rows = side_by_side(was, now_lines)
    return simulation_of(
        "replay",
        prepared,
        trace,
        errors=payload_errors(prepared.blueprint, called, prepared.given),
        warnings=warnings,
        predicted=predicted,
        extra={
            "request_id": case.id,
            "history": history_check.described(),
            "unchanged_blueprint": unchanged,
            "timelines": list(rows),
            "timelines_differ": sum(not row["same"] for row in rows),
            "assumed": [{"stage": stage, "person": f"user:{person}"} for stage, person in sorted(people.assumed)],
            "before": {
                **_facts(was, case.outcome, case.status),
                "cost": json_value(
                    price(usage_in(case.entries, notices=0, duration=_so_far(case, now)), prepared.prices)
                ),
            },
            "after": {
                **_facts(now_lines, trace.state.outcome, trace.state.status),
                "cost": json_value(price(usage_in(trace.entries, notices=0, duration=trace.duration), prepared.prices)),
            },
            "forecast": running,
        },
    )


def _so_far(case: Case, now: datetime) -> timedelta:
    """Return the duration of a request, until now where it still runs."""
    if case.status == "pending":
        return max(now - case.started_at, timedelta(0))
    return (case.ended_at or case.entries[-1].at) - case.started_at


def _predicted(
    prepared: PreparedScenario, trace: Trace, people: RecordedPeople, run: Callable[[ApproverModel], Trace]
) -> Prediction:
    """Predict the duration: by the recorded decisions, and after these by the response times of other requests."""
    if not people.assumed and not prepared.scenario.script:
        return predicted_from_rule(trace, "people act as recorded, after the recorded time")
    if prepared.scenario.script or prepared.scenario.decide_after is not None or not prepared.known:
        return prepared.predict(trace)
    seconds = prepared.scenario.seconds / 4
    return predicted_from_history(
        run, prepared.known, seconds=seconds, before="people act as recorded; what is not recorded is "
    )


def _facts(lines: Sequence[ComparedLine], outcome: str | None, status: str) -> dict[str, Any]:
    kinds = [line.kind for line in lines]
    decided: dict[str | None, str] = {}
    for line in lines:
        if line.kind == "decided":
            decided[line.task] = line.actor
        elif voids_decision(line.kind, line.detail):
            decided.pop(line.task, None)
    worst = "breached" if "sla_breached" in kinds else "warning" if "sla_warning" in kinds else "ok"
    return {
        "outcome": outcome,
        "status": status,
        "entries": len(lines),
        "duration_ms": milliseconds(lines[-1].after) if lines else 0,
        "sla_state": worst,
        "escalations": kinds.count("escalated"),
        "deciders": list(dict.fromkeys(decided.values())),
    }


async def _directory(client: Client, history: WorkflowHistory) -> Directory | None:
    """Return the directory that the request started with, from the first event of its history."""
    if not history.events:
        return None
    given = history.events[0].workflow_execution_started_event_attributes.input.payloads
    try:
        (start,) = await client.data_converter.decode(given, [Start])
    except (ValueError, TypeError, RuntimeError, PlacetError):
        return None  # written by older code: today's directory is used
    return start.opening.directory if isinstance(start, Start) else None

"""Replay: a real request's history against today's code, and its course again with something changed.

Where something is changed, people do what they did as long as that is known; from there on habits stand in, and the
answer says for whom.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from placet.directory import Directory
from placet.errors import PlacetError
from simulation.modes.backtest import Case
from simulation.modes.explore import about, simulation_of
from simulation.report.comparison import ComparedLine, lines_of, side_by_side
from simulation.report.costs import price, used_in
from simulation.report.prediction import declared, drawn
from simulation.report.result import Prediction, Simulation, milliseconds, plain
from simulation.run.driver import Course
from simulation.scenario.scenario import PreparedScenario, Scenario, prepare, unsound
from simulation.scenario.script import Habits
from simulation.world.assumptions import warnings_of
from simulation.world.past import Again, past_of
from simulation.world.payloads import called_in, payload_errors, payload_warnings
from simulation.world.recall import Recall, recall
from simulation.world.world import Foreseen
from workflows.approval import Start
from workflows.registration import WORKFLOWS, workflow_runner

_LONGEST_FAILURE = 2000


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the engine's history of a request says. `ok` None: there was none to look at, and `why`.

    `directory` are the people as the request knew them when it began.
    """

    ok: bool | None
    why: str | None = None
    events: int = 0
    directory: Directory | None = None

    def described(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"ok": self.ok, "why": self.why, "events": self.events}


async def check_history(client: Client | None, request_id: str) -> Checked:
    """Replay a request's history in the engine against the workflows as they are now."""
    if client is None:
        return Checked(ok=None, why="no engine was asked")
    try:
        history = await client.get_workflow_handle(request_id).fetch_history()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return Checked(ok=None, why="the engine does not hold its history any more")
        return Checked(ok=None, why=f"the engine could not be asked: {error.message}"[:_LONGEST_FAILURE])
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner(), data_converter=client.data_converter)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = result.replay_failure
    return Checked(
        ok=failure is None,
        why=None if failure is None else str(failure)[:_LONGEST_FAILURE],
        events=len(history.events),
        directory=await _directory(client, history),
    )


def what_if(question: Scenario, case: Case, *, checked: Checked, now: datetime, unchanged: bool) -> Simulation:
    """Drive a real request again by the question's blueprint and script, beside what it was."""
    if checked.directory is not None:
        known = Directory(people={**question.people.people, **checked.directory.people})
        question = replace(question, people=known)
    prepared, errors = prepare(question)
    if prepared is None:
        return unsound("replay", question, errors)
    running = case.status == "pending"
    until = now if running else None
    past = past_of(case.entries, until=until)
    answered = recall(prepared.plan, case.entries, until=until, guess=True, lines=question.script)

    def again(habits: Habits) -> tuple[Again, Foreseen]:
        people = Again(plan=prepared.plan, past=past, lines=question.script, beyond=habits)
        return people, prepared.foresee(people, answered=answered)

    players, foreseen = again(prepared.habits())
    course = foreseen.course
    predicted = _predicted(prepared, course, players, lambda habits: again(habits)[1].course)
    was = lines_of(case.entries, case.started_at)
    now_lines = lines_of(course.entries, course.started_at)
    called = tuple(called_in(foreseen))
    warnings = [*prepared.warnings, *about(course), *payload_warnings(prepared.blueprint, called)]
    warnings += warnings_of(foreseen, question.script)
    if players.assumed:
        names = ", ".join(f"{person} in {stage}" for stage, person in sorted(players.assumed))
        warnings.append(f"not known from the past, and assumed to approve: {names}")
    if isinstance(answered, Recall) and answered.assumed:
        nodes = ", ".join(sorted(answered.assumed))
        warnings.append(
            f"given another input than in the past, and assumed to come to the same: {nodes}; a line of the script, "
            '"do": "answer", says otherwise'
        )
    rows = side_by_side(was, now_lines)
    return simulation_of(
        "replay",
        prepared,
        course,
        errors=payload_errors(prepared.blueprint, called, prepared.given),
        warnings=warnings,
        predicted=predicted,
        extra={
            "request_id": case.id,
            "history": checked.described(),
            "unchanged_blueprint": unchanged,
            "timelines": list(rows),
            "timelines_differ": sum(not row["same"] for row in rows),
            "assumed": [{"stage": stage, "person": f"user:{person}"} for stage, person in sorted(players.assumed)],
            "before": {
                **_facts(was, case.outcome, case.status),
                "cost": plain(price(used_in(case.entries, notices=0, duration=_so_far(case, now)), prepared.prices)),
            },
            "after": {
                **_facts(now_lines, course.state.outcome, course.state.status),
                "cost": plain(price(used_in(course.entries, notices=0, duration=course.duration), prepared.prices)),
            },
            "forecast": running,
        },
    )


def _so_far(case: Case, now: datetime) -> timedelta:
    """Return how long a request took, or has taken until now."""
    if case.status == "pending":
        return max(now - case.started_at, timedelta(0))
    return (case.ended_at or case.entries[-1].at) - case.started_at


def _predicted(
    prepared: PreparedScenario, course: Course, players: Again, run: Callable[[Habits], Course]
) -> Prediction:
    """Return how long the request takes: as the past says, and where that ends as the past of others does."""
    if not players.assumed and not prepared.question.script:
        return declared(course, "people do what they did, after the time that they took")
    if prepared.question.script or prepared.question.decide_after is not None or not prepared.known:
        return prepared.predict(course)
    seconds = prepared.question.seconds / 4
    return drawn(run, prepared.known, seconds=seconds, before="people do what they did; what is not known is ")


def _facts(lines: Sequence[ComparedLine], outcome: str | None, status: str) -> dict[str, Any]:
    kinds = [line.kind for line in lines]
    worst = "breached" if "sla_breached" in kinds else "warning" if "sla_warning" in kinds else "ok"
    return {
        "outcome": outcome,
        "status": status,
        "entries": len(lines),
        "duration_ms": milliseconds(lines[-1].after) if lines else 0,
        "sla_state": worst,
        "escalations": kinds.count("escalated"),
        "deciders": list(dict.fromkeys(line.actor for line in lines if line.kind == "decided")),
    }


async def _directory(client: Client, history: WorkflowHistory) -> Directory | None:
    """Return the directory that the request began with, from its first event."""
    if not history.events:
        return None
    given = history.events[0].workflow_execution_started_event_attributes.input.payloads
    try:
        (start,) = await client.data_converter.decode(given, [Start])
    except (ValueError, TypeError, RuntimeError, PlacetError):
        return None  # written by code that is older than this: today's directory has to do
    return start.opening.directory if isinstance(start, Start) else None

"""Trials on a log: how right forecasts are about its cases, and what a blueprint would have changed in them.

The cases are replayed through the blueprint that the log shows; those that go another way are left out, and counted.
This is heavy work on what somebody sent: it runs in the pool of processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any, Final

from sqlalchemy import Connection

from insight.event_logs.course import Course
from insight.event_logs.fit import REQUESTER, Deviates, Replay, moment_of
from insight.event_logs.forecasting import MOST_CASES, evaluate_log
from insight.event_logs.suggesting import MOST_REPLAYED
from placet.definition.action_spec import ActionSpec
from placet.definition.model import ProcessDefinition, parse_definition
from placet.plan.plan import Child
from service.drafts.work import operations_of
from service.event_logs.content import LogContent
from service.forecasts.virtual import run
from simulation.modes.backtest import MOST_SECONDS, Backtest, Candidate, Case, backtest_all, totals_of
from simulation.scenario.load import dependencies
from simulation.scenario.spec import patched

MOST_ROWS: Final = 100
"""Cases of a backtest that are shown, those with changes first; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateOfLog:
    """What is tried on a log: a blueprint (None: the one that the log shows), changed by a patch (RFC 6902)."""

    blueprint: Mapping[str, Any] | None = None
    patch: Any = None
    actions: Mapping[str, ActionSpec] = field(default_factory=dict)
    children: Mapping[str, Child] = field(default_factory=dict)


def candidate_of(
    connection: Connection, definition: ProcessDefinition | None, blueprint: Any, patch: Any, now: datetime
) -> CandidateOfLog:
    """Return a candidate with the actions and sub-processes that it names; `definition` is its blueprint, parsed."""
    actions, children = dependencies(connection, definition, now)
    return CandidateOfLog(blueprint=blueprint, patch=patch, actions=actions, children=children)


def forecasts_on(content: LogContent, min_occurrences: int) -> dict[str, Any]:
    """Return how right forecasts are about the latest cases of a log, as JSON values; raises InputInvalid."""
    return evaluate_log(content.discovered(min_occurrences, most=MOST_CASES), run)


def backtest_on(content: LogContent, tried: CandidateOfLog, min_occurrences: int) -> dict[str, Any]:
    """Return what a blueprint would have changed in the later cases of a log, as JSON values.

    Raises InputInvalid and BlueprintInvalid.
    """
    log = content.discovered(min_occurrences)
    document: Any = log.document if tried.blueprint is None else tried.blueprint
    if tried.patch is not None:
        document = patched(document, operations_of(tried.patch))
    replay = Replay(parse_definition(log.document), log.found)
    candidate = Candidate.of(document, replay.people, actions=tried.actions, children=tried.children)
    chosen = log.later[:: max(1, -(-len(log.later) // MOST_REPLAYED))]
    left_out: Counter[str] = Counter()
    begun = perf_counter()
    rows = backtest_all(candidate, _cases(replay, chosen, left_out), end=begun + MOST_SECONDS, of=len(chosen))
    found = Backtest(rows=tuple(rows), totals=totals_of(rows), seconds=perf_counter() - begun).described()
    return {
        **found,
        "rows": found["rows"][:MOST_ROWS],
        "version": candidate.blueprint.version,
        "later_cases": len(log.later),
        "replayed": len(chosen),
        "left_out": [{"kind": kind, "count": count} for kind, count in left_out.most_common()],
    }


def _cases(replay: Replay, courses: Sequence[Course], left_out: Counter[str]) -> Iterator[Case]:
    """Yield the cases that the log's own blueprint reproduces, with the entries that it would have recorded."""
    for course in courses:
        try:
            replayed = replay.run(course)
        except Deviates as deviation:
            left_out[deviation.kind] += 1
            continue
        yield Case(
            id=course.case,
            requester=REQUESTER,
            given=replayed.given,
            status=replayed.state.status,
            outcome=replayed.state.outcome,
            started_at=moment_of(course.began),
            ended_at=replayed.state.ended_at,
            entries=replayed.entries,
        )

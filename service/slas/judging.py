"""Judge executions by an SLA from what is on record: the rows as they should be, computed from audit entries.

Whoever watches stores them (service.slas.monitoring), whoever reads figures counts them, and whoever verifies compares
them with what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from insight.slas import executions
from insight.slas.executions import Execution, Step
from insight.slas.judgement import AROUND_THE_CLOCK, Terms, Verdict, judge
from placet.definition.model import parse_definition
from placet.plan.calendar import Calendar
from placet.plan.calendar_compiler import compile_calendar
from storage.queries.definitions import definitions
from storage.queries.slas import executions as stored
from storage.queries.slas.executions import RequestFacts
from storage.tables.slas import SlaExecution, WorkflowSla

Key = tuple[str, int]
"""A request and a visit: the number of the entry with which the execution began."""
_MOST_CALENDARS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An execution of a request, with the verdict on it."""

    facts: RequestFacts
    execution: Execution
    verdict: Verdict

    def row(self, sla: WorkflowSla) -> SlaExecution:
        """Return it as it is stored."""
        execution, verdict = self.execution, self.verdict
        return SlaExecution(
            sla_id=sla.id,
            request_id=self.facts.id,
            visit=execution.visit,
            task_id=execution.task_id,
            began_at=execution.began_at,
            ended_at=execution.ended_at,
            end_seq=execution.end_seq,
            actual_seconds=verdict.seconds,
            warned=verdict.warned,
            breached=None if verdict.met is None else not verdict.met,
            known_at=verdict.known_at,
            look_at=verdict.look_at,
            head=self.facts.head,
        )


@dataclass(slots=True)
class Calendars:
    """The calendars of processes as their versions name them, compiled once for each year in which executions began."""

    _known: dict[tuple[str, int], Calendar] = field(default_factory=dict)

    def of(self, connection: Connection, template_id: str, began: datetime) -> Calendar:
        """Return the calendar by which time counts in a request that began then."""
        key = (template_id, began.year)
        if key not in self._known:
            if len(self._known) >= _MOST_CALENDARS:
                self._known.clear()
            settings = parse_definition(definitions.get(connection, template_id).blueprint).settings
            self._known[key] = compile_calendar(settings.calendar, settings.timezone, began)
        return self._known[key]


def forgotten(sla: WorkflowSla, ended: datetime | None) -> bool:
    """Whether what ended then may have been deleted, since no window counts it any more."""
    return ended is not None and sla.forgotten_until is not None and ended < sla.forgotten_until


def terms_of(sla: WorkflowSla) -> Terms:
    """Return the thresholds of a definition."""
    return Terms(
        target=sla.target_duration_seconds,
        warn=sla.warning_threshold_seconds,
        critical=sla.critical_threshold_seconds,
    )


def judge_requests(
    connection: Connection,
    sla: WorkflowSla,
    ids: Sequence[str],
    now: datetime,
    calendars: Calendars,
    *,
    lock: bool = False,
) -> dict[str, list[Judged]]:
    """Judge all executions of these requests; with `lock`, nothing is recorded of them until the transaction ends."""
    found: dict[str, list[Judged]] = {request_id: [] for request_id in ids}
    terms = terms_of(sla)
    for facts in stored.facts(connection, ids, kinds=executions.KINDS, lock=lock):
        for execution in executions.executions([Step(*step) for step in facts.steps], sla.stage):
            calendar = (
                calendars.of(connection, facts.template_id, execution.began_at)
                if sla.business_time
                else AROUND_THE_CLOCK
            )
            verdict = judge(terms, execution, now, calendar)
            found[facts.id].append(Judged(facts=facts, execution=execution, verdict=verdict))
    return found


def by_key(judged: Mapping[str, Sequence[Judged]]) -> dict[Key, Judged]:
    """Return what was judged by request and visit."""
    return {(one.facts.id, one.execution.visit): one for each in judged.values() for one in each}

"""Watch what SLAs measure: executions are judged as they go on and end, breaches stored once, and people told.

Everything is computed from what is on record, so that a process which dies in between loses nothing: what it has not
stored is found again. Any number of processes may watch one database. Where what was recorded is superseded by the
engine's history, its executions are judged anew, and breaches that it does not hold are taken back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from insight.slas.executions import VISIT_ENDS
from insight.slas.judgement import Breach
from insight.slas.window import Figures, figures
from service.slas.judging import Calendars, Judged, Key, by_key, judge_requests
from service.slas.people import chain_above, told_of
from storage.database import Database
from storage.queries.slas import breaches, definitions, executions
from storage.queries.slas.breaches import Letter
from storage.tables.slas import SlaBreach, WorkflowSla

OVERLAP: Final = timedelta(hours=1)
"""What ended so long before the last look is looked for again: it may have been recorded late."""
NOTED: Final = timedelta(minutes=1)
"""How often it is noted up to when everything is judged."""
AT_ONCE: Final = 200
"""Requests that are judged in one transaction."""
_MOST_LIVE: Final = 20_000  # requests that are judged to show figures, beside what is stored
MOST_REMINDERS: Final = 5
"""How often an unacknowledged breach is mailed again."""
BREACHED, WARNED = "slo_breached", "slo_warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The window of an SLO that ends at a moment, and its figures."""

    start: datetime
    end: datetime
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """An execution by which counts change: `by` is 1 for one that is added, -1 for one that is taken away."""

    known_at: datetime
    breached: bool
    by: int


class SlaMonitor:
    """Judges what SLAs measure, in turns; `again` is after how long an unacknowledged breach is mailed again."""

    def __init__(self, database: Database, *, again: timedelta) -> None:
        self._database = database
        self._again = again
        self._calendars = Calendars()

    async def look(self, now: datetime) -> int:
        """Judge what is to be judged now, mail again what nobody has acknowledged; return how many were looked at."""
        looked = 0
        for sla in await self._database.look_up(definitions.enabled):
            while ids := await self._database.read(_to_look_at, sla, now):
                changed = await self._database.write(self._judge, sla.id, ids, now)
                looked += len(ids)
                if len(ids) < AT_ONCE or not changed:
                    break
            if not ids and now - sla.judged_until >= NOTED:
                await self._database.write(definitions.note_judged, sla.id, now)
        if await self._database.look_up(breaches.any_to_remind, now):
            while reminded := await self._database.write(self._remind, now):
                looked += reminded
        return looked

    def _judge(self, connection: Connection, sla_id: str, ids: Sequence[str], now: datetime) -> int:
        """Judge requests and store what has changed, in one transaction; return how many executions were stored."""
        sla = definitions.get(connection, sla_id)
        if not sla.enabled:
            return 0
        judged = judge_requests(connection, sla, ids, now, self._calendars, lock=True)
        before, after = executions.judged(connection, sla.id, ids), by_key(judged)
        changed = [row for key, one in after.items() if before.get(key) != (row := one.row(sla))]
        executions.put(connection, changed)
        executions.forget(connection, sla.id, before.keys() - after.keys())
        known = breaches.of_requests(connection, sla.id, ids)
        removed = breaches.remove(connection, [row for row in known if not holds(row, after)])
        _finish(connection, known, after)
        there = {(row.request_id, row.visit, row.severity) for row in known}
        added = breaches.add(
            connection,
            [
                breach_row(sla, one, breach, now, again=now + self._again)
                for key, one in after.items()
                for breach in due_breaches(sla, one)
                if (*key, breach.severity) not in there
            ],
        )
        told = {key for key, row in before.items() if row.warned}
        letters = [*_of_breaches(connection, sla, added, after, now), *_of_warnings(connection, sla, after, told, now)]
        breaches.mail(connection, letters, now)
        breaches.count(connection, added, removed)
        return len(changed)

    def _remind(self, connection: Connection, now: datetime) -> int:
        """Mail unacknowledged breaches again, each time one manager further up; return how many."""
        rows = breaches.to_remind(connection, now, limit=AT_ONCE)
        letters = []
        for row in rows:
            reminders = row.reminders + 1
            again = now + self._again if reminders < MOST_REMINDERS else None
            breaches.note_reminded(connection, row.id, reminders, again)
            sla = definitions.get(connection, row.sla_id)
            first = _beginning(connection, row)
            if first is None:
                continue
            people = told_of(connection, row.owner, now)
            above = chain_above(connection, row.owner, reminders)
            detail = breach_detail(sla, row, stored_window(connection, sla, now).figures) | {"reminders": reminders}
            letters.append(
                Letter(
                    key=f"{breaches.key_of(row.id)}:{reminders}",
                    event=BREACHED,
                    request_id=row.request_id,
                    seq=row.visit,
                    hash=first,
                    people=tuple(dict.fromkeys((*people, *above))),
                    detail=detail,
                )
            )
        breaches.mail(connection, letters, now)
        return len(rows)


def _of_breaches(
    connection: Connection, sla: WorkflowSla, added: Sequence[SlaBreach], after: Mapping[Key, Judged], now: datetime
) -> Iterator[Letter]:
    """Yield what the owner and admins are told of new breaches."""
    if not added:
        return
    window = stored_window(connection, sla, now).figures
    for row in added:
        people = told_of(connection, row.owner, now)
        one = after[row.request_id, row.visit]
        yield _letter(breaches.key_of(row.id), BREACHED, one, people, breach_detail(sla, row, window))


def _of_warnings(
    connection: Connection, sla: WorkflowSla, after: Mapping[Key, Judged], told: Set[Key], now: datetime
) -> Iterator[Letter]:
    """Yield what the owner is told of open executions that have passed the warning threshold, each once."""
    for key, one in after.items():
        verdict = one.verdict
        if key in told or not verdict.warned or verdict.breaches or one.execution.ended_at is not None:
            continue
        people = told_of(connection, one.facts.owner, now, admins=False)
        name = f"sla-warning:{sla.id}:{one.facts.id}:{one.execution.visit}"
        yield _letter(name, WARNED, one, people, _warning_detail(sla, one))


def due_breaches(sla: WorkflowSla, one: Judged) -> tuple[Breach, ...]:
    """Return the breaches of an execution; none of what had ended before the SLA, or its thresholds, were there."""
    ended = one.execution.ended_at
    return one.verdict.breaches if ended is None or ended > sla.since else ()


def holds(row: SlaBreach, after: Mapping[Key, Judged]) -> bool:
    """Tell whether a breach is what the entries say: its execution has taken longer than the threshold."""
    one = after.get((row.request_id, row.visit))
    return one is not None and one.verdict.seconds > row.threshold_seconds


def breach_row(sla: WorkflowSla, one: Judged, breach: Breach, now: datetime, *, again: datetime) -> SlaBreach:
    """Return a breach as it is stored."""
    return SlaBreach(
        id=f"br_{uuid.uuid4().hex}",
        sla_id=sla.id,
        sla_name=sla.name,
        template=sla.template,
        request_id=one.facts.id,
        visit=one.execution.visit,
        task_id=one.execution.task_id,
        stage=sla.stage,
        severity=breach.severity,
        target_duration_seconds=sla.target_duration_seconds,
        threshold_seconds=breach.threshold,
        actual_duration_seconds=one.verdict.seconds,
        breached_at=breach.at,
        recorded_at=now,
        owner=one.facts.owner,
        reminders=0,
        remind_at=again,
    )


def stored_window(connection: Connection, sla: WorkflowSla, now: datetime) -> Window:
    """Return the window that ends now, as far as executions are judged."""
    start = now - timedelta(hours=sla.slo_window_hours)
    counted = definitions.counts(connection, sla.id, start, now)
    return Window(start=start, end=now, figures=figures(counted.total, counted.breached, sla.slo_target_percentage))


def live_window(connection: Connection, sla: WorkflowSla, now: datetime) -> Window:
    """Return the window that ends now, with what has not been judged yet."""
    start = now - timedelta(hours=sla.slo_window_hours)
    counted = definitions.counts(connection, sla.id, start, now)
    total, missed = counted.total, counted.breached
    for one in unjudged(connection, sla, now):
        if start < one.known_at <= now:
            total += one.by
            missed += one.by * one.breached
    return Window(start=start, end=now, figures=figures(total, missed, sla.slo_target_percentage))


def unjudged(connection: Connection, sla: WorkflowSla, now: datetime) -> Iterator[Unjudged]:
    """Yield by what the stored counts of an SLA are behind: executions as they are now, less how they are stored."""
    ids = _to_look_at(connection, sla, now, limit=_MOST_LIVE)
    calendars = Calendars()
    for at in range(0, len(ids), AT_ONCE):
        some = ids[at : at + AT_ONCE]
        before = executions.judged(connection, sla.id, some)
        after = by_key(judge_requests(connection, sla, some, now, calendars))
        for rows, by in ((before.values(), -1), ([one.row(sla) for one in after.values()], 1)):
            for row in rows:
                if row.known_at is not None:
                    yield Unjudged(known_at=row.known_at, breached=bool(row.breached), by=by)


def breach_detail(sla: WorkflowSla, row: SlaBreach, window: Figures) -> dict[str, Any]:
    """Return what a mail says of a breach."""
    margin = row.actual_duration_seconds - row.target_duration_seconds
    return {
        "severity": row.severity,
        "sla": row.sla_name,
        "workflow": row.template,
        "stage": row.stage,
        "target_seconds": _plain(row.target_duration_seconds),
        "actual_seconds": _plain(row.actual_duration_seconds),
        "margin_seconds": _plain(margin),
        "margin_percent": f"{100 * margin / row.target_duration_seconds:.1f}",
        "executions": window.total,
        "breached_executions": window.breached,
        "current_slo": "-" if window.current_slo is None else f"{window.current_slo:.1f}",
        "target_slo": f"{sla.slo_target_percentage:g}",
    }


def _warning_detail(sla: WorkflowSla, one: Judged) -> dict[str, Any]:
    return {
        "sla": sla.name,
        "workflow": sla.template,
        "stage": sla.stage,
        "target_seconds": _plain(sla.target_duration_seconds),
        "actual_seconds": _plain(one.verdict.seconds),
    }


def _plain(seconds: float) -> int | float:
    short = round(seconds, 3)
    return int(short) if short == int(short) or short >= 60 else short


def _letter(key: str, event: str, one: Judged, people: Sequence[str], detail: Mapping[str, Any]) -> Letter:
    return Letter(
        key=key,
        event=event,
        request_id=one.facts.id,
        seq=one.execution.visit,
        hash=one.facts.hashes[one.execution.visit],
        people=tuple(people),
        detail=detail,
    )


def _finish(connection: Connection, known: Sequence[SlaBreach], after: Mapping[Key, Judged]) -> None:
    """Note of breaches how long their executions have taken in the end."""
    for row in known:
        one = after.get((row.request_id, row.visit))
        if one is None or one.execution.ended_at is None or not holds(row, after):
            continue
        if row.actual_duration_seconds != one.verdict.seconds:
            breaches.set_actual(connection, row.id, one.verdict.seconds)


def _beginning(connection: Connection, row: SlaBreach) -> str | None:
    """Return the hash of the entry with which the execution of a breach began."""
    for facts in executions.facts(connection, [row.request_id], kinds=("started", "task_opened")):
        return facts.hashes.get(row.visit)
    return None


def _to_look_at(connection: Connection, sla: WorkflowSla, now: datetime, *, limit: int = AT_ONCE) -> list[str]:
    since = sla.judged_until - OVERLAP
    return executions.to_look_at(connection, sla, now, since=since, stage_ends=VISIT_ENDS, limit=limit)

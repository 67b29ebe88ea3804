"""Recompute what SLAs have judged from the audit entries, and compare it with what is stored and counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, TypedDict

from sqlalchemy import Connection

from service.slas.judging import Calendars, Judged, Key, by_key, forgotten, judge_requests
from service.slas.monitoring import AT_ONCE, OVERLAP, due_breaches, holds
from storage.database import Database
from storage.queries.slas import breaches, definitions, executions
from storage.tables.slas import SlaBreach, SlaExecution, WorkflowSla

MOST_FAULTS: Final = 50
"""How many faults are told."""


class VerifiedSlas(TypedDict):
    """What was found: how many executions and breaches were recomputed, and what is not as the entries tell it."""

    ok: bool
    executions: int
    breaches: int
    faults: list[str]


async def verify_slas(database: Database, now: datetime) -> VerifiedSlas:
    """Verify every SLA that is switched on, all breaches on record, and their count."""
    found = VerifiedSlas(ok=True, executions=0, breaches=0, faults=[])
    calendars = Calendars()
    for sla in await database.read(definitions.every):
        after = ""
        while ids := await database.read(executions.of_process, sla.template, after=after, limit=AT_ONCE):
            faults, judged, kept = await database.read(_verify, sla, ids, now, calendars)
            found["faults"] += faults
            found["executions"] += judged
            found["breaches"] += kept
            after = ids[-1]
    found["faults"] += await database.read(_miscounted)
    found["ok"] = not found["faults"]
    del found["faults"][MOST_FAULTS:]
    return found


def _verify(
    connection: Connection, sla: WorkflowSla, ids: list[str], now: datetime, calendars: Calendars
) -> tuple[list[str], int, int]:
    """Return what is wrong with some requests, how many executions they have, and how many breaches are stored."""
    after = by_key(judge_requests(connection, sla, ids, now, calendars))
    kept = breaches.of_requests(connection, sla.id, ids)
    faults = [*_wrong_breaches(sla, after, kept)]
    if sla.enabled:
        faults += _wrong_rows(sla, after, executions.judged(connection, sla.id, ids))
    return faults, len(after), len(kept)


def _wrong_rows(sla: WorkflowSla, after: dict[Key, Judged], stored: dict[Key, SlaExecution]) -> Iterator[str]:
    for key, one in after.items():
        row, ended = stored.get(key), one.execution.ended_at
        if ended is None:
            continue  # it is judged as it goes on
        if row is None:  # of what was broken off in time, nothing is to be known
            known = one.verdict.met is not None
            if known and _settled(sla, ended) and ended > sla.since and not forgotten(sla, ended):
                yield _fault(sla, key, "was never judged")
        elif (row.head == one.facts.head or _settled(sla, ended)) and _facts(row) != _facts(one.row(sla)):
            yield _fault(sla, key, "is stored otherwise than its entries tell it")
    for key in stored.keys() - after.keys():
        yield _fault(sla, key, "is stored, and there is no such execution")


def _wrong_breaches(sla: WorkflowSla, after: dict[Key, Judged], kept: list[SlaBreach]) -> Iterator[str]:
    there = {(row.request_id, row.visit, row.severity) for row in kept}
    for row in kept:
        key = row.request_id, row.visit
        if not holds(row, after):
            yield _fault(sla, key, f"has a breach ({row.severity}) that its entries do not have")
            continue
        ended = after[key].execution.ended_at
        differs = row.actual_duration_seconds != after[key].verdict.seconds
        if differs and ended is not None and _settled(sla, ended):
            yield _fault(sla, key, f"has a breach ({row.severity}) of another duration")
    for key, one in after.items():
        ended = one.execution.ended_at
        if not sla.enabled or ended is None or not _settled(sla, ended):
            continue
        for breach in due_breaches(sla, one):
            if (*key, breach.severity) not in there:
                yield _fault(sla, key, f"has no breach ({breach.severity}), and its entries have one")


def _miscounted(connection: Connection) -> list[str]:
    counted = breaches.counted(connection)
    return [
        f"{breaches.TOTAL} counts {counted.get(severity, 0):g} breaches ({severity}), and {number} are stored"
        for severity, number in breaches.totals(connection).items()
        if counted.get(severity, 0) != number
    ]


def _settled(sla: WorkflowSla, ended: datetime) -> bool:
    """Tell whether nobody looks for what ended then any more."""
    return ended <= sla.judged_until - OVERLAP


def _facts(row: SlaExecution) -> tuple[object, ...]:
    return row.began_at, row.ended_at, row.end_seq, row.actual_seconds, row.breached, row.known_at, row.task_id


def _fault(sla: WorkflowSla, key: Key, what: str) -> str:
    return f"SLA {sla.name!r}: request {key[0]}, from its entry {key[1]} on, {what}"

"""Measure the requests of a canary: each once, when it has ended or has been open for as long as the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from placet.definition.action_spec import ActionSpec
from placet.errors import NotFound
from service.slas.judging import Calendars, judge_requests
from simulation.report.costs import Prices, parse_prices, price, usage_in, with_catalog
from storage.queries import actions, canaries
from storage.queries.canaries import ToMeasure
from storage.queries.requests import timelines
from storage.queries.requests.timelines import TimelineRow
from storage.queries.slas import definitions as slas
from storage.tables.canaries import WorkflowCanary

AT_ONCE = 100
"""Requests that are measured in one transaction."""


def measured_now(connection: Connection, canary: WorkflowCanary, now: datetime) -> list[dict[str, Any]]:
    """Measure up to AT_ONCE requests of a canary that are due, and return them as they are stored."""
    horizon = timedelta(seconds=canary.horizon_seconds)
    due = canaries.to_measure(connection, canary.id, before=now - horizon, limit=AT_ONCE)
    catalog = actions.specs(connection) if due and canary.prices is not None else {}
    return [_measured(connection, canary, one, now, catalog) for one in due]


def _measured(
    connection: Connection, canary: WorkflowCanary, one: ToMeasure, now: datetime, catalog: Mapping[str, ActionSpec]
) -> dict[str, Any]:
    """Return what is known of a request until its end or horizon; nothing that happens later changes it."""
    horizon = one.started_at + timedelta(seconds=canary.horizon_seconds)
    ended = one.ended_at is not None and one.ended_at <= horizon
    until = one.ended_at if ended and one.ended_at is not None else horizon
    entries = [entry for entry in timelines.of_request(connection, one.request_id) if entry.at <= until]
    return {
        "request_id": one.request_id,
        "measured_at": now,
        "duration_seconds": (until - one.started_at).total_seconds(),
        "outcome": float(ended and one.outcome == "approved"),
        "sla": _missed(connection, canary, one.request_id, until, entries),
        "cost": _cost(canary, entries, until - one.started_at, catalog),
    }


def _missed(
    connection: Connection,
    canary: WorkflowCanary,
    request_id: str,
    until: datetime,
    entries: list[TimelineRow],
) -> float | None:
    """Return 1 where the SLA, or without one the deadline of a stage, was missed; None where the SLA is gone."""
    if canary.sla_id is None:
        return float(any(entry.kind == "sla_breached" for entry in entries))
    with suppress(NotFound):
        sla = slas.get(connection, canary.sla_id)
        judged = judge_requests(connection, sla, [request_id], until, Calendars())
        breaches = (breach for each in judged.values() for found in each for breach in found.verdict.breaches)
        return float(any(breach.at <= until for breach in breaches))
    return None


def _cost(
    canary: WorkflowCanary, entries: list[TimelineRow], duration: timedelta, catalog: Mapping[str, ActionSpec]
) -> float | None:
    if canary.prices is None:
        return None
    prices: Prices = with_catalog(parse_prices(canary.prices), catalog)
    notices = sum(entry.kind == "notified" for entry in entries)
    total: Decimal = price(usage_in(entries, notices=notices, duration=duration), prices).total
    return float(total)

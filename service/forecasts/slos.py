"""Forecasts of SLOs: what the window of one is at a later moment, from what its SLA has judged and what is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final, Literal

from sqlalchemy import Connection

from insight.forecast.forecaster import TOO_FEW
from insight.forecast.slo import Objective, OpenNow, PastExecution, SloForecast, forecast_slo
from insight.forecast.window import LEAST_EXECUTIONS
from insight.slas.judgement import AROUND_THE_CLOCK
from placet.errors import InputInvalid
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from service.slas.judging import Calendars, judge_requests
from storage.queries.definitions import definitions as processes
from storage.queries.slas import definitions, executions
from storage.tables.slas import WorkflowSla

MOST_PAST: Final = 5_000
"""Executions of the past that are read, the latest."""
MOST_OPEN: Final = 1_000
"""Open requests that are looked at; of more, these speak for the others."""
_AT_ONCE: Final = 200
_LEAST_EARLIER: Final = timedelta(days=1)  # that are kept beyond the window


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    sla: WorkflowSla
    objective: Objective
    past: tuple[PastExecution, ...]
    open_now: OpenNow


async def slo_forecast(
    context: Context, principal: Principal, sla_id: str, ahead_hours: float | None
) -> tuple[WorkflowSla, SloForecast | Literal["too_few"]]:
    """Return an SLA and the forecast of the window that ends so many hours from now, by default one window ahead.

    Raises NotFound, InputInvalid, Busy and TooMuchWork.
    """
    now = context.now()
    read = await context.database.read(_read, sla_id, now)
    window = read.sla.slo_window_hours
    if ahead_hours is not None and ahead_hours > window:
        raise InputInvalid.at(
            "/ahead_hours",
            sentence("{given} is more than the window of {window} hours; write less", given=ahead_hours, window=window),
        )
    _check_kept(read.sla, now)
    ahead = timedelta(hours=window if ahead_hours is None else ahead_hours)
    if len(read.past) < LEAST_EXECUTIONS:
        return read.sla, TOO_FEW
    found = await context.pool.run(
        forecast_slo, read.objective, read.past, read.open_now, now, ahead, by=principal.person
    )
    return read.sla, found


def _check_kept(sla: WorkflowSla, now: datetime) -> None:
    """Raise InputInvalid where executions are kept for no longer than one window: then there is no earlier one."""
    window = timedelta(hours=sla.slo_window_hours)
    if sla.forgotten_until is not None and sla.forgotten_until + window > now - _LEAST_EARLIER:
        raise InputInvalid.at(
            "/slo_window_hours",
            sentence(
                "executions are kept for no longer than the window of {window} hours, so there is no earlier window to "
                "hold a forecast to; choose a shorter window, or have PLACET_SLA_EXECUTIONS_DAYS raised to {days} or "
                "more",
                window=f"{sla.slo_window_hours:g}",
                days=ceil(2 * sla.slo_window_hours / 24),
            ),
        )


def _read(connection: Connection, sla_id: str, now: datetime) -> _Read:
    sla = definitions.get(connection, sla_id)
    past = tuple(
        PastExecution(
            began_at=row.began_at,
            known_at=row.known_at,
            seconds=row.actual_seconds,
            ended=row.ended_at is not None,
            missed=row.breached,
        )
        for row in executions.known(connection, sla_id, now, limit=MOST_PAST)
    )
    calendars = Calendars()
    clock = AROUND_THE_CLOCK
    if sla.business_time:
        began = min((one.began_at for one in past), default=now)
        clock = calendars.of(connection, processes.find(connection, sla.template).id, began)
    return _Read(
        sla=sla,
        objective=Objective(
            target=sla.target_duration_seconds,
            share=sla.slo_target_percentage,
            window=timedelta(hours=sla.slo_window_hours),
            clock=clock,
            whole_since=sla.forgotten_until,
        ),
        past=past,
        open_now=_open_now(connection, sla, now, calendars),
    )


def _open_now(connection: Connection, sla: WorkflowSla, now: datetime, calendars: Calendars) -> OpenNow:
    """Return how long open executions have taken that have not missed their target."""
    number, ids = executions.pending(connection, sla, limit=MOST_OPEN)
    seconds: list[float] = []
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        for judged in judge_requests(connection, sla, some, now, calendars).values():
            seconds += [
                one.verdict.seconds for one in judged if one.execution.ended_at is None and one.verdict.met is None
            ]
    count = len(seconds) if number <= len(ids) else round(number * len(seconds) / len(ids))
    return OpenNow(seconds=seconds, count=count)

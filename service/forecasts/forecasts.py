"""Forecasts for open requests, from forecasters that are kept for each version of a process and made anew in time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from insight.forecast.forecaster import Forecast, Forecaster
from insight.forecast.futures import Around
from placet.directory import Directory
from placet.engine.state import State
from placet.errors import Gone
from placet.plan.plan import Plan
from service.commands import what_stands
from service.context import Context
from service.engine import client as engine
from service.forecasts.learning import learn_from
from service.principal import Principal
from service.visibility import seen_request
from storage.queries.definitions import definitions
from storage.queries.people import people as stored_people
from storage.queries.requests import requests
from storage.queries.requests.past import PastRequestRow, past_of, waiting_for
from storage.tables.approvals import DefinitionVersion

REFRESH = timedelta(minutes=15)  # after which the past is read anew
_MOST_KEPT = 64  # versions of processes
_MOST_ABSENCES = 32  # of one person, one after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    made_at: datetime
    forecaster: Forecaster | Literal["too_few"]


@dataclass(kw_only=True)
class Forecasters:
    """The forecasters of this process, by version; each is made by one caller while the others wait for it."""

    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _making: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def of(
        self, context: Context, template: DefinitionVersion, plan: Plan, *, by: str
    ) -> Forecaster | Literal["too_few"]:
        """Return the forecaster of a version, for whom it is made if need be; raises Busy and TooMuchWork."""
        async with self._making.setdefault(template.id, asyncio.Lock()):
            now, kept = context.now(), self._kept.get(template.id)
            if kept is None or now - kept.made_at >= REFRESH:
                rows, people = await context.database.read(_past, template.id)
                forecaster = await context.pool.run(learn_from, plan, rows, people, by=by)
                kept = self._kept[template.id] = _Kept(made_at=now, forecaster=forecaster)
            self._kept.move_to_end(template.id)
            while len(self._kept) > _MOST_KEPT:
                gone, _ = self._kept.popitem(last=False)
                self._making.pop(gone, None)
            return kept.forecaster


async def forecast_of(context: Context, principal: Principal, request_id: str) -> Forecast | Literal["too_few"]:
    """Return the forecast for a request that its viewer sees; "too_few" where the past says too little.

    Raises NotFound, Ended, Unavailable, Busy and TooMuchWork.
    """

    def read(connection: Connection) -> DefinitionVersion:
        stored = seen_request(connection, principal, request_id, context.now())
        if stored.request.status != "pending":
            raise what_stands(stored, None)
        return definitions.get(connection, stored.request.template_id)

    template = await context.database.read(read)
    try:
        state = await engine.state_of(context, request_id)
    except Gone:  # it has ended since, or was terminated in the engine
        raise what_stands(await context.database.read(requests.read, request_id), None) from None
    plan = await context.plans.of(context.database, template, state.started_at)
    forecaster = await context.forecasters.of(context, template, plan, by=principal.person)
    if forecaster == "too_few":
        return "too_few"
    now = context.now()
    around = await context.database.read(_around, template.id, state, now)
    return await asyncio.to_thread(forecaster.of, plan, state, now, around)


def _around(connection: Connection, template_id: str, state: State, now: datetime) -> Around:
    """Read how those stand who are asked now: what waits for them, and until when they are away."""
    asked = sorted({task.assignee for task in state.open_tasks if task.assignee is not None})
    if not asked:
        return Around()
    people = stored_people.read_directory(connection, (), also=asked, given=None)
    away = {person: back for person in asked if (back := _back(people, person, now)) is not None}
    return Around(waiting=waiting_for(connection, template_id, asked), away=away)


def _back(people: Directory, person: str, now: datetime) -> datetime | None:
    """Return when a person is back; None for who is there, or has a substitute who may decide."""
    if people.substitutes_of(person, now):
        return None
    back: datetime | None = None
    for _ in range(_MOST_ABSENCES):  # one absence may begin where another ends
        absence = people.absence(person, back or now)
        if absence is None:
            break
        back = absence.until
    return back


def _past(connection: Connection, template_id: str) -> tuple[list[PastRequestRow], Directory]:
    return past_of(connection, template_id), stored_people.everyone(connection)

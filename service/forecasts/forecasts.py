"""Forecasts for open requests, from forecasters that are kept for each version of a process and made anew in time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from insight.forecast.forecaster import Forecast, Forecaster
from placet.directory import Directory
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
from storage.queries.requests.past import PastRequestRow, past_of
from storage.tables.approvals import DefinitionVersion

REFRESH = timedelta(minutes=15)  # after which the past is read anew
_MOST_KEPT = 64  # versions of processes


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
    return await asyncio.to_thread(forecaster.of, plan, state, context.now())


def _past(connection: Connection, template_id: str) -> tuple[list[PastRequestRow], Directory]:
    return past_of(connection, template_id), stored_people.everyone(connection)

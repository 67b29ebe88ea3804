"""What a request has cost so far: the time of approvers, actions, notifications, and the delay."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from placet.definition.action_spec import ActionSpec
from service.context import Context
from service.principal import Principal
from service.visibility import seen_request
from simulation.report.costs import Prices, Usage, price, usage_in, with_catalog
from simulation.report.result import ExecutionCost
from storage.queries import actions
from storage.queries.requests import timelines
from storage.queries.requests.requests import RequestWithTasks
from storage.queries.requests.timelines import TimelineRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """The usage of a request and its price, so far where the request is `running`."""

    used: Usage
    cost: ExecutionCost
    running: bool


async def cost_of_request(context: Context, principal: Principal, request_id: str, given: Prices) -> RequestCost:
    """Price a request by what is on record; an action without a given price has that of the catalog.

    Raises NotFound where there is no such request that is theirs to see.
    """
    now = context.now()

    def read(connection: Connection) -> tuple[RequestWithTasks, list[TimelineRow], dict[str, ActionSpec]]:
        stored = seen_request(connection, principal, request_id, now)
        return stored, timelines.of_request(connection, request_id), actions.specs(connection)

    stored, timeline, catalog = await context.database.read(read)
    notices = sum(entry.kind == "notified" for entry in timeline)
    ended_at = stored.request.ended_at
    used = usage_in(timeline, notices=notices, duration=(ended_at or now) - stored.request.started_at)
    return RequestCost(used=used, cost=price(used, with_catalog(given, catalog)), running=ended_at is None)

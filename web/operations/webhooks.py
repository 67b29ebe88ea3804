"""Webhooks as their pages show them: each endpoint with what waits and failed, and its deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from storage.queries.notifications import webhook_deliveries, webhooks
from storage.queries.simulations import simulations
from storage.tables.notifications import NotificationMessage, WebhookEndpoint
from web.languages import Wording
from web.operations import deliveries as called
from web.paging import PAGE
from web.views.people import names_of
from web.views.words import marked

STATUSES: Final = {
    "failed": (marked("Failed"), "bad"),
    "pending": (marked("Waiting"), "open"),
    "sent": (marked("Delivered"), "good"),
    "dropped": (marked("Not sent"), "plain"),
}
"""What the state of a delivery is called, and its tone, in the order in which a page offers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointLine:
    """One endpoint: where it is, how it is in a word, how much waits for it and failed, and what it gets, in words."""

    row: WebhookEndpoint
    events: tuple[str, ...]
    by: str
    word: str
    tone: str
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryLine:
    """One delivery: what it tells of which request, how it is, and when that was or is to come.

    `again` says whether it may be sent again; `retried` that an attempt has failed and another will come.
    """

    key: str
    event: str
    request_id: str
    title: str
    word: str
    tone: str
    at: datetime
    attempts: int
    error: str | None
    again: bool
    retried: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """A page of the deliveries of one endpoint."""

    endpoint: EndpointLine
    lines: tuple[DeliveryLine, ...]
    next_cursor: str | None


def read_endpoints(
    connection: Connection, wording: Wording, cursor: str | None
) -> tuple[list[EndpointLine], str | None]:
    """Read a page of the endpoints, the oldest first, and the cursor of the next; InputInvalid for an invalid one."""
    page = webhooks.page(connection, limit=PAGE, cursor=cursor)
    return _lines(connection, page.items, wording), page.next_cursor


def read_endpoint(connection: Connection, webhook_id: str, wording: Wording) -> EndpointLine:
    """Read one endpoint; raises NotFound."""
    return _lines(connection, [webhooks.get(connection, webhook_id)], wording)[0]


def read_deliveries(
    connection: Connection, webhook_id: str, wording: Wording, *, status: str | None, cursor: str | None
) -> Deliveries:
    """Read a page of an endpoint's deliveries; raises NotFound, and InputInvalid for an invalid cursor."""
    endpoint = read_endpoint(connection, webhook_id, wording)
    page = webhook_deliveries.page(connection, webhook_id, limit=PAGE, cursor=cursor, status=status)
    titles = simulations.titles(connection, [row.request_id for row in page.items], viewer=None)
    lines = tuple(_delivery(row, titles, wording, active=endpoint.row.active) for row in page.items)
    return Deliveries(endpoint=endpoint, lines=lines, next_cursor=page.next_cursor)


def _lines(connection: Connection, rows: Sequence[WebhookEndpoint], wording: Wording) -> list[EndpointLine]:
    counts = webhook_deliveries.counts(connection, (row.id for row in rows))
    names = names_of(connection, [row.created_by for row in rows])
    found = []
    for row in rows:
        count = counts.get(row.id, {})
        failed = count.get("failed", 0)
        if not row.active:
            word, tone = wording.say("Switched off"), "bad"
        elif failed:
            word, tone = wording.say("Some failed"), "warn"
        else:
            word, tone = wording.say("On"), "good"
        found.append(
            EndpointLine(
                row=row,
                events=tuple(called.event(wording.say, one) for one in row.events),
                by=names(row.created_by),
                word=word,
                tone=tone,
                waiting=count.get("pending", 0),
                failed=failed,
            )
        )
    return found


def _delivery(row: NotificationMessage, titles: dict[str, str], wording: Wording, *, active: bool) -> DeliveryLine:
    word, tone = STATUSES[row.status]
    retried = row.status == "pending" and row.attempts > 0
    return DeliveryLine(
        key=row.key,
        event=called.event(wording.say, row.event),
        request_id=row.request_id,
        title=titles.get(row.request_id) or row.request_id,
        word=wording.say("Tried again") if retried else wording.say(word),
        tone="warn" if retried else tone,
        at=row.next_attempt_at if row.status == "pending" else row.finished_at or row.next_attempt_at,
        attempts=row.attempts,
        error=row.last_error,
        again=active and row.status != "pending",
        retried=retried,
    )

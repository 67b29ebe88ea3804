"""Pages of webhooks: the endpoints, what was delivered to each, and what failed sent again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import Connection

from placet.errors import InputInvalid, PlacetError
from service.administration import webhooks
from service.administration.notifications import send_again
from storage.queries.notifications.webhooks import PREFIX
from web.forms.reading import Entries, whole
from web.languages import utc
from web.operations.webhooks import STATUSES, read_deliveries, read_endpoint, read_endpoints
from web.routes.common import Here, WebContext, entries_of, operations_frame, record, see_other, shown
from web.security import PageRoute
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/operations/webhooks", route_class=PageRoute)

WebhookId = Annotated[str, Path(max_length=200)]
_USUAL = timedelta(days=1)  # how far back a replay goes, unless its form says otherwise


@router.get("")
async def list_webhooks(
    request: Request, here: Here, visitor: SignedIn, cursor: Annotated[str | None, Query(max_length=500)] = None
) -> HTMLResponse:
    """Show a page of the endpoints, with what waits for each and what failed."""

    def read(connection: Connection) -> dict[str, Any]:
        found, following = read_endpoints(connection, visitor.wording, cursor)
        frame = operations_frame(connection, visitor, "webhooks")
        return {"endpoints": found, "next_cursor": following} | frame

    return shown(request, "operations/webhooks.html", **await here.context.database.read(read))


@router.get("/{webhook_id}")
async def show_webhook(
    request: Request,
    here: Here,
    visitor: SignedIn,
    webhook_id: WebhookId,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> HTMLResponse:
    """Show one endpoint with its deliveries, the latest first."""
    return await _page(request, here, visitor, webhook_id, cursor=cursor)


@router.post("/{webhook_id}/switch")
async def switch(request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId) -> Response:
    """Switch an endpoint off, or on again."""
    entries = await entries_of(request, visitor)
    await webhooks.switch_webhook(here.context, visitor.principal, webhook_id, active=entries.text("active") == "yes")
    return see_other(f"/operations/webhooks/{webhook_id}", "saved")


@router.post("/{webhook_id}/deliveries")
async def deliver_again(request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId) -> Response:
    """Send one event to this endpoint again; it keeps its id."""
    entries = await entries_of(request, visitor)
    try:
        queued, _ = await send_again(
            here.context, visitor.principal, entries.text("notice"), channel=PREFIX + webhook_id
        )
    except PlacetError as error:
        await record(here, visitor, "resend", error)
        raise
    return see_other(f"/operations/webhooks/{webhook_id}", "resend" if queued else "resend_none")


@router.get("/{webhook_id}/replay")
async def preview(
    request: Request,
    here: Here,
    visitor: SignedIn,
    webhook_id: WebhookId,
    since: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    """Show how many deliveries a replay would send again, before it does."""
    entered = Entries.of([("since", since)], visitor.wording.zone)
    try:
        start = _moment(entered, "since", visitor)
    except InputInvalid as error:
        return await _page(request, here, visitor, webhook_id, since=since, error=error)
    until = visitor.wording.now
    failed = await webhooks.count_failed(here.context, webhook_id, start, until)

    def read(connection: Connection) -> dict[str, Any]:
        return {"endpoint": read_endpoint(connection, webhook_id, visitor.wording)} | operations_frame(
            connection, visitor, "webhooks"
        )

    values = await here.context.database.read(read)
    return shown(
        request,
        "operations/replay.html",
        since=start,
        until=until,
        failed=failed,
        going=min(failed, webhooks.MOST_REPLAYED),
        **values,
    )


@router.post("/{webhook_id}/replay")
async def replay(request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId) -> Response:
    """Send what failed in the span that was shown again; a form that is sent twice finds nothing more."""
    entries = await entries_of(request, visitor)
    since, until = _moment(entries, "since", visitor), _moment(entries, "until", visitor)
    try:
        queued = await webhooks.replay(here.context, visitor.principal, webhook_id, since, until)
    except PlacetError as error:
        await record(here, visitor, "replay", error)
        raise
    return see_other(f"/operations/webhooks/{webhook_id}?replayed={queued}")


def _moment(entries: Entries, name: str, visitor: Visitor) -> datetime:
    """Return a moment that was entered in the reader's time zone; raises InputInvalid."""
    at = utc(entries.moment(entries.text(name)))
    if at is None:
        raise InputInvalid.at(f"/{name}", visitor.wording.say("Enter a day and a time."))
    return at


async def _page(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    webhook_id: str,
    *,
    cursor: str | None = None,
    since: str = "",
    error: InputInvalid | None = None,
) -> HTMLResponse:
    status = request.query_params.get("status", "")
    chosen = status if status in STATUSES else None

    def read(connection: Connection) -> dict[str, Any]:
        found = read_deliveries(connection, webhook_id, visitor.wording, status=chosen, cursor=cursor)
        return {"page": found} | operations_frame(connection, visitor, "webhooks")

    values = await here.context.database.read(read)
    usual = (visitor.wording.now - _USUAL).astimezone(visitor.wording.zone)
    return shown(
        request,
        "operations/webhook.html",
        status=200 if error is None else 422,
        chosen=chosen,
        statuses={name: visitor.wording.say(word) for name, (word, _) in STATUSES.items()},
        replayed=whole(request.query_params.get("replayed", "")),
        since=since or usual.strftime("%Y-%m-%dT%H:%M"),
        wrong=error.problems[0].message if error is not None else None,
        **values,
    )

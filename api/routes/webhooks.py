"""Webhooks: endpoints that receive signed events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.webhooks import (
    DeliveryView,
    Replay,
    Replayed,
    WebhookBody,
    WebhookMade,
    WebhookSecret,
    WebhookSwitch,
    WebhookView,
)
from service.administration.webhooks import (
    Endpoint,
    add_webhook,
    change_secret,
    count_failed,
    fresh_secret,
    remove_webhook,
    replay,
    switch_webhook,
)
from storage.queries import cursor as cursors
from storage.queries.notifications import webhook_deliveries, webhooks
from storage.tables.notifications import WebhookEndpoint

router = APIRouter(prefix="/workflow/webhooks", tags=["webhooks"], route_class=PersonalRoute)


@router.get("/")
async def list_webhooks(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[WebhookView]:
    """List the endpoints, oldest first. For admins."""
    after = cursors.read_moment(cursor) if cursor is not None else None
    found = [row for row in await context.database.read(webhooks.every) if after is None or _place(row) > after]
    page = cursors.page(found, limit, _place)
    return Listed(items=[WebhookView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("/", status_code=201)
async def create_webhook(
    request: Request, context: Here, caller: Caller, call: ThisCall, body: WebhookBody
) -> WebhookMade:
    """Add an endpoint; it receives future events. Only this answer shows the secret. For admins."""
    # The answer has a secret, so it is not stored: the same key creates the same endpoint and secret again.
    request.state.unsettled = True
    row, secret = await add_webhook(
        context,
        caller,
        Endpoint(url=body.url, events=tuple(body.events), description=body.description, secret_ref=body.secret_ref),
        endpoint_id=f"wh_{call.subject}",
        installation_secret=context.secret,
    )
    return WebhookMade.made(row, secret.get_secret_value() if secret else None)


@router.get("/{webhook_id}/")
async def read_webhook(context: Here, webhook_id: str) -> WebhookView:
    """Show one endpoint. For admins."""
    return WebhookView.of(await context.database.read(webhooks.get, webhook_id))


@router.delete("/{webhook_id}/")
async def delete_webhook(context: Here, caller: Caller, webhook_id: str) -> WebhookView:
    """Remove an endpoint and return it. Messages that wait for it are dropped. For admins."""
    return WebhookView.of(await remove_webhook(context, caller, webhook_id))


@router.post("/{webhook_id}/switch/")
async def switch_one_webhook(context: Here, caller: Caller, webhook_id: str, body: WebhookSwitch) -> WebhookView:
    """Switch an endpoint off, or on again; then it gets what has happened meanwhile. For admins."""
    return WebhookView.of(await switch_webhook(context, caller, webhook_id, active=body.active))


@router.post("/{webhook_id}/secret/")
async def change_webhook_secret(
    request: Request, context: Here, caller: Caller, *, call: ThisCall, webhook_id: str, body: WebhookSecret
) -> WebhookMade:
    """Sign by another secret from now on. Only this answer shows one that Placet has made. For admins."""
    # The answer has a secret, so it is not stored: the same key names the same secret again.
    request.state.unsettled = True
    reference = body.secret_ref or fresh_secret(call.subject)
    row, secret = await change_secret(context, caller, webhook_id, reference, installation_secret=context.secret)
    return WebhookMade.made(row, secret.get_secret_value() if secret else None)


@router.get("/{webhook_id}/deliveries/")
async def list_webhook_deliveries(
    context: Here,
    webhook_id: str,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Annotated[Literal["pending", "failed", "sent", "dropped"] | None, Query()] = None,
) -> Listed[DeliveryView]:
    """List the deliveries to an endpoint by their last or next attempt, the latest first. For admins."""
    await context.database.read(webhooks.get, webhook_id)
    page = await context.database.read(webhook_deliveries.page, webhook_id, limit=limit, cursor=cursor, status=status)
    return Listed(items=[DeliveryView.made(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("/{webhook_id}/replay/")
async def replay_webhook_deliveries(context: Here, caller: Caller, webhook_id: str, body: Replay) -> Replayed:
    """Send the deliveries that failed in a span again, or with `preview` only count them. For admins.

    Each keeps its `webhook-id`, so that receivers can drop what they have already.
    """
    until = body.until or context.now()
    failed = await count_failed(context, webhook_id, body.since, until)
    queued = 0 if body.preview else await replay(context, caller, webhook_id, body.since, until)
    return Replayed(since=body.since, until=until, failed=failed, queued=queued)


def _place(row: WebhookEndpoint) -> tuple[datetime, str]:
    return row.created_at, row.id

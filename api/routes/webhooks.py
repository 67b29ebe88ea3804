"""Webhooks: endpoints that receive signed events."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.notifications import WebhookBody, WebhookMade, WebhookView
from service.administration.webhooks import Endpoint, add_webhook, remove_webhook
from storage.queries import cursor as cursors
from storage.queries.notifications import webhooks
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
async def delete_webhook(context: Here, webhook_id: str) -> WebhookView:
    """Remove an endpoint and return it. Messages that wait for it are dropped. For admins."""
    return WebhookView.of(await remove_webhook(context, webhook_id))


def _place(row: WebhookEndpoint) -> tuple[datetime, str]:
    return row.created_at, row.id

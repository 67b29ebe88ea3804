"""Pages on which an endpoint is added, gets another secret, is switched off, or is removed, each after asking."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import SecretStr
from sqlalchemy import Connection

from placet.errors import InputInvalid
from service.administration import webhooks
from storage.tables.notifications import WebhookEndpoint
from web.forms.reading import Entries
from web.operations.webhook_form import LONGEST_REFERENCE, endpoint_fields, read_endpoint_form, secret_field
from web.operations.webhooks import read_endpoint
from web.routes.common import (
    Here,
    WebContext,
    done_key,
    entries_of,
    fresh_key,
    judged,
    operations_frame,
    record,
    see_other,
    shown,
)
from web.security import PageRoute
from web.visitor import SignedIn, Visitor

router = APIRouter(prefix="/operations/webhooks", route_class=PageRoute)

WebhookId = Annotated[str, Path(max_length=200)]


@router.get("/new")
async def ask_for_endpoint(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Show the form of a new endpoint."""
    return await _form(request, here, visitor)


@router.post("")
async def add(request: Request, here: Here, visitor: SignedIn) -> HTMLResponse:
    """Add an endpoint and show its secret, once; a form that is sent twice adds one."""
    entries = await entries_of(request, visitor)
    call = done_key(visitor, entries.text("key") or fresh_key())
    try:
        row, secret = await webhooks.add_webhook(
            here.context,
            visitor.principal,
            read_endpoint_form(entries, visitor.wording),
            endpoint_id=f"wh_{call[:32]}",
            installation_secret=here.context.secret,
        )
    except InputInvalid as error:
        await record(here, visitor, "add_webhook", error)
        return await _form(request, here, visitor, entries=entries, error=error)
    return await _made(request, here, visitor, row, secret)


@router.get("/{webhook_id}/secret")
async def ask_for_secret(request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId) -> HTMLResponse:
    """Ask before an endpoint gets another secret."""
    return await _ask(request, here, visitor, webhook_id, "secret")


@router.post("/{webhook_id}/secret")
async def change_secret(request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId) -> HTMLResponse:
    """Sign by another secret from now on and show it, once; a form that is sent twice changes it once."""
    entries = await entries_of(request, visitor)
    call = done_key(visitor, entries.text("key") or fresh_key())
    reference = entries.text("secret_ref")[:LONGEST_REFERENCE] or webhooks.fresh_secret(call)
    try:
        row, secret = await webhooks.change_secret(
            here.context, visitor.principal, webhook_id, reference, installation_secret=here.context.secret
        )
    except InputInvalid as error:
        await record(here, visitor, "change_webhook_secret", error)
        return await _ask(request, here, visitor, webhook_id, "secret", entries=entries, error=error)
    return await _made(request, here, visitor, row, secret)


@router.get("/{webhook_id}/switch")
async def ask_before_switching_off(
    request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId
) -> HTMLResponse:
    """Ask before nothing is sent to an endpoint any more."""
    return await _ask(request, here, visitor, webhook_id, "switch")


@router.get("/{webhook_id}/remove")
async def ask_before_removing(request: Request, here: Here, visitor: SignedIn, webhook_id: WebhookId) -> HTMLResponse:
    """Ask before an endpoint is removed."""
    return await _ask(request, here, visitor, webhook_id, "remove")


@router.post("/{webhook_id}/remove")
async def remove(here: Here, visitor: SignedIn, webhook_id: WebhookId) -> Response:
    """Remove an endpoint."""
    await webhooks.remove_webhook(here.context, visitor.principal, webhook_id)
    return see_other("/operations/webhooks", "webhook_removed")


async def _form(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    *,
    entries: Entries | None = None,
    error: InputInvalid | None = None,
) -> HTMLResponse:
    return shown(
        request,
        "operations/new_webhook.html",
        status=200 if error is None else 422,
        key=entries.text("key") if entries is not None else fresh_key(),
        **judged(endpoint_fields(entries, visitor.wording), error),
        **await here.context.database.read(operations_frame, visitor, "webhooks"),
    )


async def _ask(
    request: Request,
    here: WebContext,
    visitor: Visitor,
    webhook_id: str,
    about: str,
    *,
    entries: Entries | None = None,
    error: InputInvalid | None = None,
) -> HTMLResponse:
    def read(connection: Connection) -> dict[str, Any]:
        return {"endpoint": read_endpoint(connection, webhook_id, visitor.wording)} | operations_frame(
            connection, visitor, "webhooks"
        )

    return shown(
        request,
        "operations/change_webhook.html",
        status=200 if error is None else 422,
        about=about,
        key=entries.text("key") if entries is not None else fresh_key(),
        **judged((secret_field(entries, visitor.wording),), error),
        **await here.context.database.read(read),
    )


async def _made(
    request: Request, here: WebContext, visitor: Visitor, row: WebhookEndpoint, secret: SecretStr | None
) -> HTMLResponse:
    return shown(
        request,
        "operations/webhook_secret.html",
        row=row,
        secret=secret.get_secret_value() if secret is not None else None,
        **await here.context.database.read(operations_frame, visitor, "webhooks"),
    )

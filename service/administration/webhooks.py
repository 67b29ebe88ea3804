"""Webhooks: the endpoints that get every event that history holds, signed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.delivery.webhook_feed import check_endpoint
from service.context import Context
from service.principal import Principal
from storage.queries.notifications import webhooks
from storage.tables.notifications import WebhookEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a webhook goes, which kinds of entries it gets (none named: all), and by which reference it is signed."""

    url: str
    events: tuple[str, ...] = ()
    description: str = ""
    secret_ref: str = "derived:1"  # noqa: S105 - names a secret, and is none


async def add_webhook(
    context: Context, principal: Principal, endpoint: Endpoint, *, endpoint_id: str, installation_secret: str
) -> tuple[WebhookEndpoint, SecretStr | None]:
    """Add an endpoint, which gets what happens from now on, and return it with the secret where Placet has made it.

    The same id is the same endpoint, and its secret, again. Raises InputInvalid.
    """
    secrets = WebhookSecrets(installation_secret, context.notify)
    reference = endpoint.secret_ref
    await check_endpoint(endpoint.url, reference, endpoint_id, secrets, context.notify)
    secret = secrets.get(reference, endpoint_id) if reference.startswith("derived:") else None
    row = await context.database.write(
        webhooks.add,
        url=endpoint.url,
        events=list(dict.fromkeys(endpoint.events)),
        description=endpoint.description,
        secret_ref=reference,
        by=principal.person,
        now=context.now(),
        endpoint_id=endpoint_id,
    )
    return row, secret


async def remove_webhook(context: Context, webhook_id: str) -> WebhookEndpoint:
    """Remove an endpoint, and return it as it was; what was still to be sent to it is dropped. Raises NotFound."""
    return await context.database.write(webhooks.remove, webhook_id)

"""Webhooks: the endpoints that get every event that history holds, signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from pydantic import SecretStr
from sqlalchemy import Connection

from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.delivery.webhook_feed import check_endpoint
from placet.errors import Conflict
from service.context import Context
from service.principal import Principal
from storage.queries.notifications import webhook_deliveries, webhooks
from storage.tables.notifications import WebhookEndpoint

MOST_REPLAYED: Final = 10_000
"""How many deliveries one replay queues; what is beyond stays failed, for the next one."""
_log = structlog.get_logger(__name__)
_AT_ONCE: Final = 500  # of a replay, in one transaction


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


async def switch_webhook(context: Context, principal: Principal, webhook_id: str, *, active: bool) -> WebhookEndpoint:
    """Switch an endpoint on, where it was switched off, or off; raises NotFound.

    While it is off, nothing is sent to it. What happens meanwhile is sent once it is on again.
    """

    def switch(connection: Connection) -> WebhookEndpoint:
        webhooks.switch(connection, webhook_id, active=active)
        return webhooks.get(connection, webhook_id)

    row = await context.database.write(switch)
    _log.info("webhook_switched", endpoint=webhook_id, active=active, by=principal.person)
    return row


async def count_failed(context: Context, webhook_id: str, since: datetime, until: datetime) -> int:
    """Count the deliveries that a replay of this span would send again; raises NotFound."""

    def count(connection: Connection) -> int:
        webhooks.get(connection, webhook_id)
        return webhook_deliveries.count_failed(connection, webhook_id, since, until)

    return await context.database.read(count)


async def replay(context: Context, principal: Principal, webhook_id: str, since: datetime, until: datetime) -> int:
    """Send what was given up in a span again, the oldest first and at most MOST_REPLAYED, and return how many.

    Each keeps its `webhook-id`, so that a receiver can drop what it has already. Raises NotFound, and Conflict for an
    endpoint that is switched off.
    """
    require_active(await context.database.read(webhooks.get, webhook_id))
    queued = 0
    while queued < MOST_REPLAYED:
        some = min(_AT_ONCE, MOST_REPLAYED - queued)
        done = await context.database.write(
            webhook_deliveries.replay, webhook_id, since, until, context.now(), limit=some
        )
        queued += done
        if done < some:
            break
    _log.info("webhook_replayed", endpoint=webhook_id, queued=queued, by=principal.person)
    return queued


def require_active(endpoint: WebhookEndpoint) -> None:
    """Raise Conflict for an endpoint that is switched off: nothing would be sent."""
    if not endpoint.active:
        raise Conflict("The endpoint is switched off, and nothing is sent to it. Switch it on first.")

"""Webhooks: the endpoints that get every event that history holds, signed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import Connection

from activities.notifications.channels.webhook_secrets import WebhookSecrets
from activities.notifications.delivery.webhook_feed import check_endpoint
from placet.audit.admin_acts import Act
from placet.audit.chain import moment
from placet.errors import Conflict
from service.administration.acts import write_with_act
from service.context import Context
from service.principal import Principal
from storage.queries.notifications import webhook_deliveries, webhooks
from storage.recording import admin_acts
from storage.tables.notifications import WebhookEndpoint

MOST_REPLAYED: Final = 10_000
"""How many deliveries one replay queues; what is beyond stays failed, for the next one."""
_AT_ONCE: Final = 500  # of a replay, in one transaction
_SECRETS: Final = 999_999  # as many secrets of one endpoint can be derived


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
    now = context.now()

    def store(connection: Connection) -> WebhookEndpoint:
        known = endpoint_id in {row.id for row in webhooks.every(connection)}
        row = webhooks.add(
            connection,
            url=endpoint.url,
            events=list(dict.fromkeys(endpoint.events)),
            description=endpoint.description,
            secret_ref=reference,
            by=principal.person,
            now=now,
            endpoint_id=endpoint_id,
        )
        if not known:
            detail = {"host": urlsplit(row.url).hostname, "events": row.events}
            act = Act(kind="webhook_added", target=f"webhook:{row.id}", detail=detail)
            admin_acts.record(connection, principal.acted_by, act, now)
        return row

    return await context.database.write(store), secret


def fresh_secret(call: str) -> str:
    """Return the reference of a secret that Placet derives; the same call names the same one, and not the first."""
    return f"derived:{2 + int.from_bytes(hashlib.sha256(call.encode()).digest()[:8]) % (_SECRETS - 1)}"


async def change_secret(
    context: Context, principal: Principal, webhook_id: str, secret_ref: str, *, installation_secret: str
) -> tuple[WebhookEndpoint, SecretStr | None]:
    """Sign what goes to an endpoint by another secret from now on; return it where Placet has made it.

    What is under way may still arrive with the secret before. Raises NotFound, and InputInvalid for the reference.
    """
    secret = WebhookSecrets(installation_secret, context.notify).get(secret_ref, webhook_id)
    now = context.now()

    def change(connection: Connection) -> WebhookEndpoint:
        before = webhooks.get(connection, webhook_id).secret_ref
        if before != secret_ref:
            detail = {"secret_ref": {"before": before, "after": secret_ref}}
            act = Act(kind="webhook_changed", target=f"webhook:{webhook_id}", detail=detail)
            webhooks.sign_by(connection, webhook_id, secret_ref)
            admin_acts.record(connection, principal.acted_by, act, now)
        return webhooks.get(connection, webhook_id)

    return await context.database.write(change), secret if secret_ref.startswith("derived:") else None


async def remove_webhook(context: Context, principal: Principal, webhook_id: str) -> WebhookEndpoint:
    """Remove an endpoint, and return it as it was; what was still to be sent to it is dropped. Raises NotFound."""
    act = Act(kind="webhook_removed", target=f"webhook:{webhook_id}")
    return await write_with_act(context.database, principal.acted_by, context.now(), act, webhooks.remove, webhook_id)


async def switch_webhook(context: Context, principal: Principal, webhook_id: str, *, active: bool) -> WebhookEndpoint:
    """Switch an endpoint on, where it was switched off, or off; raises NotFound.

    While it is off, nothing is sent to it. What happens meanwhile is sent once it is on again.
    """
    now = context.now()

    def switch(connection: Connection) -> WebhookEndpoint:
        before = webhooks.get(connection, webhook_id).active
        webhooks.switch(connection, webhook_id, active=active)
        if before != active:
            act = Act(kind="webhook_changed", target=f"webhook:{webhook_id}", detail={"active": active})
            admin_acts.record(connection, principal.acted_by, act, now)
        return webhooks.get(connection, webhook_id)

    return await context.database.write(switch)


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

    def act(done: int) -> Act | None:
        detail = {"from": moment(since), "until": moment(until), "queued": done}
        return Act(kind="webhook_replayed", target=f"webhook:{webhook_id}", detail=detail) if done else None

    while queued < MOST_REPLAYED:
        some = min(_AT_ONCE, MOST_REPLAYED - queued)
        now = context.now()
        done = await write_with_act(
            context.database,
            principal.acted_by,
            now,
            act,
            webhook_deliveries.replay,
            webhook_id,
            since,
            until,
            now,
            limit=some,
        )
        queued += done
        if done < some:
            break
    return queued


def require_active(endpoint: WebhookEndpoint) -> None:
    """Raise Conflict for an endpoint that is switched off: nothing would be sent."""
    if not endpoint.active:
        raise Conflict("The endpoint is switched off, and nothing is sent to it. Switch it on first.")

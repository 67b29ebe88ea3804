"""Send events to webhook endpoints, signed as Standard Webhooks asks for."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from activities.notifications.channels.addresses import AddressRefused, locate
from activities.notifications.channels.channel import NotDelivered
from activities.notifications.channels.secrets import SecretMissing, Secrets
from activities.notifications.delivery.channel_delivery import Lost, Sent, message_id
from activities.notifications.settings import NotifySettings
from placet.audit.chain import moment
from placet.audit.reasons import shown
from storage.database import Database
from storage.queries.notifications import webhooks
from storage.tables.approvals import ApprovalRequest, AuditEntry
from storage.tables.notifications import NotificationMessage, WebhookEndpoint

log = logging.getLogger(__name__)

_GONE = 410


class WebhookCarrier:
    """Carry events to one endpoint."""

    enters_sent = False  # an entry for each event and endpoint would drown the timeline
    concurrency = 4

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        client: httpx.AsyncClient,
        database: Database,
        secrets: Secrets,
        settings: NotifySettings,
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._database = database
        self._secrets = secrets
        self._settings = settings
        self._payloads: dict[str, tuple[AuditEntry, ApprovalRequest]] = {}

    @property
    def timeout(self) -> float:
        """As long as an endpoint may take."""
        return self._settings.webhook_timeout

    async def load(self, messages: Sequence[NotificationMessage]) -> None:
        """Read entries and requests together."""
        async with self._database.session() as session:
            self._payloads = await webhooks.payloads(session, messages)

    async def carry(self, messages: Sequence[NotificationMessage]) -> Sent:
        """Send one event; raises NotDelivered, or Lost where history does not hold it."""
        (message,) = messages
        found = self._payloads.get(message.key)
        if found is None:
            raise Lost
        id_ = message_id(message)
        try:
            async with asyncio.timeout(self._settings.webhook_timeout):
                status = await self._post(id_, body(*found))
        except (AddressRefused, SecretMissing) as error:
            raise NotDelivered(error.message, permanent=True) from error
        except TimeoutError as error:
            raise NotDelivered(f"no answer within {self._settings.webhook_timeout:g} s", channel_down=True) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NotDelivered(f"cannot be reached: {type(error).__name__}: {error}", channel_down=True) from error
        if status == _GONE:
            await self._switch_off()
            raise NotDelivered("the endpoint answered 410 and was switched off", permanent=True)
        if not httpx.codes.is_success(status):
            raise NotDelivered(
                f"the endpoint answered {status}", channel_down=status >= httpx.codes.INTERNAL_SERVER_ERROR
            )
        return Sent(detail={"channel": message.channel, "message_id": id_})

    async def _post(self, id_: str, content: str) -> int:
        target = await locate(self._endpoint.url, self._settings)
        now = datetime.now(UTC)
        secret = self._secrets.get(self._endpoint.secret_ref, self._endpoint.id).get_secret_value()
        headers = {
            "Host": target.authority,
            "Content-Type": "application/json",
            "User-Agent": "Placet-Webhooks/1",
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(id_, now, content),
        }
        # Streamed and left unread: an answer's body is of no use here, and may have no end.
        request = self._client.stream(
            "POST",
            target.url,
            content=content.encode(),
            headers=headers,
            extensions={"sni_hostname": target.host},
            follow_redirects=False,
        )
        async with request as response:
            return response.status_code

    async def _switch_off(self) -> None:
        log.warning("webhook endpoint %s is gone and was switched off", self._endpoint.id)
        async with self._database.begin() as session:
            await webhooks.switch(session, self._endpoint.id, active=False, problem="it answered 410 Gone")


def body(entry: AuditEntry, request: ApprovalRequest) -> str:
    """Write what an endpoint gets of one event: type, moment, the entry as the timeline has it, and its request."""
    data: dict[str, Any] = {
        "request": {
            "id": request.id,
            "template": request.template,
            "version": request.version,
            "title": request.title,
            "requester": f"user:{request.requester}",
        },
        "seq": entry.seq,
        "actor": entry.actor,
        "stage": entry.stage,
        "task_id": entry.task_id,
        "detail": shown(json.loads(entry.detail)),
        "hash": entry.hash,
    }
    whole = {"type": f"request.{entry.kind}", "timestamp": moment(entry.at), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))

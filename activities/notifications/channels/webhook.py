"""Send events to webhook endpoints, signed as Standard Webhooks asks for."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from activities.http_client.client import AddressRefused, NotAnswered, fetch, signed
from activities.notifications.channels.channel import NotDelivered
from activities.notifications.channels.webhook_secrets import SecretMissing, WebhookSecrets
from activities.notifications.delivery.channel_delivery import NotInHistory, SendResult, message_id
from activities.notifications.settings import NotifySettings
from placet.audit.chain import moment
from placet.audit.reasons import readable_detail
from storage.database import Database
from storage.queries.notifications import webhooks
from storage.queries.notifications.rows import MessageRow
from storage.tables.approvals import ApprovalRequest, AuditEntry
from storage.tables.notifications import WebhookEndpoint

log = logging.getLogger(__name__)

_GONE = 410


class WebhookSender:
    """Sends events to one endpoint."""

    records_sent = False  # an entry for each event and endpoint would flood the timeline
    concurrency = 4

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        database: Database,
        secrets: WebhookSecrets,
        settings: NotifySettings,
    ) -> None:
        self._endpoint = endpoint
        self._database = database
        self._secrets = secrets
        self._settings = settings
        self._payloads: dict[str, tuple[AuditEntry, ApprovalRequest]] = {}

    @property
    def timeout(self) -> float:
        """The webhook timeout of the settings."""
        return self._settings.webhook_timeout

    async def load(self, batches: Sequence[Sequence[MessageRow]]) -> None:
        """Read the entries and requests of these messages."""
        messages = [message for batch in batches for message in batch]
        self._payloads = await self._database.read(webhooks.payloads, messages)

    def head_of(self, _message: MessageRow, /) -> str | None:
        """Return None: an event is never dropped because a request went on."""
        return None

    async def send(self, messages: Sequence[MessageRow]) -> SendResult:
        """Send one event; raises NotDelivered, or NotInHistory."""
        (message,) = messages
        found = self._payloads.get(message.key)
        if found is None:
            raise NotInHistory
        id_ = message_id(message)
        try:
            status = await self._post(id_, body(*found))
        except (AddressRefused, SecretMissing) as error:
            raise NotDelivered(error.message, permanent=True) from error
        except NotAnswered as error:
            why = f"{error.message}: {error.cause}" if error.cause else error.message
            raise NotDelivered(why, permanent=error.permanent, channel_down=not error.permanent) from error
        if status == _GONE:
            await self._switch_off()
            raise NotDelivered("the endpoint answered 410 Gone and was switched off", permanent=True)
        if not 200 <= status < 300:
            raise NotDelivered(f"the endpoint answered {status}", channel_down=status >= 500)
        return SendResult(detail={"channel": message.channel, "message_id": id_})

    async def _post(self, id_: str, content: str) -> int:
        now = self._database.now()
        secret = self._secrets.get(self._endpoint.secret_ref, self._endpoint.id).get_secret_value()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Placet-Webhooks/1",
            **signed(secret, id_, content, now),
        }
        answer = await fetch(
            "POST",
            self._endpoint.url,
            headers=headers,
            content=content.encode(),
            seconds=self._settings.webhook_timeout,
            policy=self._settings.webhook_policy,
        )
        return answer.status

    async def _switch_off(self) -> None:
        log.warning("webhook endpoint %s answered 410 Gone and was switched off", self._endpoint.id)
        await self._database.write(webhooks.switch, self._endpoint.id, active=False, problem="it answered 410 Gone")


def body(entry: AuditEntry, request: ApprovalRequest) -> str:
    """Return the JSON of one event: type, time, the entry as in the timeline, and its request."""
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
        "detail": readable_detail(json.loads(entry.detail)),
        "hash": entry.hash,
    }
    whole = {"type": f"request.{entry.kind}", "timestamp": moment(entry.at), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))

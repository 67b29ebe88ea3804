"""The `webhook` executor: it posts one event to an endpoint, signed as Standard Webhooks specifies."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from activities.actions.executor import ActionFailed, ActionJob
from activities.actions.http import call
from activities.actions.secrets import SECRET_REFERENCE
from activities.actions.settings import ActionSettings
from activities.http_client.client import signed
from placet.audit.chain import moment

INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 8000},
        "type": {"type": "string", "minLength": 1, "maxLength": 200},
        "data": {"type": "object"},
    },
    "required": ["type", "data"],
    "additionalProperties": False,
}
OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"status": {"type": "integer"}, "message_id": {"type": "string"}},
    "required": ["status", "message_id"],
}


class WebhookExecutor:
    """Post `{type, timestamp, data}`. The message id is the idempotency key, the same in every attempt."""

    config_schema: dict[str, Any] = {  # noqa: RUF012 - a constant of the protocol's shape
        "type": "object",
        "properties": {"url": {"type": "string", "maxLength": 8000}, "secret": SECRET_REFERENCE},
        "additionalProperties": False,
    }

    def __init__(self, settings: ActionSettings, clock: Callable[[], datetime]) -> None:
        """`clock` tells the time that a message was signed at; receivers refuse one that is minutes away."""
        self._settings = settings
        self._clock = clock

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Post the event; raises ActionFailed."""
        url = job.config.get("url") or job.input.get("url")
        secret = job.config.get("secret")
        if not url or not secret:
            message = 'give `url`, and `"secret": {"secret": NAME}` to sign with, in the action\'s config'
            raise ActionFailed(message, permanent=True)
        now = self._clock()
        event = {"type": job.input["type"], "timestamp": moment(now), "data": job.input["data"]}
        content = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        try:
            signature = signed(secret, job.key, content, now)
        except ValueError as error:
            raise ActionFailed(
                "the secret to sign with is not base64 after whsec_; set PLACET_SECRET_… to such a secret",
                permanent=True,
            ) from error
        headers = {"content-type": "application/json", "user-agent": "Placet-Actions/1", **signature}
        policy = self._settings.policy
        answer = await call("POST", url, headers=headers, content=content.encode(), seconds=job.seconds, policy=policy)
        if not 200 <= answer.status < 300:
            gone = answer.status == 410
            raise ActionFailed(f"the endpoint answered {answer.status}", permanent=gone)
        return {"status": answer.status, "message_id": job.key}

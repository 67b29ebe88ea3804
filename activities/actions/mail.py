"""The `mail` executor: one mail over the installation's mail server."""

from __future__ import annotations

import asyncio
import hashlib
from html import escape
from typing import Any

from activities.actions.executor import ActionFailed, ActionJob
from activities.notifications.channels.channel import Message, NotDelivered
from activities.notifications.channels.smtp import SmtpChannel
from activities.notifications.settings import NotifySettings

_ADDRESS = {"type": "string", "maxLength": 320, "pattern": "^[^@\\s]+@[^@\\s]+$"}
INPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {"anyOf": [_ADDRESS, {"type": "array", "items": _ADDRESS, "minItems": 1, "maxItems": 50}]},
        "subject": {"type": "string", "minLength": 1, "maxLength": 300},
        "text": {"type": "string", "minLength": 1, "maxLength": 100_000},
    },
    "required": ["to", "subject", "text"],
    "additionalProperties": False,
}
OUTPUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"sent": {"type": "integer"}, "message_id": {"type": "string"}},
    "required": ["sent", "message_id"],
}


class MailExecutor:
    """Send a mail to each address. The Message-ID follows from the idempotency key, so receivers recognise a repeat."""

    config_schema: dict[str, Any] = {"type": "object", "maxProperties": 0}  # noqa: RUF012 - a constant

    def __init__(self, settings: NotifySettings) -> None:
        self._settings = settings

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Hand the mails to the server, one after the other; raises ActionFailed."""
        if self._settings.smtp_host is None:
            raise ActionFailed("no mail server is set up; set PLACET_SMTP_HOST for the worker")
        given = job.input
        addresses = [given["to"]] if isinstance(given["to"], str) else list(dict.fromkeys(given["to"]))
        base = hashlib.sha256(job.key.encode()).hexdigest()[:32]
        channel = SmtpChannel(self._settings)
        try:
            async with asyncio.timeout(job.seconds):
                for number, address in enumerate(addresses):
                    await channel.send(_message(job, address, f"{base}.{number}", given["subject"], given["text"]))
        except NotDelivered as error:
            raise ActionFailed(error.message, permanent=error.permanent) from error
        except TimeoutError as error:
            raise ActionFailed(f"the mail server took longer than {job.seconds:g} s") from error
        finally:
            await channel.close()
        return {"sent": len(addresses), "message_id": base}


def _message(job: ActionJob, address: str, ident: str, subject: str, text: str) -> Message:
    return Message(
        id=ident,
        person=address,
        name="",
        address=address,
        subject=" ".join(subject.split()),
        text=text,
        html=f'<p style="white-space: pre-wrap">{escape(text)}</p>',
        url="",
        event=job.action,
        request_id=job.request_id,
    )

"""Mail over SMTP: multipart messages over connections that are kept and used again."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr

import aiosmtplib
from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)

from activities.notify.channel import Message, NotDelivered
from activities.notify.settings import NotifySettings

# A server closes connections that are idle for long; ours are checked after so many seconds and closed after these.
CHECK_AFTER = 5.0
_SERVICE_NOT_AVAILABLE = 421


class SmtpChannel:
    """Send mail through one server."""

    name = "mail"

    def __init__(self, settings: NotifySettings) -> None:
        """Take the server from the settings; nothing is connected before the first message."""
        if settings.smtp_host is None:
            raise ValueError("smtp_host is not set")
        self._settings = settings
        self._host = settings.smtp_host
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        sender_name, self._sender = parseaddr(settings.mail_from)
        self._from = _address(sender_name, self._sender)
        self._domain = self._sender.rpartition("@")[2] or "localhost"

    @property
    def concurrency(self) -> int:
        """As many messages as connections."""
        return self._settings.smtp_connections

    async def send(self, message: Message) -> None:
        """Hand one mail to the server; raises NotDelivered."""
        if not message.address:
            raise NotDelivered(f"user:{message.person} has no mail address", permanent=True)
        try:
            mail = self.compose(message)
        except (ValueError, HeaderParseError, UnicodeError) as error:
            raise NotDelivered(
                f"user:{message.person} has a mail address that cannot be used", permanent=True
            ) from error
        try:
            await asyncio.wait_for(self._hand_over(mail, message.address), self._settings.smtp_timeout)
        except TimeoutError as error:
            waited = f"{self._settings.smtp_timeout:g} s"
            raise NotDelivered(f"the mail server did not answer within {waited}", channel_down=True) from error
        except (SMTPException, OSError, ValueError) as error:
            raise _failure(error, message.address) from error

    async def close(self) -> None:
        """Say goodbye on every idle connection."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            await _leave(client)

    def compose(self, message: Message) -> EmailMessage:
        """Write the mail: text and HTML, an id that is the same at every attempt, one thread for each request."""
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._from
        mail["To"] = _address(message.name, message.address or "")
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.id}@{self._domain}>"
        mail["References"] = f"<request-{message.request_id}@{self._domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Placet-Event"] = message.event
        mail["X-Placet-Request"] = message.request_id
        if message.urgent:
            mail["Importance"] = "high"
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail

    async def _hand_over(self, mail: EmailMessage, address: str) -> None:
        client = await self._connection()
        kept = False
        try:
            if address.isascii():
                await client.sendmail(self._sender, [address], mail.as_bytes())
            else:  # slower, but it knows which servers take such addresses
                await client.send_message(mail, sender=self._sender, recipients=[address])
            kept = True
        except SMTPResponseException as error:
            kept = error.code != _SERVICE_NOT_AVAILABLE
            raise
        except SMTPRecipientsRefused:
            kept = True
            raise
        finally:
            if kept and client.is_connected:
                self._idle.append((client, time.monotonic()))
            else:
                client.close()

    async def _connection(self) -> aiosmtplib.SMTP:
        while self._idle:
            client, since = self._idle.pop()
            if not client.is_connected:
                continue
            if time.monotonic() - since < CHECK_AFTER:
                return client
            try:
                await client.noop()
            except (SMTPException, OSError):
                client.close()
            else:
                return client
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            use_tls=settings.smtp_tls == "tls",
            start_tls={"starttls": True, "auto": None}.get(settings.smtp_tls, False),
            timeout=settings.smtp_timeout,
        )
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return client


def _address(name: str, address: str) -> Address:
    if "@" not in address:
        raise ValueError("a mail address has an @")
    return Address(display_name=" ".join(name.split()), addr_spec=address)


async def _leave(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit(timeout=1)
    except (SMTPException, OSError):
        client.close()


def _failure(error: Exception, address: str) -> NotDelivered:
    """Tell apart what concerns one address, what concerns one mail, and what concerns the whole server."""
    if isinstance(error, SMTPRecipientsRefused):
        refused = error.recipients[0]
        reason = f"the mail server refused the address: {refused.code} {refused.message}"
        return NotDelivered(_without(reason, address), permanent=refused.code >= 500)
    if isinstance(error, SMTPAuthenticationError | SMTPSenderRefused | SMTPConnectError):
        return NotDelivered(_without(f"the mail server refused us: {error}", address), channel_down=True)
    if isinstance(error, SMTPResponseException):
        reason = _without(f"the mail server refused the mail: {error.code} {error.message}", address)
        down = error.code == _SERVICE_NOT_AVAILABLE
        return NotDelivered(reason, permanent=error.code >= 500, channel_down=down)
    if isinstance(error, SMTPServerDisconnected | SMTPException | OSError):
        return NotDelivered(_without(f"the mail server cannot be reached: {error}", address), channel_down=True)
    return NotDelivered(_without(f"the address cannot be used: {error}", address), permanent=True)


def _without(reason: str, address: str) -> str:
    """Take the address out of a reason: the audit chain cannot forget, and so holds no personal data."""
    return reason.replace(address, "(address)")

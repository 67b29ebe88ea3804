"""Mail over SMTP: multipart messages over connections that are kept open and reused."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.message import EmailMessage

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

from activities.notifications.channels.channel import Message, NotDelivered
from activities.notifications.channels.mime import MailWriter, international
from activities.notifications.settings import NotifySettings

# Seconds after which an idle connection is checked before it is used again: servers close idle connections.
CHECK_AFTER = 5.0
_SERVICE_NOT_AVAILABLE = 421


@dataclass
class _Transmission:
    """One mail, and whether its transmission to a server had begun."""

    mail: bytes | EmailMessage  # the latter for an address beyond ASCII
    address: str
    began: bool = False


class SmtpChannel:
    """Send mail through one server."""

    name = "mail"

    def __init__(self, settings: NotifySettings) -> None:
        """Use the server of the settings. The first message opens a connection."""
        if settings.smtp_host is None:
            raise ValueError("smtp_host is not set")
        self._settings = settings
        self._host = settings.smtp_host
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._writer = MailWriter(settings.mail_from)

    @property
    def concurrency(self) -> int:
        """One message for each connection."""
        return self._settings.smtp_connections

    @property
    def timeout(self) -> float:
        """The SMTP timeout of the settings."""
        return self._settings.smtp_timeout

    def takes_links(self, address: str | None) -> bool:  # noqa: ARG002 - any address is one person's
        """A mail goes to one person."""
        return True

    async def send(self, message: Message) -> None:
        """Hand one mail to the server; raises NotDelivered."""
        if not message.address:
            raise NotDelivered(f"user:{message.person} has no mail address", permanent=True)
        try:
            mail = self._compose(message, message.address)
        except (ValueError, HeaderParseError, UnicodeError) as error:
            raise NotDelivered(f"user:{message.person} has an invalid mail address", permanent=True) from error
        transmission = _Transmission(mail, message.address)
        try:
            await asyncio.wait_for(self._hand_over(transmission), self._settings.smtp_timeout)
        except TimeoutError as error:
            waited = f"the mail server did not answer within {self._settings.smtp_timeout:g} s"
            raise NotDelivered(waited, channel_down=True, in_doubt=transmission.began) from error
        except (SMTPException, OSError, ValueError) as error:
            failure = _failure(error, message.address)
            # A server that answered an error has not accepted the mail. After a broken connection, nobody knows.
            failure.in_doubt = (
                transmission.began and failure.channel_down and not isinstance(error, SMTPResponseException)
            )
            raise failure from error

    async def greet(self) -> None:
        """Connect and log in as for a mail, without one; raises NotDelivered."""
        try:
            client = await asyncio.wait_for(self._connection(), self._settings.smtp_timeout)
        except TimeoutError as error:
            waited = f"the mail server did not answer within {self._settings.smtp_timeout:g} s"
            raise NotDelivered(waited, channel_down=True) from error
        except (SMTPException, OSError, ValueError) as error:
            raise _failure(error, self._settings.mail_from) from error
        self._idle.append((client, time.monotonic()))

    async def close(self) -> None:
        """Close every idle connection in order."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            await _quit(client)

    def _compose(self, message: Message, address: str) -> bytes | EmailMessage:
        mail = self._writer.write(message)
        return mail if address.isascii() else international(mail, message.name, address)

    async def _hand_over(self, transmission: _Transmission) -> None:
        mail, address = transmission.mail, transmission.address
        client = await self._connection()
        transmission.began = True
        kept = False
        try:
            if isinstance(mail, bytes):
                await client.sendmail(self._writer.sender, [address], mail)
            else:  # slower, but checks whether the server accepts such addresses
                await client.send_message(mail, sender=self._writer.sender, recipients=[address])
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


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit(timeout=1)
    except (SMTPException, OSError):
        client.close()


def _failure(error: Exception, address: str) -> NotDelivered:
    """Return the failure, which concerns one address, one mail or the whole server."""
    if isinstance(error, SMTPRecipientsRefused):
        refused = error.recipients[0]
        reason = f"the mail server refused the address: {refused.code} {refused.message}"
        return NotDelivered(_without(reason, address), permanent=refused.code >= 500)
    if isinstance(error, SMTPAuthenticationError | SMTPSenderRefused | SMTPConnectError):
        return NotDelivered(
            _without(f"the mail server refused the connection or the sender: {error}", address), channel_down=True
        )
    if isinstance(error, SMTPResponseException):
        reason = _without(f"the mail server refused the mail: {error.code} {error.message}", address)
        down = error.code == _SERVICE_NOT_AVAILABLE
        return NotDelivered(reason, permanent=error.code >= 500, channel_down=down)
    if isinstance(error, SMTPServerDisconnected | SMTPException | OSError):
        return NotDelivered(_without(f"the mail server cannot be reached: {error}", address), channel_down=True)
    return NotDelivered(_without(f"the address is invalid: {error}", address), permanent=True)


def _without(reason: str, address: str) -> str:
    """Remove the address from a reason: the audit chain is permanent, so it holds no personal data."""
    return reason.replace(address, "(address)")

"""Mail over SMTP: multipart messages over connections that are kept open and reused."""

from __future__ import annotations

import asyncio
import email
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.errors import HeaderParseError
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.message import Message as Mail
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import SMTP as SMTP_POLICY
from email.policy import compat32
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache

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
from activities.notifications.settings import NotifySettings

# Seconds after which an idle connection is checked before it is used again: servers close idle connections.
CHECK_AFTER = 5.0
_SERVICE_NOT_AVAILABLE = 421
# Headers are written as given. The email package's newer classes parse each again, which took most of a mail's time.
# The values are checked here.
_POLICY = compat32.clone(linesep="\r\n", max_line_length=0)
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


@dataclass
class _Transmission:
    """One mail, and whether its transmission to a server had begun."""

    mail: Mail
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
        sender_name, self._sender = parseaddr(settings.mail_from)
        self._from = _address(sender_name, self._sender)
        self._domain = self._sender.rpartition("@")[2] or "localhost"

    @property
    def concurrency(self) -> int:
        """One message for each connection."""
        return self._settings.smtp_connections

    @property
    def timeout(self) -> float:
        """The SMTP timeout of the settings."""
        return self._settings.smtp_timeout

    async def send(self, message: Message) -> None:
        """Hand one mail to the server; raises NotDelivered."""
        if not message.address:
            raise NotDelivered(f"user:{message.person} has no mail address", permanent=True)
        try:
            mail = self.compose(message)
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

    async def close(self) -> None:
        """Close every idle connection in order."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            await _quit(client)

    def compose(self, message: Message) -> Mail:
        """Compose the mail: text and HTML, the same id in every attempt, and one thread for each request."""
        mail = MIMEMultipart("alternative", policy=_POLICY)
        mail["From"] = self._from
        address = message.address or ""
        if address.isascii():
            mail["To"] = _address(message.name, address)
        mail["Subject"] = _header(message.subject, "Subject")
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{message.id}@{self._domain}>"
        thread = f"<request-{message.request_id}@{self._domain}>"
        mail["In-Reply-To"], mail["References"] = thread, thread  # mail programs read one or the other
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Placet-Event"] = message.event
        mail["X-Placet-Request"] = message.request_id
        if message.urgent:
            mail["Importance"] = "high"
        mail.attach(_part(message.text, "plain"))
        mail.attach(_part(message.html, "html"))
        return mail if address.isascii() else _international(mail, message.name, address)

    async def _hand_over(self, transmission: _Transmission) -> None:
        mail, address = transmission.mail, transmission.address
        client = await self._connection()
        transmission.began = True
        kept = False
        try:
            if address.isascii():
                await client.sendmail(self._sender, [address], mail.as_bytes())
            else:  # slower, but checks whether the server accepts such addresses
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


@lru_cache(maxsize=1024)
def _address(name: str, address: str) -> str:
    """Return name and address for a header; raises ValueError or HeaderParseError for an invalid address."""
    return formataddr((" ".join(name.split()), _checked(address).addr_spec))


def _international(mail: Mail, name: str, address: str) -> EmailMessage:
    """Return the mail for an address with non-ASCII characters, which only the email package's newer classes write."""
    whole = email.message_from_bytes(mail.as_bytes(), policy=SMTP_POLICY)
    checked = _checked(address)
    whole["To"] = Address(" ".join(name.split()), checked.username, checked.domain)
    return whole


def _checked(address: str) -> Address:
    before, _, after = address.rpartition("@")
    if not before or not after:  # on which the email package fails with another error
        raise ValueError("a mail address needs text on both sides of the @")
    return Address(addr_spec=address)


def _header(text: str, name: str) -> str:
    """Return a text for a header, with encoded words for non-ASCII characters."""
    plain = " ".join(text.split())
    if plain.isascii() and "=?" not in plain:
        return plain
    return Header(plain, _UTF8, header_name=name).encode(linesep="\r\n")


def _part(content: str, subtype: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", subtype, charset="utf-8", policy=_POLICY)
    part.set_payload(content, _UTF8)
    return part


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

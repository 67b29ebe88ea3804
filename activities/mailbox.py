"""A mailbox of this machine's own: an SMTP server that keeps the newest mails in memory and sends none on."""

from __future__ import annotations

import asyncio
import email
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from types import TracebackType
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail as it came: `number` counts from 1 and is never used again."""

    number: int
    received_at: datetime
    sender: str
    to: tuple[str, ...]
    subject: str
    message_id: str
    text: str
    html: str
    headers: dict[str, str]


class _Kept(NamedTuple):
    """A mail as it lies there; it is parsed when somebody looks at it."""

    number: int
    received_at: datetime
    sender: str
    to: tuple[str, ...]
    content: bytes


class Mailbox:
    """Serve SMTP on loopback; `async with Mailbox() as box` listens at `box.host`, `box.port` until the end.

    It belongs to the loop that started it. Anybody on this machine can send to it and nothing leaves it.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, most: int = MOST_KEPT) -> None:
        """Listen at this address; port 0 takes a free one."""
        self.host = host
        self.port = port
        self._kept: deque[_Kept] = deque(maxlen=most)
        self._received = 0
        self._server: asyncio.Server | None = None
        self._sessions: set[SMTP] = set()

    async def start(self) -> None:
        """Listen; raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and hang up."""
        if self._server is None:
            return
        self._server.close()
        handlers = []
        for session in self._sessions:
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()
            if session._handler_coroutine is not None:
                handlers.append(session._handler_coroutine)
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        self._sessions.clear()

    async def __aenter__(self) -> Mailbox:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    def mails(self, *, to: str | None = None, after: int = 0) -> list[Mail]:
        """List the mails that were kept, oldest first: those to an address, and those after a number."""
        # A copy in one step: pages are served by threads, and new mails come in meanwhile.
        return [_mail(one) for one in tuple(self._kept) if one.number > after and (to is None or to in one.to)]

    def clear(self) -> None:
        """Throw everything away."""
        self._kept.clear()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - aiosmtpd's name
        """Keep a mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self._received += 1
        to = tuple(envelope.rcpt_tos)
        self._kept.append(_Kept(self._received, datetime.now(UTC), envelope.mail_from or "", to, content))
        return "250 Kept"

    def _session(self) -> SMTP:
        # Sessions that have ended are let go of here, since nothing tells when one ends.
        self._sessions = {s for s in self._sessions if s.transport is not None and not s.transport.is_closing()}
        session = SMTP(self, enable_SMTPUTF8=True, hostname="mailbox.placet", ident="Placet mailbox")
        self._sessions.add(session)
        return session


def _mail(kept: _Kept) -> Mail:
    message = email.message_from_bytes(kept.content, policy=SMTP_POLICY)
    return Mail(
        number=kept.number,
        received_at=kept.received_at,
        sender=kept.sender,
        to=kept.to,
        subject=str(message["Subject"] or ""),
        message_id=str(message["Message-ID"] or ""),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers={name: str(value) for name, value in message.items()},
    )


def _body(message: EmailMessage, kind: Any) -> str:
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()).replace("\r\n", "\n") if part is not None else ""

"""The local mailbox: an SMTP server on loopback that stores the newest mails and forwards none."""

from __future__ import annotations

import asyncio
import email
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

MOST_KEPT = 1_000
_ENVELOPE = "X-Placet-Envelope: "

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One received mail. `number` counts from 1 and is never reused."""

    number: int
    received_at: datetime
    sender: str
    to: tuple[str, ...]
    subject: str
    message_id: str
    text: str
    html: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHead:
    """What a list tells of a mail: its number, when it came and for whom, and its subject."""

    number: int
    received_at: datetime
    to: tuple[str, ...]
    subject: str


@dataclass(frozen=True)
class _StoredMail:
    """A mail as it is stored. It is parsed when somebody reads it, and for a list only its headers are, once."""

    number: int
    received_at: datetime
    sender: str
    to: tuple[str, ...]
    content: bytes

    @cached_property
    def head(self) -> MailHead:
        headers = email.message_from_bytes(self.content.partition(b"\r\n\r\n")[0], policy=SMTP_POLICY)
        subject = str(headers["Subject"] or "")
        return MailHead(number=self.number, received_at=self.received_at, to=self.to, subject=subject)


class Mailbox:
    """Serve SMTP on loopback; `async with Mailbox() as box` listens at `box.host`, `box.port` until the end.

    It belongs to the event loop that started it. Every process on this machine can send to it, and it forwards nothing.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, most: int = MOST_KEPT, folder: Path | None = None
    ) -> None:
        """Listen at this address; port 0 chooses a free port. With a folder, mails survive a restart.

        Raises OSError where the folder cannot be used.
        """
        self.host = host
        self.port = port
        self._most = most
        self._folder = folder
        self._mails: deque[_StoredMail] = deque(_read(folder) if folder is not None else (), maxlen=most)
        self._received = self._mails[-1].number if self._mails else 0
        self._server: asyncio.Server | None = None
        self._sessions: set[SMTP] = set()

    async def start(self) -> None:
        """Listen; raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close all sessions."""
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
        """List the stored mails, oldest first: those to an address, and those after a number."""
        return [_mail(one) for one in self._there() if one.number > after and (to is None or to in one.to)]

    def heads(self) -> list[MailHead]:
        """List what a list tells of the stored mails, oldest first."""
        return [one.head for one in self._there()]

    def find(self, number: int) -> Mail | None:
        """Return the stored mail of this number, or None."""
        return next((_mail(one) for one in self._there() if one.number == number), None)

    def _there(self) -> list[_StoredMail]:
        """Return the stored mails whose files nobody has deleted."""
        # Copied in one step, since threads serve the pages while new mails arrive.
        stored = tuple(self._mails)
        if self._folder is None:
            return list(stored)
        folder = self._folder
        return [one for one in stored if _file(folder, one.number).exists()]

    def clear(self) -> None:
        """Delete all mails."""
        for kept in self._mails:
            self._forget(kept)
        self._mails.clear()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - aiosmtpd's name
        """Store a mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self._received += 1
        to = tuple(envelope.rcpt_tos)
        kept = _StoredMail(self._received, datetime.now(UTC), envelope.mail_from or "", to, content)
        if self._folder is not None:
            _write(self._folder, kept)
            if len(self._mails) == self._most:
                self._forget(self._mails[0])
        self._mails.append(kept)
        return "250 Kept"

    def _forget(self, kept: _StoredMail) -> None:
        if self._folder is not None:
            _file(self._folder, kept.number).unlink(missing_ok=True)

    def _session(self) -> SMTP:
        # Ended sessions are removed here, since aiosmtpd does not report the end of one.
        self._sessions = {s for s in self._sessions if s.transport is not None and not s.transport.is_closing()}
        session = SMTP(self, enable_SMTPUTF8=True, hostname="mailbox.placet", ident="Placet mailbox")
        self._sessions.add(session)
        return session


def delete_mails(folder: Path, chosen: Callable[[Mail], bool]) -> int:
    """Delete mails from the folder of a mailbox, which shows them no longer; return how many there were."""
    deleted = 0
    for kept in _read(folder) if folder.is_dir() else ():
        if chosen(_mail(kept)):
            _file(folder, kept.number).unlink(missing_ok=True)
            deleted += 1
    return deleted


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:09}.eml"


def _write(folder: Path, kept: _StoredMail) -> None:
    """Store a mail as a file for mail programs. What its headers lack is in a first header of our own."""
    envelope = json.dumps({"at": kept.received_at.isoformat(), "from": kept.sender, "to": kept.to})
    file = _file(folder, kept.number)
    with file.with_suffix(".new").open("wb") as fresh:
        fresh.write(f"{_ENVELOPE}{envelope}\r\n".encode() + kept.content)
    file.with_suffix(".new").replace(file)


def _read(folder: Path) -> Iterator[_StoredMail]:
    """Yield the mails of earlier runs, oldest first; other files are skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for file in sorted(folder.glob("*.eml")):
        first, _, content = file.read_bytes().partition(b"\r\n")
        try:
            envelope = json.loads(first.decode().removeprefix(_ENVELOPE))
            at = datetime.fromisoformat(envelope["at"])
            yield _StoredMail(int(file.stem), at, envelope["from"], tuple(envelope["to"]), content)
        except (ValueError, KeyError, TypeError):
            log.warning("%s is not a mail of this mailbox; it is ignored", file)


def _mail(kept: _StoredMail) -> Mail:
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

"""A mail server that notes which messages it took, when, and about what; it keeps no contents."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

_HEADER = {
    name: re.compile(rb"^" + name.encode() + rb": *<?([^@>\r\n]+)", re.MULTILINE)
    for name in ("Message-ID", "X-Placet-Event", "X-Placet-Request")
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that was taken. `at` is of time.monotonic."""

    id: str
    request_id: str
    event: str
    person: str
    at: float


class Post:
    """The mail server."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="mail.chaos"), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take note of a mail."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        head = content.partition(b"\r\n\r\n")[0]
        found = {name: match[1].decode().strip() for name, rule in _HEADER.items() if (match := rule.search(head))}
        self.taken.append(
            Taken(
                id=found["Message-ID"],
                request_id=found["X-Placet-Request"],
                event=found["X-Placet-Event"],
                person=envelope.rcpt_tos[0].partition("@")[0],
                at=time.monotonic(),
            )
        )
        return "250 Kept"

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

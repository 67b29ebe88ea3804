"""A real SMTP server for tests: it keeps what it gets, and refuses, stalls or goes away when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

from activities.notifications.channels.mailbox import Mailbox


class FaultyMailbox(Mailbox):
    """A mailbox with switches. `tried` lists every recipient offered to it, refused or not."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, str] = {}  # address -> the answer it gets instead of 250
        self.delay = 0.0  # seconds before a mail is taken
        self._flows = asyncio.Event()  # whether mails are taken at all
        self._flows.set()
        self.tried: list[str] = []
        self.cut, self.mute = 0, 0  # how many mails are taken and get no answer: a cut connection, or nothing for ever

    async def down(self) -> None:
        """Hang up and do not answer any more; the port stays this mailbox's own."""
        await self.stop()

    async def up(self) -> None:
        """Listen again at the same port."""
        await self.start()

    async def hold(self) -> None:
        """Take no mail before `release`, and let whoever sends one wait."""
        self._flows.clear()

    async def release(self) -> None:
        """Take the mails that were held."""
        self._flows.set()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        self.tried.append(address)
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep a mail, after a while."""
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flows.wait()
        taken = await super().handle_DATA(server, session, envelope)
        if self.cut:
            self.cut -= 1
            assert server.transport is not None
            server.transport.close()
        if self.mute:
            self.mute -= 1
            await asyncio.Event().wait()  # until the sender hangs up
        return taken


@pytest_asyncio.fixture
async def mailbox() -> AsyncIterator[FaultyMailbox]:
    """Return a mailbox of this test's own that listens."""
    box = FaultyMailbox()
    await box.start()
    yield box
    await box.stop()

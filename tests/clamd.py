"""A small clamd: it speaks the commands INSTREAM and VERSION over TCP or a socket, and finds EICAR's test file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""EICAR's test file, in two parts so that no scanner takes this one for it."""


@dataclass(kw_only=True)
class Clamd:
    """What it was sent, and how it answers; `most` is its StreamMaxLength."""

    most: int = 1_000_000
    answer: bytes | None = None  # in place of what it finds
    silent: bool = False
    seen: list[bytes] = field(default_factory=list)
    open: set[asyncio.Task[None]] = field(default_factory=set)  # the conversations that go on

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a conversation."""
        task = asyncio.create_task(self.converse(reader, writer))
        self.open.add(task)
        task.add_done_callback(self.open.discard)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one command."""
        try:
            command = await reader.readuntil(b"\0")
            if self.silent:
                await reader.read()  # until the other side has had enough
            writer.write(b"ClamAV 1.4.0\0" if command == b"zVERSION\0" else await self._scanned(reader))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _scanned(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            if len(content) + size > self.most:
                return b"INSTREAM size limit exceeded. ERROR\0"
            content += await reader.readexactly(size)
        self.seen.append(content)
        if self.answer is not None:
            return self.answer
        return b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0"


@asynccontextmanager
async def clamd(scanner: Clamd, socket: Path | None = None) -> AsyncIterator[str]:
    """Run one, and return its address as PLACET_CLAMD_URL has it."""
    if socket is not None:
        server = await asyncio.start_unix_server(scanner.take, socket)
    else:
        server = await asyncio.start_server(scanner.take, "127.0.0.1", 0)
    async with server:
        yield f"unix:{socket}" if socket is not None else f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await asyncio.gather(*scanner.open)

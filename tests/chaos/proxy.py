"""TCP proxies between two processes each: they cut connections, refuse new ones, hold bytes up, and add latency.

Run as a program, it is the proxies of one run, in a process of their own so that nothing else keeps them waiting. It
reads one JSON command a line, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections import deque
from contextlib import suppress
from typing import Any, cast

import uvloop

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, as when the other machine has lost the connection
_HOST = "127.0.0.1"


class Link:
    """Who connects to `port` reaches `target`, a port of this machine's loopback; nothing else can be reached."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.target = 0
        self.latency = 0.0  # seconds that are added to each direction
        self.refusing = False
        self.stalled = False
        self.sides: set[_Side] = set()

    async def start(self) -> int:
        """Listen on a free port, and return it."""
        server = await asyncio.get_running_loop().create_server(lambda: _Side(self), _HOST, 0)
        return int(server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Reset all connections, and refuse new ones until `heal`."""
        self.refusing = True
        for side in list(self.sides):
            side.reset()

    def stall(self) -> None:
        """Let no byte through until `heal`; connections stay."""
        self.stalled = True

    def heal(self) -> None:
        """Let everything through at once again."""
        self.refusing = self.stalled = False
        self.latency = 0.0
        for side in self.sides:
            side.flush()


class _Side(asyncio.Protocol):
    """One end of a pair of connections. What its peer has read is written here."""

    def __init__(self, link: Link, peer: _Side | None = None) -> None:
        self._link = link
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._late: deque[tuple[float, bytes]] = deque()  # with when it is to be written
        self._early: list[bytes] = []  # that was read before the other process was reached
        self._read_all = False
        self._ended = False  # whether the peer has sent everything
        self._wrote_all = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the other process, where this is the side of whoever connects."""
        self._transport = cast(asyncio.Transport, transport)
        self._link.sides.add(self)
        if self._peer is not None:
            self._peer.connected(self)
            return
        if self._link.refusing:
            self.reset()
            return
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Side(self._link, self), _HOST, self._link.target)
        except OSError:
            self.reset()
        else:
            if self._transport is None or self._transport.is_closing():
                self.reset()

    def connected(self, peer: _Side) -> None:
        """Pass on what came before the other process was reached."""
        self._peer = peer
        for data in self._early:
            peer.write(data)
        if self._read_all:
            peer.end()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._peer is not None:
            self._peer.write(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        """Pass the end on; the other direction may go on."""
        self._read_all = True
        if self._peer is not None:
            self._peer.end()
        self._close_at_the_end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other one too."""
        self._link.sides.discard(self)
        in_order = self._read_all and self._wrote_all  # then the other one may still have bytes to write
        peer = self._peer
        if not in_order and peer is not None and peer._transport is not None and not peer._transport.is_closing():
            peer.reset()

    def pause_writing(self) -> None:
        """Let the peer read no more than can be written."""
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the peer go on."""
        if self._peer is not None and self._peer._transport is not None:
            self._peer._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Write bytes now, or when their time has come."""
        if self._late or self._link.latency or self._link.stalled:
            self._late.append((asyncio.get_running_loop().time() + self._link.latency, data))
            self.flush()
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """Send no more once everything is written."""
        self._ended = True
        self.flush()

    def flush(self) -> None:
        """Write what is due."""
        if self._link.stalled or self._transport is None or self._transport.is_closing():
            return
        now = asyncio.get_running_loop().time()
        while self._late and (self._late[0][0] <= now or not self._link.latency):
            self._transport.write(self._late.popleft()[1])
        if self._timer is not None:
            self._timer.cancel()
        if self._late:
            self._timer = asyncio.get_running_loop().call_at(self._late[0][0], self.flush)
        elif self._ended:
            with suppress(OSError):
                self._transport.write_eof()
            self._wrote_all = True
            self._close_at_the_end()

    def _close_at_the_end(self) -> None:
        """Close once both directions have ended; nobody else does, and a long run would be left without descriptors."""
        if self._read_all and self._wrote_all and self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End with a reset, so that the process on this side is told at once."""
        for side in (self, self._peer):
            if side is None or side._transport is None:
                continue
            connection = side._transport.get_extra_info("socket")
            if connection is not None:
                with suppress(OSError, ValueError):  # the latter is uvloop's where it has been closed
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            side._transport.abort()


async def _serve(names: list[str]) -> None:
    links = {name: Link(name) for name in names}
    ports = {name: await link.start() for name, link in links.items()}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        given: dict[str, Any] = json.loads(line)
        link = links[given["link"]]
        for name in ("target", "latency"):
            if name in given:
                setattr(link, name, given[name])
        if "do" in given:
            {"cut": link.cut, "stall": link.stall, "heal": link.heal}[given["do"]]()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1:]))

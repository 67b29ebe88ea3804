"""The malware scanner: a clamd of ClamAV, which every attached file is shown before it is stored."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

import structlog

from placet.errors import InputInvalid, TooLarge, Unavailable
from placet.sentences import sentence
from service import security_log
from service.principal import Principal

_CHUNK = 256 * 1024  # bytes
_CONNECT_SECONDS = 5.0
_LONGEST_ANSWER = 4096  # bytes
_LONGEST_NAME = 100  # characters of what was found
_TOO_LARGE = "size limit exceeded"
_log = structlog.get_logger(__name__)


class Scanner:
    """One clamd, by its socket or its host and port; empty: nothing is scanned."""

    def __init__(self, place: str, *, seconds: float = 60.0) -> None:
        self._place = place
        self._seconds = seconds

    async def require_clean(self, name: str, file: IO[bytes], principal: Principal) -> None:
        """Raise InputInvalid for a file with malware, TooLarge for one that is too large to scan, and Unavailable."""
        if not self._place:
            return
        answer = await self._asked(file)
        if answer == "stream: OK":
            return
        if answer.endswith(" FOUND"):
            found = answer.removeprefix("stream:").removesuffix("FOUND").strip()[:_LONGEST_NAME]
            security_log.note("malware_found", person=principal.person, found=found)
            raise InputInvalid.at(
                "/file", sentence("{name!r} has malware in it ({found}), and was not stored", name=name, found=found)
            )
        if _TOO_LARGE in answer:
            raise TooLarge(sentence("{name!r} is larger than the malware scanner takes; tell an admin.", name=name))
        raise self._unavailable(answer)

    async def greet(self) -> str:
        """Return the version of the scanner; raises Unavailable."""
        async with self._connected() as (reader, writer):
            writer.write(b"zVERSION\0")
            return await _answer(reader)

    async def _asked(self, file: IO[bytes]) -> str:
        """Send a file and return what the scanner says of it. The file is at its beginning before and after."""
        async with self._connected() as (reader, writer):
            # Read from the beginning: a scanner that has heard enough says so and closes, and sending then fails.
            answer = asyncio.create_task(_answer(reader))
            try:
                with contextlib.suppress(ConnectionError):
                    writer.write(b"zINSTREAM\0")
                    chunk = b"first"
                    while chunk and not answer.done():
                        chunk = await asyncio.to_thread(file.read, _CHUNK)
                        writer.write(len(chunk).to_bytes(4, "big") + chunk)  # an empty one is the end
                        await writer.drain()
                return await answer
            finally:
                answer.cancel()
                file.seek(0)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Open a connection for one command; whatever goes wrong within is Unavailable."""
        try:
            async with asyncio.timeout(self._seconds):
                async with asyncio.timeout(_CONNECT_SECONDS):
                    reader, writer = await _open(self._place)
                try:
                    yield reader, writer
                finally:
                    writer.close()
        except (OSError, TimeoutError, EOFError) as error:
            # What the error says may name the scanner's address, which is for the log alone.
            raise self._unavailable(type(error).__name__, detail=str(error)) from error

    def _unavailable(self, reason: str, *, detail: str = "") -> Unavailable:
        _log.warning("malware_scanner_failed", scanner=self._place, reason=reason, detail=detail)
        return Unavailable(
            sentence("The malware scanner does not answer as it should ({reason}); tell an admin.", reason=reason)
        )


async def _open(place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if place.startswith("unix:"):
        return await asyncio.open_unix_connection(place.removeprefix("unix:"), limit=_LONGEST_ANSWER)
    host, _, port = place.removeprefix("tcp://").rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port), limit=_LONGEST_ANSWER)


async def _answer(reader: asyncio.StreamReader) -> str:
    """Return the answer to a command; raises EOFError where the connection ends before, and OSError for a long one."""
    try:
        answer = await reader.readuntil(b"\0")
    except asyncio.LimitOverrunError as error:
        raise OSError("the answer is too long") from error
    return re.sub(r"[^\x20-\x7e]", "?", answer[:-1].decode("ascii", "replace")).strip()

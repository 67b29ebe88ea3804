"""Archives of people for whoever asks over HTTP: one at a time in a process, made on disk, handed out in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import IO

from placet.errors import Busy
from service.administration.person_export import export_person
from service.context import Context
from service.downloads import Download, in_file_name
from service.principal import Principal

_CHUNK = 256 * 1024  # bytes
_RETRY_AFTER = 30  # seconds


async def archive_of(context: Context, principal: Principal, person: str) -> Download:
    """Make the archive of a person; raises NotFound, Busy while another one is made here, and Unavailable.

    The file has no name, and is gone once it was handed out.
    """
    if context.archives.locked():
        raise Busy("Another archive of a person is being made; nothing has happened.", retry_after=_RETRY_AFTER)
    async with context.archives:
        file = TemporaryFile()  # noqa: SIM115 - it is handed out, and closed at the end of that
        try:
            await export_person(context.database, context.files, person, file, by=principal.acted_by, now=context.now())
            size = file.seek(0, 2)
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return Download(name=f"person-{in_file_name(person, most=100)}.zip", size=size, pieces=_pieces(file))


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await asyncio.to_thread(file.read, _CHUNK):
            yield piece

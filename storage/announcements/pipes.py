"""Announcements beside a SQLite file: each process that listens has a named pipe in a folder next to the file.

A pipe holds a thousand announcements while its reader is busy; a datagram socket may hold only ten. Only the user of
the installation can reach the folder and the pipes. A process that was killed leaves its pipe behind; the next one
that announces removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from storage.announcements.announce import payloads

_READ_BYTES = 65536


def folder_of(url: URL) -> Path | None:
    """Return the folder of the pipes for a SQLite database; None where the database is no plain file."""
    if url.database is None or url.database.startswith("file:"):
        return None
    file = Path(url.database).absolute()
    return file.with_name(f"{file.name}-listeners")


def send(folder: Path, topics: Iterable[str]) -> None:
    """Send topics to every process that listens; one whose pipe is full misses them."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - once for each transaction, and only the names are needed
    except OSError:
        return
    # The payloads are short enough to be written whole, whoever else writes.
    encoded = [f"{payload}\n".encode() for payload in payloads(topics)] if names else []
    for name in names:
        pipe = folder / name
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody reads it any more
                pipe.unlink(missing_ok=True)
            continue
        try:
            with contextlib.suppress(OSError):
                for payload in encoded:
                    os.write(writer, payload)
        finally:
            os.close(writer)


@contextmanager
def open_pipe(folder: Path) -> Iterator[int]:
    """Yield the descriptor of a pipe that receives what is announced; raises OSError where none can be made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{os.getpid()}-{uuid.uuid4().hex}"
    fresh, pipe = folder.with_name(f"{folder.name}.{name}"), folder / name
    os.mkfifo(fresh, 0o600)
    try:
        # Also open for writing, so that the pipe has no end when a writer closes it.
        reader = os.open(fresh, os.O_RDWR | os.O_NONBLOCK)
        try:
            fresh.rename(pipe)  # now that it has a reader: others remove a pipe without one
            yield reader
        finally:
            os.close(reader)
    finally:
        fresh.unlink(missing_ok=True)
        pipe.unlink(missing_ok=True)


class PipeReader:
    """Reads the payloads of a pipe, one on each line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def read(self) -> list[bytes]:
        """Return the payloads that have arrived."""
        try:
            arrived = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return []
        *lines, self._rest = (self._rest + arrived).split(b"\n")
        return lines

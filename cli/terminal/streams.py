"""Standard output and error that lose nothing if the reader is slow.

A pipe holds 64 KiB. A longer write may return early: on a non-blocking pipe, and on any pipe once uvloop has used
io_uring, whose notifications interrupt a waiting write. With PYTHONUNBUFFERED set, Python then drops the rest silently
and exits with 0; on a non-blocking pipe it fails.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO


class _Whole(io.RawIOBase):
    """A file descriptor that repeats a write until everything is written."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        left = memoryview(data).cast("B")  # type: ignore[arg-type]  # RawIOBase is given what has a buffer
        size = len(left)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                waiting = select.poll()  # select() knows no descriptors beyond 1023
                waiting.register(self._descriptor, select.POLLOUT)
                waiting.poll()
        return size


def write_whole() -> None:
    """Replace this process's standard streams by complete ones; streams that were replaced already stay."""
    if sys.stdout is sys.__stdout__ and sys.__stdout__ is not None:
        sys.stdout = _whole(sys.__stdout__)
    if sys.stderr is sys.__stderr__ and sys.__stderr__ is not None:
        sys.stderr = _whole(sys.__stderr__)


def _whole(stream: TextIO) -> TextIO:
    stream.flush()
    buffered = io.BufferedWriter(_Whole(stream.fileno()))
    return io.TextIOWrapper(buffered, encoding=stream.encoding, errors=stream.errors, line_buffering=True)

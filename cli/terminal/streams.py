"""Standard output and error that lose nothing, however slowly they are read.

A pipe holds 64 KiB, and a write beyond that may end early: on a pipe that does not block, and on any other once uvloop
has used io_uring, whose notices interrupt a write that waits. With PYTHONUNBUFFERED set, Python then drops the rest
without a word and exits with 0; on a pipe that does not block it gives up.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO


class _Whole(io.RawIOBase):
    """A file descriptor to which everything is written, after as many attempts and as much waiting as it takes."""

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
    """Have this process's standard streams write everything; streams that were put in their place are left alone."""
    if sys.stdout is sys.__stdout__ and sys.__stdout__ is not None:
        sys.stdout = _whole(sys.__stdout__)
    if sys.stderr is sys.__stderr__ and sys.__stderr__ is not None:
        sys.stderr = _whole(sys.__stderr__)


def _whole(stream: TextIO) -> TextIO:
    stream.flush()
    buffered = io.BufferedWriter(_Whole(stream.fileno()))
    return io.TextIOWrapper(buffered, encoding=stream.encoding, errors=stream.errors, line_buffering=True)

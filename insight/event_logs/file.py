"""The bytes of a log: plain or gzip, unpacked in pieces, never beyond a bound."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from insight.event_logs.bounds import LONGEST_LINE, MOST_BYTES, PIECE
from insight.event_logs.refusal import FILE, BeyondBound, in_file
from placet.sentences import sentence

Format = Literal["xes", "csv"]

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class LogFile:
    """A log that is read: bytes, unpacked where they are packed. Every reading is counted against `most` bytes."""

    def __init__(self, stream: IO[bytes], most: int = MOST_BYTES) -> None:
        self._stream = stream
        self._most = most
        self._read = 0

    def piece(self) -> bytes:
        """Return the next piece; empty at the end. Raises InputInvalid."""
        return self._counted(lambda: self._stream.read(PIECE))

    def lines(self) -> Iterator[bytes]:
        """Yield the lines with their ends; raises InputInvalid for one that is too long."""
        number = 0
        while line := self._counted(lambda: self._stream.readline(LONGEST_LINE)):
            number += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                raise in_file(
                    sentence(
                        "line {number} is longer than {longest:,} bytes; a line is one event",
                        number=number,
                        longest=LONGEST_LINE,
                    )
                )
            yield line

    def _counted(self, read: Callable[[], bytes]) -> bytes:
        try:
            piece = read()
        except (OSError, EOFError, zlib.error) as error:
            raise in_file(sentence("the file cannot be unpacked: {error}", error=str(error)[:200])) from error
        self._read += len(piece)
        if self._read > self._most:
            raise BeyondBound.at(
                FILE,
                sentence(
                    "the file unpacks to more than {most:,} bytes, which is the limit; divide it", most=self._most
                ),
            )
        return piece


@contextmanager
def opened(path: Path, most: int = MOST_BYTES) -> Iterator[LogFile]:
    """Open a log for reading, packed by gzip or not."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if packed:
            with gzip.open(raw, "rb") as unpacked:
                yield LogFile(cast("IO[bytes]", unpacked), most)
        else:
            yield LogFile(raw, most)


def format_of(path: Path) -> Format:
    """Return what a file is by its first bytes, not by its name; raises InputInvalid for what is neither."""
    with opened(path) as file:
        head = file.piece().lstrip()
    if not head:
        raise in_file("the file is empty")
    if head.startswith(b"PK\x03\x04"):
        raise in_file("the file is a ZIP archive; unpack it, and send the log in it")
    if head.startswith(_UTF16):
        raise in_file("the file is UTF-16; save it as UTF-8")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "xes"
    if b"\0" in head:
        raise in_file("the file is neither XES nor CSV: it holds bytes that no text has")
    return "csv"

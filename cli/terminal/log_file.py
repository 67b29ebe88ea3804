"""The log in a file: begun anew every day, kept for so many days, its owner's only, and written by one process."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from io import TextIOWrapper
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final

from placet.errors import Conflict, InputInvalid

if TYPE_CHECKING:
    from worker.settings import Settings

LOOK_SECONDS: Final = 3600.0
"""How often whoever has a file looks whether its day is over, so that what is old goes even where nothing is logged."""
_MODE: Final = 0o600
_LOCK: Final = ".lock"


class LogFile(TimedRotatingFileHandler):
    """A log that others write to as to a stream. What an earlier day holds is beside it, as `NAME.YYYY-MM-DD` (UTC).

    Raises InputInvalid for a file that cannot be written, and Conflict where another process writes to it: two that
    begin it anew would lose each other's lines.
    """

    def __init__(self, file: Path, days: int) -> None:
        self._days = days
        self._held: int | None = None
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = _locked(file)
            super().__init__(file, when="midnight", utc=True, backupCount=days, encoding="utf-8", errors="replace")
        except OSError as error:
            why = f"{file} cannot be written ({error.strerror})"
            raise InputInvalid(f"PLACET_LOG_FILE: {why}. Name a file in a folder that you can write to.") from None
        os.register_at_fork(after_in_child=_leave(weakref.ref(self)))
        self.keep_in_time()

    def write(self, text: str) -> int:
        """Write a line, which may end with its line break; what cannot be written is told on standard error."""
        self.handle(logging.makeLogRecord({"msg": text.removesuffix("\n")}))
        return len(text)

    def keep_in_time(self) -> None:
        """Begin the file anew where its day is over, and remove what is older than it shall be."""
        self.acquire()
        try:
            if self.shouldRollover(logging.makeLogRecord({})):
                self.doRollover()
            for old in self.getFilesToDelete():
                Path(old).unlink()
        except OSError:  # tried again the next time; what is written meanwhile is told
            pass
        finally:
            self.release()

    def getFilesToDelete(self) -> list[str]:  # noqa: N802 - the handler's name
        """Return the files of days before the first one that is kept; the usual handler counts files instead."""
        first = datetime.fromtimestamp(time.time(), UTC).date() - timedelta(days=self._days)
        return [str(file) for day, file in earlier_days(Path(self.baseFilename)) if day < first]

    def close(self) -> None:
        """Close the file, and let other processes write to it."""
        super().close()
        self._let_go()

    def leave_to_parent(self) -> None:
        """Close what a forked child has of it; the parent goes on writing."""
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        self._let_go()  # the parent's stays locked

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _open(self) -> TextIOWrapper:
        opened = open(  # noqa: SIM115 - with an opener, and closed by the handler
            self.baseFilename,
            "a",
            encoding=self.encoding,
            errors=self.errors,
            opener=lambda path, flags: os.open(path, flags, _MODE),
        )
        with suppress(PermissionError):  # somebody else's, whom `placet doctor` names
            os.fchmod(opened.fileno(), _MODE)
        return opened


def earlier_days(file: Path) -> list[tuple[date, Path]]:
    """Return what is kept of a log's earlier days, the oldest first."""
    found: list[tuple[date, Path]] = []
    for each in file.parent.iterdir():
        if named := re.fullmatch(rf"{re.escape(file.name)}\.(\d{{4}}-\d\d-\d\d)", each.name, re.ASCII):
            with suppress(ValueError):  # no day
                found.append((date.fromisoformat(named[1]), each))
    return sorted(found)


def log_path(settings: Settings) -> Path | None:
    """Return where the file of the log is, or None for standard error."""
    return None if settings.log_file is None else settings.log_file.expanduser().absolute()


def log_file(settings: Settings) -> LogFile | None:
    """Return the file that this process is to log to, or None for standard error; raises as LogFile does."""
    there = log_path(settings)
    return None if there is None else LogFile(there, settings.log_file_days)


@asynccontextmanager
async def kept_in_time(file: LogFile | None) -> AsyncIterator[None]:
    """Look after a file (none where it is None) while the block runs."""

    async def look() -> None:
        while file is not None:
            await asyncio.sleep(LOOK_SECONDS)
            file.keep_in_time()

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()


def _leave(file: weakref.ref[LogFile]) -> Callable[[], None]:
    def left() -> None:
        if (there := file()) is not None:
            there.leave_to_parent()

    return left


def _locked(file: Path) -> int:
    lock = os.open(f"{file}{_LOCK}", os.O_RDWR | os.O_CREAT, _MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Conflict(
            f"Another process writes to {file}. Give each process a PLACET_LOG_FILE of its own, or let them write to "
            "standard error."
        ) from None
    return lock

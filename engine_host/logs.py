"""The logs of an engine's programs: begun anew at each start, and never longer than a bound while they run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO

MOST_BYTES = 5_000_000  # of a log; as much again is kept of what was before
LOOK_SECONDS = 30.0


def fresh_log(path: Path) -> IO[bytes]:
    """Open a log anew; the one before is kept as `….previous`, for it may tell why that engine ended.

    It is appended to, so that its program goes on at its beginning once it has been emptied.
    """
    with contextlib.suppress(FileNotFoundError):
        path.replace(_previous(path))
    return path.open("ab")


async def keep_short(paths: Sequence[Path]) -> None:
    """Look after logs that programs write to, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for path in paths:
            await asyncio.to_thread(shorten, path)


def shorten(path: Path, *, most: int = MOST_BYTES) -> None:
    """Empty a log that is too long; its content is kept as `….previous`. What is written meanwhile may be lost."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > most:
            shutil.copyfile(path, _previous(path))
            os.truncate(path, 0)


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")

"""The cache of engines by user and version. An incomplete engine is never used."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Progress = Callable[[str], None]
"""Receives lines about the progress, for a person who waits."""


def no_progress(_line: str) -> None:
    """Ignore the progress."""


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Return the user's cache for engines of this machine's kind; `PLACET_CACHE` overrides the platform's place."""
    if given := environ.get("PLACET_CACHE"):
        base = Path(given).expanduser()
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches" / "placet"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "placet"
    return base / "engine" / f"{sys.platform}-{platform.machine()}"


@contextmanager
def locked(directory: Path, *, progress: Progress) -> Iterator[None]:
    """Lock the cache. A second process waits here, and then finds what the first one made."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as lock:
        reported = 0.0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - reported > 15:
                    progress("another process is making the engine, waiting for it…")
                    reported = time.monotonic()
                time.sleep(0.2)
        for left in directory.glob(
            ".making-*"
        ):  # left by a killed process; we hold the lock, so no other process uses it
            shutil.rmtree(left, ignore_errors=True)
        yield


@contextmanager
def build_directory(directory: Path) -> Iterator[Path]:
    """Yield a temporary folder beside the cached engines in which to make one; it is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix=".making-", dir=directory, ignore_cleanup_errors=True) as made:
        yield Path(made)


def install(made: Path, target: Path) -> Path:
    """Move a finished program to its place atomically: flush its content, then rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made.chmod(0o755)
    with made.open("rb") as program:
        os.fsync(program.fileno())
    made.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return target

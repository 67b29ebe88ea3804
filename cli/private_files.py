"""Files that only their owner can read: everything that Placet writes into its data folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

MASK = 0o077
"""The permissions that files of an installation have for nobody but their owner."""
_OURS = ("placet.db*", "secret.key*", "up.json*", "erasures.ndjson", "engine", "mailbox", "attachments", "logs")
"""What Placet writes into its data folder. What somebody else has put there is theirs to protect."""
_MOST_AT_A_START = 20_000  # files and folders that a start looks at; `placet doctor` looks at all


def write_private_files() -> None:
    """Let this process and all that it starts make files that nobody else can read or change."""
    os.umask(MASK)


def shared_with_others(home: Path) -> Iterator[Path]:
    """Yield what of Placet's in its data folder others than the owner may read, write or enter; not behind links."""
    for path, status in _ours(home):
        if stat.S_IMODE(status.st_mode) & MASK and not stat.S_ISLNK(status.st_mode):
            yield path


def keep_private(home: Path) -> None:
    """Take from others what earlier versions, or an engine's program, left readable in this user's data folder."""
    for path, status in islice(_ours(home), _MOST_AT_A_START):
        mode = stat.S_IMODE(status.st_mode)
        if mode & MASK and not stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid():
            path.chmod(mode & ~MASK)


def _ours(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the folder and what Placet wrote into it. What is removed meanwhile is left out."""
    yield home, home.lstat()
    waiting = [path for path in home.iterdir() if any(fnmatch(path.name, name) for name in _OURS)]
    while waiting:
        path = waiting.pop()
        try:
            status = path.lstat()
            inside = list(path.iterdir()) if stat.S_ISDIR(status.st_mode) else []
        except FileNotFoundError:
            continue
        yield path, status
        waiting += inside

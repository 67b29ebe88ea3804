"""A small disk for PostgreSQL, that can be made full: a tmpfs, or a limit on the size of its files."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.processes import descendants

LEFT = 96 * 1024  # bytes that a full disk has left
_LARGEST_FILE = 64 * 1024  # bytes, where no disk of its own can be mounted


class Disk:
    """A folder whose writes fail while it is full."""

    def __init__(self, *, megabytes: int) -> None:
        # Beside other folders of the kind, for the server's user cannot enter those of a test run.
        self.folder = Path(tempfile.mkdtemp(prefix="placet-chaos-"))
        self._size = megabytes * 1024 * 1024
        self.mounted = self._mount("mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.folder))

    @property
    def how(self) -> str:
        """What makes it full."""
        return "a tmpfs that shrinks to what it holds" if self.mounted else "RLIMIT_FSIZE of PostgreSQL's processes"

    def fill(self, server: int) -> None:
        """Leave next to no room; `server` is the process that writes to it."""
        if self.mounted:
            there = os.statvfs(self.folder)
            used = (there.f_blocks - there.f_bfree) * there.f_frsize
            self._mount("mount", "-o", f"remount,size={used + LEFT}", str(self.folder))
            return
        self._limit(server, _LARGEST_FILE)

    def free(self, server: int) -> None:
        """Make room again."""
        if self.mounted:
            self._mount("mount", "-o", f"remount,size={self._size}", str(self.folder))
            return
        self._limit(server, resource.RLIM_INFINITY)

    def close(self) -> None:
        """Unmount and delete it."""
        if self.mounted:
            self._mount("umount", "-l", str(self.folder))
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _mount(*command: str) -> bool:
        try:
            return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
        except OSError:
            return False

    @staticmethod
    def _limit(server: int, most: int) -> None:
        for pid in {server} | descendants(server):
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

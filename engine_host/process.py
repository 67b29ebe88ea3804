"""Start programs that end with this process, whatever ends it, and keep their logs short."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

MOST_BYTES = 5_000_000  # of a log; as much again is kept of what was before
LOOK_SECONDS = 30.0

GUARD = Path(__file__).with_name("guard.py")


class GuardedProcess:
    """A running program that ends with this process (see guard.py)."""

    def __init__(
        self,
        program: Sequence[str | Path],
        *,
        environ: Mapping[str, str],
        output: IO[bytes],
        directory: Path,
        keep: Sequence[int] = (),
        grace: float = 10.0,
    ) -> None:
        """Start `program` in `directory` with its output going to a file; `keep` are descriptors that it shall hold.

        `grace` is the number of seconds it gets between being asked to stop and being killed.
        """
        self._grace = grace
        reading, status = os.pipe()
        try:
            self._guard = subprocess.Popen(  # noqa: S603 - the program is ours or was found by the locator
                [
                    *(sys.executable, "-I", str(GUARD)),
                    *(str(os.getpid()), str(status), str(grace), *map(str, keep)),
                    *("--", *map(str, program)),
                ],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=directory,
                env=dict(environ),
                pass_fds=[status, *keep],
                start_new_session=True,  # Ctrl-C of the terminal goes to the parent, which then stops this in order
            )
        finally:
            os.close(status)
        with os.fdopen(reading) as version_output:
            self.pid = int(version_output.readline() or 0)
        """The program's own process id, 0 when it could not be started."""

    @property
    def pids(self) -> tuple[int, int]:
        """The process ids of the program and of its guard."""
        return self.pid, self._guard.pid

    def code(self) -> int | None:
        """Return the exit code, None while the program runs."""
        return self._guard.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; raises subprocess.TimeoutExpired after `timeout` seconds."""
        code = self._guard.wait(timeout)
        self._close()
        return code

    def stop(self) -> int:
        """End the program: in order if it can, by force after the grace; return its exit code."""
        if self._guard.poll() is None and self._guard.stdin:
            with contextlib.suppress(OSError):  # it ended meanwhile
                os.write(self._guard.stdin.fileno(), b"s")
        try:
            return self.wait(self._grace + 5)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End the program by force, as a crash would."""
        if self.pid and self._guard.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        try:
            return self.wait(10)  # the guard reaps it, so that it has ended when this returns
        except subprocess.TimeoutExpired:
            self._guard.kill()
            return self.wait(10)

    def _close(self) -> None:
        if self._guard.stdin:
            self._guard.stdin.close()


def run(
    program: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    directory: Path,
    timeout: float,
    tick: float = 15.0,
    on_tick: Callable[[float], None] = lambda _seconds: None,
) -> tuple[int | None, str]:
    """Run a program to its end and return its exit code (None when `timeout` seconds were not enough) and its output.

    `on_tick` is called with the seconds gone by every `tick` seconds, so that a long run can show its progress.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        guarded = GuardedProcess(program, environ=environ, output=output, directory=directory, grace=2.0)
        code: int | None = None
        try:
            while code is None and (gone := time.monotonic() - started) < timeout:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = guarded.wait(min(tick, timeout - gone))
                if code is None:
                    on_tick(time.monotonic() - started)
        finally:
            if code is None:
                guarded.stop()
        output.seek(0)
        return code, output.read().decode(errors="replace")


def version_output(
    program: Path, argument: str = "--version", *, environ: Mapping[str, str] | None = None, timeout: float = 60.0
) -> str | None:
    """Return what a program prints about itself, or None when it cannot be run or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - a program that the locator found, asked for its version
            [program, argument],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
            stdin=subprocess.DEVNULL,
            env=environ,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout + done.stderr


def fresh_log(path: Path) -> IO[bytes]:
    """Open a new log; the previous one is kept as `….previous`, since it may say why that engine ended.

    It is opened for appending, so that its program continues at the start once the log has been emptied.
    """
    with contextlib.suppress(FileNotFoundError):
        path.replace(_previous(path))
    return path.open("ab")


async def keep_logs_short(paths: Sequence[Path]) -> None:
    """Shorten logs that programs write to, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for path in paths:
            await asyncio.to_thread(shorten_log, path)


def shorten_log(path: Path, *, most: int = MOST_BYTES) -> None:
    """Empty a log that is too long; its content is kept as `….previous`. What is written meanwhile may be lost."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > most:
            shutil.copyfile(path, _previous(path))
            os.truncate(path, 0)


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")

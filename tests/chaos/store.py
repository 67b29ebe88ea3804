"""PostgreSQL as chaos needs it: on a small disk, and safe against the loss of power; killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psycopg

from tests.chaos.disk import Disk
from tests.ports import free_port
from tests.postgresql import SUPERUSER, Server, binaries, unprivileged
from tests.processes import descendants, end_with_parent
from tests.waiting import PATIENCE, poll

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "wal_recycle": "off",
    "log_min_messages": "warning",
}


class Store:
    """One PostgreSQL server for Placet and for the engine."""

    def __init__(self, folder: Path, disk: Disk, log: Path) -> None:
        self.disk = disk
        self._log = log
        user = unprivileged()
        self._rights = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        programs, data = binaries(folder), disk.folder / "data"
        if user is not None:
            os.chown(disk.folder, user, user)
        with log.open("ab") as out:
            subprocess.run(
                [programs / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
                check=True,
                stdout=out,
                stderr=out,
                cwd=disk.folder,
                **self._rights,
            )
        port = free_port()
        self.server = Server(folder=str(disk.folder), port=port)
        settings = _SETTINGS | {"port": str(port), "unix_socket_directories": str(disk.folder)}
        self._command = [str(programs / "postgres"), "-D", str(data)]
        self._command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process: subprocess.Popen[bytes] | None = None
        self.launch()
        self.wait()

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the server, which must not be running; `wait` waits for it."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.disk.folder,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call, from the main thread
                **self._rights,  # type: ignore[arg-type]  # a user's id
            )

    def wait(self) -> None:
        """Wait until it answers; AssertionError where it ends or takes too long."""

        def answers() -> bool:
            with suppress(psycopg.OperationalError):
                self.server.run("SELECT 1")
                return True
            assert self.running, f"PostgreSQL has ended; see {self._log}"
            return False

        poll(answers, what=f"an answer of PostgreSQL; see {self._log}")

    def stop(self, how: signal.Signals) -> None:
        """End the server: SIGINT in order, SIGQUIT at once, SIGKILL as a crash would."""
        if self._process is None or self._process.poll() is not None:
            return
        children = descendants(self._process.pid)
        self._process.send_signal(how)
        if how is signal.SIGKILL:  # what is left of a killed server would keep the next one from starting
            self.signal(how, children)
        self._process.wait(PATIENCE)
        poll(
            lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in children),
            what="the end of PostgreSQL's processes",
        )

    @property
    def children(self) -> set[int]:
        """The processes that it has started, and that are there now."""
        return descendants(self.pid)

    def signal(self, how: signal.Signals, pids: set[int] | None = None) -> None:
        """Send a signal to all processes of the server's that are there now."""
        for pid in {self.pid} | descendants(self.pid) if pids is None else pids:
            with suppress(ProcessLookupError):
                os.kill(pid, how)

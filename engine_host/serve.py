"""Run an embedded engine: on loopback, with its data in one folder, and no longer than its parent process."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx
from temporalio.service import ConnectConfig, RPCError, ServiceClient

from engine_host.cache import Progress, no_progress
from engine_host.config import (
    CLI_FILE,
    HOST,
    SERVER_FILE,
    Database,
    Ports,
    Postgres,
    as_dict,
    cli_arguments,
    free_ports,
    server_environment,
    write_ui_config,
)
from engine_host.database import delete_stale_members, prepare_schema
from engine_host.locate import Binaries, Kind, Startable, locate_startable
from engine_host.process import GuardedProcess, fresh_log, keep_logs_short
from placet.errors import Conflict, EngineMissing, InputInvalid, Unavailable
from worker.sdk_log import plain_runtime

START_SECONDS = 120.0
# A port that was found free may be taken a moment later. Then other ports are tried.
PORT_ATTEMPTS = 5
# An engine whose parent was killed ends within seconds. A start right after that waits for it.
LOCK_SECONDS = 10.0


class Engine:
    """A running engine. `async with` or `await stop()` ends it."""

    def __init__(
        self, *, home: Path, startable: Startable, ports: Ports, server: GuardedProcess, serves_ui: bool
    ) -> None:
        """Take over the running server."""
        self.home = home
        self.version = startable.version
        """The server's version, such as `1.32.1`."""
        self.kind: Kind = startable.kind
        self.ports = ports
        self.address = f"{HOST}:{ports.frontend}"
        """Where clients connect, `host:port`."""
        self.ui_url = f"http://{HOST}:{ports.ui}" if serves_ui else None
        """Where the Temporal Web UI is; None without one."""
        self._server = server
        self._ui: GuardedProcess | None = None
        self._logs: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._server.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of server, Web UI and their guards."""
        return (*self._server.pids, *(self._ui.pids if self._ui else ()))

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.home / "server.log"

    def attach(self, ui: GuardedProcess) -> None:
        """Take over the Web UI's process, which is stopped with the server."""
        self._ui = ui

    def look_after_logs(self) -> None:
        """Keep the logs from growing without end until the engine is stopped."""
        self._logs = asyncio.create_task(keep_logs_short([self.log, self.home / "ui.log"]))

    def exit_code(self) -> int | None:
        """Return the server's exit code, None while it runs."""
        return self._server.code()

    async def ended(self) -> int:
        """Wait until the server has ended, for whatever reason, and return its exit code."""
        # asyncio has no event for the end of the process, and a waiting thread would keep this process from ending.
        while (code := self._server.code()) is None:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.2)
        return code

    async def stop(self) -> None:
        """End the Web UI and the server in order, by force where that takes too long; the second call does nothing."""
        if self._logs is not None:
            self._logs.cancel()
        for each in (self._ui, self._server):
            if each is not None:
                await asyncio.to_thread(each.stop)

    async def kill(self) -> None:
        """End server and Web UI as a crash would, for tests of what survives one."""
        for each in (self._server, self._ui):
            if each is not None:
                await asyncio.to_thread(each.kill)

    async def __aenter__(self) -> Engine:
        """Return the engine, which runs already."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the engine."""
        await self.stop()


async def start_engine(
    home: Path,
    *,
    database: str = "file",
    ui: bool = True,
    ports: Ports | None = None,
    startable: Startable | None = None,
    environ: Mapping[str, str] | None = None,
    codec: str | None = None,
    progress: Progress = no_progress,
) -> Engine:
    """Start an engine with its files under `home` and return it once its frontend answers.

    `database` is `file` (SQLite under `home`), `memory`, or a `postgresql://…` URL. `startable` is what to start;
    without it the locator finds or makes one. `codec` is the address of the codec server for the Web UI. Raises
    Conflict when `home` is in use, EngineMissing, InputInvalid for a bad `database` or port, and Unavailable with the
    end of the log when the server does not come up.
    """
    environ = os.environ if environ is None else environ
    home = await asyncio.to_thread(_folder, home)
    store = _store(home, database)
    with await asyncio.to_thread(_claim, home) as lock:
        before = _read(home)
        kind = _kind_of(store)
        if startable is None:
            startable = await asyncio.to_thread(locate_startable, environ=environ, kind=kind, progress=progress)
        elif kind not in (None, startable.kind):
            raise EngineMissing(
                f"{home} holds data of the engine kind {kind!r}, and {startable.kind!r} cannot open it."
            )
        if isinstance(store, Postgres) and isinstance(startable, Binaries):
            tool, plain = startable.sql_tool, _without_settings(environ)
            await asyncio.to_thread(prepare_schema, tool, store, directory=home, environ=plain, progress=progress)
        await asyncio.to_thread(delete_stale_members, store)
        earlier = Ports(**before["ports"]) if before else None
        attempt = 0
        while True:
            attempt += 1
            chosen = free_ports(ports or Ports(), before=earlier if attempt == 1 else None)
            launch = _Launch(
                home=home, startable=startable, store=store, ports=chosen, ui=ui, codec=codec, environ=environ
            )
            engine = await asyncio.to_thread(launch.server, lock.fileno())
            try:
                failure = await _wait_until_healthy(engine) or await _start_web_ui(engine, launch)
            except BaseException:  # also when cancelled: no process may stay
                await engine.stop()
                raise
            if failure is None:
                engine.look_after_logs()
                _write(home, engine)
                return engine
            await engine.stop()
            if "address already in use" not in failure or attempt == PORT_ATTEMPTS:
                raise Unavailable(
                    f"the Temporal server {startable.version} did not start; its log {engine.log} ends with:\n{failure}"
                )


def running_at(home: Path) -> dict[str, Any] | None:
    """Return `address`, `ui_url`, `version` and `pid` of the engine that runs under `home`, None without one."""
    home = home.expanduser().resolve()
    try:
        with (home / "engine.lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(home)
    except FileNotFoundError:
        return None
    return None


def version_at(home: Path) -> str | None:
    """Return the version of the engine that ran last with its files under `home`, None where none has."""
    found = (_read(home) or {}).get("version")
    return None if found is None else str(found)


def _folder(home: Path) -> Path:
    home = home.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)  # it contains all data of all requests
    return home


def _claim(home: Path) -> IO[bytes]:
    """Lock `home`. The server inherits the lock and holds it until it ends, also if its parent is killed."""
    lock = (home / "engine.lock").open("ab")
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(0.1)
                continue
            lock.close()
            there = _read(home) or {}
            where = f" (process {there['pid']}, at {there['address']})" if there else ""
            raise Conflict(
                f"An engine already runs with its data under {home}{where}: stop it, or use it with TEMPORAL_ADDRESS, "
                "or give this one a folder of its own."
            ) from None
        return lock


def _store(home: Path, database: str) -> Database:
    if database in ("file", "memory"):
        return home if database == "file" else None
    if "://" not in database:
        raise InputInvalid(f"the engine's database is {database!r}: write file, memory, or a postgresql:// URL.")
    return Postgres.parse(database)


def _kind_of(store: Database) -> Kind | None:
    """Return the kind of engine that the data needs: PostgreSQL is for the server, each has its own SQLite files."""
    if isinstance(store, Postgres) or (store and (store / SERVER_FILE).exists()):
        return "server"
    return "cli" if store and (store / CLI_FILE).exists() else None


@dataclass(frozen=True, kw_only=True)
class _Launch:
    """What the processes of one attempt are started with."""

    home: Path
    startable: Startable
    store: Database
    ports: Ports
    ui: bool
    codec: str | None
    environ: Mapping[str, str]

    def server(self, lock: int) -> Engine:
        """Start the server, which holds the descriptor `lock` as long as it lives."""
        if isinstance(self.startable, Binaries):
            program: list[str | Path] = [self.startable.server, "--allow-no-auth", "start"]
            environ = server_environment(database=self.store, ports=self.ports, inherited=self.environ)
        else:
            folder = self.store if isinstance(self.store, Path) else None
            program = [
                self.startable.program,
                *cli_arguments(folder=folder, ports=self.ports, ui=self.ui, codec=self.codec),
            ]
            environ = _without_settings(self.environ)
        with fresh_log(self.home / "server.log") as log:
            running = GuardedProcess(program, environ=environ, output=log, directory=self.home, keep=[lock])
        return Engine(home=self.home, startable=self.startable, ports=self.ports, server=running, serves_ui=self.ui)

    def web(self) -> GuardedProcess | None:
        """Start the Web UI where it is a program of its own; the CLI serves its own."""
        if not self.ui or not isinstance(self.startable, Binaries):
            return None
        write_ui_config(self.home / "ui", ports=self.ports, codec=self.codec)
        program: list[str | Path] = [
            self.startable.ui,
            "--root",
            self.home,
            "--config",
            "ui",
            "--env",
            "development",
            "start",
        ]
        with fresh_log(self.home / "ui.log") as log:
            return GuardedProcess(program, environ=_without_settings(self.environ), output=log, directory=self.home)


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.startswith(("TEMPORAL_", "SQL_"))}


async def _wait_until_healthy(engine: Engine) -> str | None:
    """Wait until the frontend is healthy; otherwise return the end of the server's log."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if engine.exit_code() is not None:
            return _tail(engine.log)
        with contextlib.suppress(RPCError, RuntimeError):  # not yet
            client = await ServiceClient.connect(ConnectConfig(target_host=engine.address, runtime=plain_runtime()))
            if await client.check_health():
                return None
        await asyncio.sleep(0.05)
    return f"{_tail(engine.log)}\n(no answer within {START_SECONDS:g} seconds)"


async def _start_web_ui(engine: Engine, launch: _Launch) -> str | None:
    """Start the Web UI and wait until it answers; otherwise return the end of its log."""
    if not launch.ui:
        return None
    web = await asyncio.to_thread(launch.web)
    if web:
        engine.attach(web)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if web and web.code() is not None:
            break
        if await _serves(engine.ui_url):
            return None
        await asyncio.sleep(0.05)
    return _tail(engine.home / "ui.log" if web else engine.log)


async def _serves(url: str | None) -> bool:
    """Tell whether the Web UI answers and reaches its server; the first attempt of the CLI's own comes too early."""
    try:
        async with httpx.AsyncClient(trust_env=False) as web:
            return (await web.get(f"{url}/api/v1/namespaces")).is_success
    except httpx.HTTPError:
        return False


def _tail(log: Path) -> str:
    return "\n".join(line[:1000] for line in log.read_text(errors="replace").splitlines()[-12:])


def _read(home: Path) -> dict[str, Any] | None:
    try:
        value = json.loads((home / "engine.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _write(home: Path, engine: Engine) -> None:
    state = {
        "address": engine.address,
        "ui_url": engine.ui_url,
        "version": engine.version,
        "pid": engine.pid,
        "ports": as_dict(engine.ports),
    }
    fresh = home / "engine.json.new"
    fresh.write_text(json.dumps(state, indent=2), encoding="utf-8")
    fresh.replace(home / "engine.json")

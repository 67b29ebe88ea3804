"""Find or make an engine, in this order: a running server, a CLI on PATH, the cache, a download, a build."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine_host.build import build, find_go, is_version
from engine_host.cache import Progress, cache_directory, locked, no_progress
from engine_host.download import DOWNLOAD_SECONDS, download
from engine_host.process import version_output
from engine_host.versions import (
    CLI_DOWNLOAD,
    OLDEST_SERVER,
    PINS,
    SERVER,
    SQL_TOOL,
    TOOLS,
    UI,
    Pins,
    dotted,
    server_of_cli,
)
from placet.errors import EngineMissing

Kind = Literal["server", "cli"]
"""`server`: the official server with its tools, on any database; `cli`: the Temporal CLI, which knows SQLite only."""


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A server that runs already, at `host:port`."""

    address: str

    def __str__(self) -> str:
        """Describe it for people."""
        return f"the running server at {self.address}"


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """A Temporal CLI, and the version of its server."""

    program: Path
    version: str
    kind: Kind = "cli"

    def __str__(self) -> str:
        """Describe it for people."""
        return f"the Temporal CLI {self.program} with server {self.version}"


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """The programs of the official server, its SQL tool and the Web UI."""

    server: Path
    sql_tool: Path
    ui: Path
    version: str
    kind: Kind = "server"

    def __str__(self) -> str:
        """Describe it for people."""
        return f"the Temporal server {self.version} in {self.server.parent}"


Startable = CommandLine | Binaries


def locate(
    *,
    environ: Mapping[str, str] | None = None,
    kind: Kind | None = None,
    progress: Progress = no_progress,
    pins: Pins = PINS,
    download_seconds: float = DOWNLOAD_SECONDS,
) -> RunningServer | Startable:
    """Return the first engine that is found; blocks while one is downloaded or built.

    `kind` limits the search to engines that can open existing data. Raises EngineMissing, which lists what was tried.
    """
    environ = os.environ if environ is None else environ
    if address := environ.get("TEMPORAL_ADDRESS"):
        return RunningServer(address=address)
    return locate_startable(environ=environ, kind=kind, progress=progress, pins=pins, download_seconds=download_seconds)


def locate_startable(
    *,
    environ: Mapping[str, str] | None = None,
    kind: Kind | None = None,
    progress: Progress = no_progress,
    pins: Pins = PINS,
    download_seconds: float = DOWNLOAD_SECONDS,
) -> Startable:
    """Return the first engine that can be started here, whatever TEMPORAL_ADDRESS says; otherwise like `locate`."""
    environ = os.environ if environ is None else environ
    tried: list[str] = []
    if kind != "server" and (found := _on_path(environ, tried)):
        return found
    cache = cache_directory(environ)
    if cached := _cached(cache, kind, pins):
        return cached
    tried.append(f"cache {cache}: no engine of the pinned version")
    with locked(cache, progress=progress):
        if cached := _cached(cache, kind, pins):  # made by the process that had the lock before
            return cached
        if kind != "server":
            try:
                download(_cli_in(cache), environ=environ, progress=progress, seconds=download_seconds)
            except EngineMissing as error:
                tried.append(f"download of the Temporal CLI {CLI_DOWNLOAD}: {error.message}")
                progress(f"no download: {error.message}")
        if kind != "cli" and not _cached(cache, kind, pins):
            try:
                find_go(environ, pins)
                build(cache / pins.key, environ=environ, progress=progress, pins=pins)
            except EngineMissing as error:
                tried.append(f"build with Go: {error.message}")
        if cached := _cached(cache, kind, pins):
            return cached
    raise EngineMissing(
        "No Temporal server could be found, downloaded or built. Set TEMPORAL_ADDRESS to a running one, or put a "
        f"`temporal` CLI (server {dotted(OLDEST_SERVER)} or newer) on PATH, or install Go. Tried:\n"
        + "\n".join(f"- {each}" for each in tried)
    )


def _on_path(environ: Mapping[str, str], tried: list[str]) -> CommandLine | None:
    program = shutil.which("temporal", path=environ.get("PATH", os.defpath))
    if not program:
        tried.append("`temporal` CLI: not on PATH")
        return None
    found = _command_line(Path(program))
    if found is None:
        answered = (version_output(Path(program)) or "nothing").strip()
        tried.append(f"{program}: says {answered!r}, which is not a CLI with server {dotted(OLDEST_SERVER)} or newer")
    return found


def _command_line(program: Path) -> CommandLine | None:
    version = server_of_cli(version_output(program) or "")
    if version is None or version < OLDEST_SERVER:
        return None
    return CommandLine(program=program, version=dotted(version))


def _cli_in(cache: Path) -> Path:
    return cache / f"cli-{CLI_DOWNLOAD}" / "temporal"


def _cached(cache: Path, kind: Kind | None, pins: Pins) -> Startable | None:
    """Return the cached engine. Every program is asked for its version, so a damaged one is made again."""
    folder = cache / pins.key
    if kind != "cli" and all(is_version(folder / tool.name, pins.of(tool)) for tool in TOOLS):
        server, sql_tool, ui = (folder / tool.name for tool in (SERVER, SQL_TOOL, UI))
        return Binaries(server=server, sql_tool=sql_tool, ui=ui, version=pins.of(SERVER))
    return _command_line(_cli_in(cache)) if kind != "server" and _cli_in(cache).is_file() else None

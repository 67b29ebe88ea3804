"""Know which Temporal server is pinned, and which ones are new enough.

The pins are in `engine/go.mod` and nowhere else; the cache, the messages and the checks read them from there.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from placet.errors import EngineMissing
from placet.shipped import shipped

ROOT = Path(__file__).resolve().parents[1]
"""The folder that the packages are in: a checkout, or where they were installed."""

# Per-workflow time skipping, which rehearsals and the tests run on, came with this server.
OLDEST_SERVER = (1, 32, 0)

# It carries server 1.32.0. The SDK's own default may be older than OLDEST_SERVER.
CLI_DOWNLOAD = "v1.9.1"

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def parse(text: str) -> tuple[int, int, int] | None:
    """Read the first `1.2.3` in a text; None where there is none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def server_of_cli(text: str) -> tuple[int, int, int] | None:
    """Read the server's version from what `temporal --version` prints: `temporal version 1.9.1 (Server 1.32.0, …)`"""
    _, marker, after = text.partition("Server ")
    return parse(after) if marker else None


def dotted(version: tuple[int, int, int]) -> str:
    """Write a version as people do."""
    return ".".join(str(part) for part in version)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """Name one program of the engine: its file, the package it is built from, and how long a cold build takes."""

    name: str
    title: str
    package: str
    module: str
    minutes: float


SERVER = Tool(
    name="temporal-server",
    title="Temporal server",
    package="go.temporal.io/server/cmd/server",
    module="go.temporal.io/server",
    minutes=5,
)
UI = Tool(
    name="temporal-ui",
    title="Temporal Web UI",
    package="github.com/temporalio/ui-server/v2/cmd/server",
    module="github.com/temporalio/ui-server/v2",
    minutes=1,
)
SQL_TOOL = Tool(
    name="temporal-sql-tool",
    title="Temporal SQL tool",
    package="go.temporal.io/server/cmd/tools/sql",
    module="go.temporal.io/server",
    minutes=1,
)
TOOLS = (SERVER, SQL_TOOL, UI)


@dataclass(frozen=True, kw_only=True)
class Pins:
    """Read the pinned versions from the Go module in `directory`."""

    directory: Path

    @cached_property
    def _text(self) -> str:
        try:
            return (self.directory / "go.mod").read_text(encoding="utf-8")
        except OSError as error:
            raise EngineMissing(
                f"{self.directory / 'go.mod'} cannot be read ({error.strerror}). It pins the Temporal server to build: "
                "install Placet again, or set TEMPORAL_ADDRESS to a running server."
            ) from error

    def of(self, tool: Tool) -> str:
        """Return the pinned version of a tool, such as `1.32.1`."""
        found = re.search(rf"^\s*(?:require\s+)?{re.escape(tool.module)} v([\w.+-]+)", self._text, re.MULTILINE)
        if not found:
            raise EngineMissing(f"{self.directory / 'go.mod'} does not pin {tool.module}: restore the file.")
        return found[1]

    @cached_property
    def go(self) -> tuple[int, int, int]:
        """The oldest Go that may build the module."""
        found = re.search(r"^go (\S+)", self._text, re.MULTILINE)
        version = parse(found[1] + ".0") if found else None
        if version is None:
            raise EngineMissing(f"{self.directory / 'go.mod'} has no `go` line: restore the file.")
        return version

    @cached_property
    def key(self) -> str:
        """Name what a cached build is good for: both versions, and the exact sums that it was built from."""
        sums = hashlib.sha256(self._text.encode())
        sums.update((self.directory / "go.sum").read_bytes())
        return f"server-{self.of(SERVER)}-ui-{self.of(UI)}-{sums.hexdigest()[:8]}"


PINS = Pins(directory=shipped("engine"))

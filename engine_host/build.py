"""Build the pinned Temporal server, SQL tool and Web UI with Go."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from engine_host.cache import Progress, build_directory, install
from engine_host.process import run, version_output
from engine_host.versions import PINS, TOOLS, Pins, Tool, dotted, parse
from placet.errors import EngineMissing

# A cold build of the server takes five minutes on two cores.
BUILD_SECONDS = 3600.0
# Seconds between attempts, where Go could not fetch its sources.
PAUSES = (5.0, 15.0, 45.0)
_NETWORK = re.compile(r'(Get "|reading )https?://|dial tcp')


def is_version(program: Path, version: str) -> bool:
    """Tell whether a program runs and reports this version."""
    answered = version_output(program) if program.is_file() else None
    return answered is not None and version in answered.split()


def find_go(environ: Mapping[str, str], pins: Pins = PINS) -> Path:
    """Return a Go that may build the engine; raises EngineMissing with what to install."""
    wanted = dotted(pins.go)
    found = shutil.which("go", path=environ.get("PATH"))
    if not found:
        raise EngineMissing(f"Go is not on PATH: install Go {wanted} or newer (https://go.dev/dl).")
    answered = version_output(Path(found), "version", environ={**environ, "GOTOOLCHAIN": "local"}) or ""
    version = parse(answered.replace("go version go", "", 1).split(" ")[0] + ".0")
    if version is None or version < pins.go:
        raise EngineMissing(
            f"{found} is {answered.strip() or 'broken'}: install Go {wanted} or newer (https://go.dev/dl)."
        )
    return Path(found)


def build(directory: Path, *, environ: Mapping[str, str], progress: Progress, pins: Pins = PINS) -> None:
    """Build what `directory` lacks; the caller holds the lock. Raises EngineMissing with the compiler's last lines."""
    go = find_go(environ, pins)
    for number, tool in enumerate(TOOLS, start=1):
        version = pins.of(tool)
        if is_version(directory / tool.name, version):
            continue
        what = f"the {tool.title} {version} with Go, {number} of {len(TOOLS)}"
        progress(f"building {what}, up to {tool.minutes:g} minute{'s' if tool.minutes > 1 else ''} the first time…")
        with build_directory(directory.parent) as place:
            made = place / tool.name
            for pause in (*PAUSES, None):
                code, output = run(
                    _command(go, tool, made),
                    environ={**environ, "GOTOOLCHAIN": "local"},
                    directory=pins.directory,
                    timeout=BUILD_SECONDS,
                    on_tick=lambda gone, what=what: progress(f"still building {what} ({gone:.0f} s)…"),  # type: ignore[misc]  # mypy does not infer a lambda's default
                )
                if pause is None or not code or not _NETWORK.search(output):
                    break
                progress(
                    f"some sources could not be fetched, trying again in {pause:g} s: {output.strip().splitlines()[-1]}"
                )
                time.sleep(pause)
            if code and _NETWORK.search(output):
                raise EngineMissing(f"its sources cannot be fetched: {output.strip().splitlines()[-1].strip()}")
            if code != 0:
                ending = "took more than an hour" if code is None else f"ended with {code}"
                tail = "\n".join(output.strip().splitlines()[-15:])
                raise EngineMissing(f"`go build {tool.package}` {ending}:\n{tail}")
            if not is_version(made, version):
                raise EngineMissing(f"`go build {tool.package}` made a program that does not run as {version}.")
            install(made, directory / tool.name)
            progress(f"built the {tool.title} {version}")


def _command(go: Path, tool: Tool, made: Path) -> list[str | Path]:
    # -buildvcs=false: the module lies in Placet's repository, whose state says nothing about the server's code.
    options = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w")
    return [go, "build", *options, "-o", made, tool.package]

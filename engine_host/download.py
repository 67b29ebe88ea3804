"""Fetch the Temporal CLI the way the SDK's own test environment does.

The SDK offers no download without a start, and a Rust future cannot be relied on to give up, so this module is also a
program of its own: `python -m engine_host.download FOLDER VERSION` downloads, starts, stops, ends, and can be killed.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from engine_host.cache import Progress, build_directory, install
from engine_host.process import run, version_output
from engine_host.versions import CLI_DOWNLOAD, OLDEST_SERVER, ROOT, dotted, server_of_cli
from placet.errors import EngineMissing

# Where there is no internet this must not keep anybody waiting, and Go takes over anyway.
DOWNLOAD_SECONDS = 10.0
_TELLS = "reason: "


def download(
    target: Path, *, environ: Mapping[str, str], progress: Progress, seconds: float = DOWNLOAD_SECONDS
) -> tuple[int, int, int]:
    """Put the CLI at `target` and return its server's version; the caller holds the lock. Raises EngineMissing."""
    progress(f"downloading the Temporal CLI {CLI_DOWNLOAD}, for at most {seconds:g} seconds…")
    with build_directory(target.parent.parent) as place:
        code, output = run(
            [sys.executable, "-m", "engine_host.download", place, CLI_DOWNLOAD],
            environ=environ,
            directory=ROOT,
            timeout=seconds,
        )
        if code != 0:
            raise EngineMissing(f"not in {seconds:g} seconds" if code is None else _reason(output))
        for found in sorted(place.iterdir()):
            version = server_of_cli(version_output(found) or "")
            if version is None:
                continue
            if version < OLDEST_SERVER:
                raise EngineMissing(f"it has server {dotted(version)}, older than {dotted(OLDEST_SERVER)}")
            install(found, target)
            progress(f"downloaded the Temporal CLI {CLI_DOWNLOAD} with server {dotted(version)}")
            return version
    raise EngineMissing("what came is no Temporal CLI")


def _reason(output: str) -> str:
    """Return why it failed; what else the process wrote (a crash at its end) says nothing about that."""
    reason = next((line.removeprefix(_TELLS) for line in output.splitlines() if line.startswith(_TELLS)), None)
    if reason is None:
        return "the download ended without a word"
    if (url := re.search(r"for url \((\S+?)\)", reason)) is not None:
        return f"{url[1].partition('?')[0]} cannot be reached"
    return reason.removeprefix("Failed starting Temporal dev server: ")


async def _fetch(folder: str, version: str) -> None:
    from temporalio.testing import WorkflowEnvironment

    environment = await WorkflowEnvironment.start_local(
        download_dest_dir=folder, dev_server_download_version=version, dev_server_log_level="error"
    )
    await environment.shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(_fetch(*sys.argv[1:]))
    except RuntimeError as failure:  # the SDK's word for everything that went wrong here
        sys.stdout.write(f"{_TELLS}{' '.join(str(failure).split())}\n")
        sys.stdout.flush()
        # At once: the SDK's threads may crash while the interpreter ends.
        os._exit(1)

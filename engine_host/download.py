"""Download the Temporal CLI in the same way as the SDK's test environment.

The SDK cannot download without starting the server, and its Rust code may not stop in time. So this module is also a
program, which can be killed: `python -m engine_host.download FOLDER VERSION` downloads, starts and stops the server.
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

# Without internet access this must not take long; the build with Go is tried next.
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
    raise EngineMissing("the download contains no Temporal CLI")


def _reason(output: str) -> str:
    """Return the reason of the failure from the process's output."""
    reason = next((line.removeprefix(_TELLS) for line in output.splitlines() if line.startswith(_TELLS)), None)
    if reason is None:
        return "the download ended without an error message"
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
    except RuntimeError as failure:  # the SDK raises it for every failure
        sys.stdout.write(f"{_TELLS}{' '.join(str(failure).split())}\n")
        sys.stdout.flush()
        # Exit at once, since the SDK's threads may crash while the interpreter ends.
        os._exit(1)

"""A supervisor with small children, as a program of its own: pytest's process has threads, and must not fork."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from cli.supervisor.child import Report, Role
from cli.supervisor.supervisor import Supervisor, ToldToStop
from placet.errors import Conflict, PlacetError


def role(name: str, tier: int, folder: Path) -> Role:
    """Return a role that writes down its starts and its end; the file `NAME.fails` says how it ends."""

    async def work(report: Report, stop: asyncio.Event) -> None:
        fails = folder / f"{name}.fails"
        sys.stderr.write(f"hello from {name}\nand its second line\n")
        sys.stderr.flush()
        if fails.exists():
            if fails.read_text() == "refused":
                raise Conflict(f"{name} cannot start")
            os._exit(7)
        report({"started": time.monotonic()})
        await stop.wait()
        with (folder / "stopped").open("a") as file:
            file.write(f"{name}\n")

    return Role(name=name, work=work, tier=tier, grace=60)


def say(*words: str) -> None:
    """Tell the test something."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """Run three children of two tiers, and write their ids for the test whenever they change."""

    def log(name: str, line: str) -> None:
        say(name, "|", line)

    def changed() -> None:
        pids = [f"{name}={told['pid']}" for name, told in supervisor.told.items()]
        say("told", *pids)

    supervisor = Supervisor(log, changed)
    with supervisor.watching_signals():
        try:
            supervisor.start([role("base", 0, folder)])
            supervisor.start([role("one", 1, folder), role("two", 1, folder)], 60)
            changed()
            supervisor.run()
        except PlacetError as error:
            say("error", error.message)
        except ToldToStop:
            say("stopped early")
        finally:
            supervisor.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

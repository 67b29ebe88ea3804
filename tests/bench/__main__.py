"""`make bench`: measure on this machine, and write the figures into docs/BENCHMARKS.md."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import (
    approvals,
    bombs,
    check,
    cluster,
    consequences,
    drawing,
    growth,
    guard,
    idle,
    inbox,
    lateness,
    lists,
    merkle_log,
    options,
    scanner,
    simulation,
    sizing,
    starts,
)
from tests.bench.insight import costs, event_logs, forecasts, load, quality, speed

BENCHMARKS = Path(__file__).parents[2] / "docs" / "BENCHMARKS.md"
SECTIONS: dict[str, Any] = {
    "approvals": approvals,
    "starts": starts,
    "growth": growth,
    "cluster": cluster,
    "inbox": inbox,
    "lists": lists,
    "lateness": lateness,
    "scanner": scanner,
    "simulation": simulation,
    "check": check,
    "consequences": consequences,
    "drawing": drawing,
    "bombs": bombs,
    "log": merkle_log,
    "insight-quality": quality,
    "insight-speed": speed,
    "insight-forecasts": forecasts,
    "insight-load": load,
    "insight-event-logs": event_logs,
    "insight-costs": costs,
    "idle": idle,
}
# Sections that are measured one after the other, each written when it is done, by one name.
GROUPS = {"insight": [name for name in SECTIONS if name.startswith("insight-")]}


def machine() -> str:
    """Say in a line what the figures were measured on."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def write(name: str, text: str) -> None:
    """Put a section's figures between its markers."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = BENCHMARKS.read_text()
    head, rest = page.split(begin, 1)
    _, tail = rest.split(end, 1)
    stamp = f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}, by `make bench BENCH={name}`."
    BENCHMARKS.write_text(f"{head}{begin}\n{stamp}\n\n{text.rstrip()}\n{end}{tail}")


def main() -> None:
    """Run the sections that are named, or all of them."""
    if "guard" in sys.argv[1:]:
        sys.exit(guard.main())
    if "sizing" in sys.argv[1:]:
        sizing.main()
        return
    for name in [each for named in sys.argv[1:] or SECTIONS for each in GROUPS.get(named, [named])]:
        with tempfile.TemporaryDirectory(prefix="placet-bench-", ignore_cleanup_errors=True) as home:
            text = asyncio.run(SECTIONS[name].measure(Path(home)))
        sys.stdout.write(text + "\n")
        if options.defaults():
            write(name, text)
        else:
            sys.stderr.write(f"{BENCHMARKS.name} keeps its figures: these are of another size\n")


if __name__ == "__main__":
    main()

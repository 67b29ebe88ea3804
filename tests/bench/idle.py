"""What `placet up` costs while nothing happens: processor time of a start, then of each process at rest, and memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tests.bench import options, processor_time
from tests.processes import installation

SECONDS = options.seconds(60)
_SETTLED = 10.0  # seconds after a start, in which what it began comes to its end
_MIB = 1024 * 1024


async def measure(home: Path) -> str:
    """Start an installation twice, so that the second start finds everything, and leave it alone."""
    with installation(home / "placet") as place:
        first, _ = await asyncio.to_thread(place.up)
        await asyncio.to_thread(first.stop)
        up, _ = await asyncio.to_thread(place.up)
        started = processor_time.of_trees([up.pid])
        await asyncio.sleep(_SETTLED)
        before = processor_time.of_trees([up.pid])
        await asyncio.sleep(SECONDS)
        used = processor_time.difference(processor_time.of_trees([up.pid]), before)
        resident, share = processor_time.memory([up.pid]), _proportional(up.pid)
    lines = [
        "| process | processor time of a start (s) | at rest (% of a core) | resident (MiB) | its share (MiB) |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in [*sorted(resident, key=lambda each: -used[each]), "all"]:
        row = [counted.total() if name == "all" else counted[name] for counted in (started, used, resident, share)]
        memory = "" if name == "all" else f"{row[2] / _MIB:.0f}"
        lines.append(f"| {name} | {row[0]:.2f} | {row[1] / SECONDS * 100:.2f} | {memory} | {row[3] / _MIB:.0f} |")
    return "\n".join(lines)


def _proportional(root: int) -> Counter[str]:
    """Return the bytes of the processes below `root` by name; a page that several share counts in parts."""
    held: Counter[str] = Counter()
    for pid, seen in processor_time.below([root]).items():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                held[seen.name] += int(line.split()[1]) * 1024
    return held

"""`make bench BENCH=sizing`: compute from the measured cost of a request how many cores so many requests a day take.

It measures nothing: the figures are those of docs/BENCHMARKS.md, and what it computes is written into docs/sizing.md.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import SERVICES
from tests.on_cluster import ENGINE_SQL, OTHER_SQL, PLACET_SQL, part_of
from tests.on_cluster import PARTS as MEASURED

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "sizing.md"

DAYS = (1_000, 10_000, 100_000, 500_000, 1_000_000, 5_000_000)  # requests a day
PEAK = 0.2  # of a day's requests in its busiest hour
BUSY = 0.6  # of a core, at most, in that hour: above it, answers wait for each other
# Of one process: its interpreter runs one thread at a time.
LONE = ("api", "worker", "notifier")
ENGINE = tuple(part_of(service) for service in SERVICES)
PARTS = (*LONE, "engine", ENGINE_SQL, PLACET_SQL)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a one-step approval costs, as it was measured."""

    milliseconds: dict[str, float]  # of processor time, by part
    rate: float  # approvals a second, on all of that machine with its callers
    stored: float  # KB in Placet's database for a request that has ended


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a number of requests a day takes."""

    requests: int
    rate: float  # a second, in the busiest hour
    cores: dict[str, float]
    processes: dict[str, int]
    extrapolates: bool  # whether the rate is above the one that was measured
    gigabytes: float  # that Placet's database grows by in a year


def measured(benchmarks: str) -> Cost:
    """Read the figures; StopIteration where the page has no such row.

    They are of the last step of approvals before others waited: the one with the most that had ended.
    """
    rows = [
        _cells(line) for line in benchmarks.splitlines() if re.match(r"\| [\d,]+ approvals \| [\d,]+ \| 0 \|", line)
    ]
    last = next(reversed(rows), None)
    if last is None:
        raise StopIteration
    rate, costs = last[3], dict(zip(MEASURED, map(float, last[6:]), strict=False))
    parts = {part: costs[part] for part in LONE} | {"engine": sum(costs[service] for service in ENGINE)}
    both = costs[ENGINE_SQL] + costs[PLACET_SQL]
    for part in (ENGINE_SQL, PLACET_SQL):  # writing the log and the pages serves both, as they write
        parts[part] = costs[part] + costs[OTHER_SQL] * costs[part] / both
    ended = re.search(
        r"^\| postgresql \| 100,000 \| 0 \| [\d.]+ \([\d.]+\) \| [^|]+ \| ([\d.]+) \| \d+ \|$", benchmarks, re.MULTILINE
    )
    assert ended is not None
    return Cost(milliseconds=parts, rate=float(rate), stored=float(ended[1]))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def size_of(cost: Cost, requests: int) -> Size:
    """Compute what so many requests a day take in their busiest hour."""
    rate = requests * PEAK / 3600
    cores = {part: rate * milliseconds / 1000 / BUSY for part, milliseconds in cost.milliseconds.items()}
    # Two of each at least, so that one may be replaced while the other works.
    processes = {part: max(2, math.ceil(cores[part])) for part in LONE}
    return Size(
        requests=requests,
        rate=rate,
        cores=cores,
        processes=processes,
        extrapolates=rate > cost.rate,
        gigabytes=requests * 365 * cost.stored / 1e6,
    )


def table(cost: Cost) -> str:
    """Return the tables of docs/sizing.md."""
    lines = [
        "| processor time of a one-step approval | ms |",
        "|---|---:|",
        *(f"| {part} | {milliseconds:.1f} |" for part, milliseconds in cost.milliseconds.items()),
        f"| all | {sum(cost.milliseconds.values()):.1f} |",
        "",
        "| requests a day | in the busiest hour, a second | "
        + " | ".join(f"{p} cores" for p in PARTS)
        + " | processes: "
        "api, worker, notifier | Placet's database grows in a year | |",
        "|---:|---:|" + "---:|" * len(PARTS) + "---:|---:|---|",
    ]
    for size in (size_of(cost, requests) for requests in DAYS):
        cores = " | ".join(f"{size.cores[part]:.2f}" for part in PARTS)
        processes = ", ".join(str(size.processes[part]) for part in LONE)
        note = "**extrapolated**" if size.extrapolates else "within what was measured"
        lines.append(
            f"| {size.requests:,} | {size.rate:.2f} | {cores} | {processes} | {size.gigabytes:,.1f} GB | {note} |"
        )
    return "\n".join(lines)


def page(text: str, cost: Cost) -> str:
    """Return the page with its tables computed anew."""
    begin, end = "<!-- sizing: begin -->", "<!-- sizing: end -->"
    head, rest = text.split(begin, 1)
    _, tail = rest.split(end, 1)
    return f"{head}{begin}\n{table(cost)}\n{end}{tail}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(), measured((DOCS / "BENCHMARKS.md").read_text())))

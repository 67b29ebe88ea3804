"""`make bench BENCH=guard`: ratios that a release must not make worse, in about three minutes; exits 1 where one has.

Only ratios of one run are compared, and counts, so that it says the same on a slow machine and beside other work. The
figures that it holds are those of docs/BENCHMARKS.md; who makes the code faster lowers them in the same change.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench import approvals, contenders, lateness, options, turns
from tests.bench.contenders import BARE, PLACET
from tests.bench.turns import CLIENT, Sample

IN_FLIGHT, SECONDS, ROUNDS = 16, 5.0, 3
TASKS, AT_LEAST = 200, (4.0, 6.0)  # and the starts a second to count on at least


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure: what it was when it was last stated, and by which share it may be exceeded."""

    what: str
    stated: float
    margin: float
    found: float

    @property
    def limit(self) -> float:
        """The most that passes."""
        return self.stated * (1 + self.margin)

    @property
    def kept(self) -> bool:
        """Whether it passes."""
        return self.found <= self.limit

    def __str__(self) -> str:
        verdict = "kept" if self.kept else "EXCEEDED"
        return f"| {self.what} | {self.stated:.2f} | {self.limit:.2f} | **{self.found:.2f}** | {verdict} |"


async def measure(home: Path) -> list[Figure]:
    """Measure, and return each figure."""
    seconds, rounds = options.seconds(SECONDS), options.rounds(ROUNDS)
    async with contenders.running(home / "approvals", [PLACET, BARE]) as (ground, both):
        await turns.warm(both, 8, min(3.0, seconds))
        samples = await turns.taking_turns(both, in_flight=IN_FLIGHT, seconds=seconds, rounds=rounds)
        events = len((await ground.client.get_workflow_handle(samples[PLACET].last).fetch_history()).events)
    ours, bare = samples[PLACET], samples[BARE]
    late, floor = (await lateness.compare(home / "lateness", {TASKS: 1}, at_least=AT_LEAST))[TASKS]
    return [
        # Bare has no API: what Placet's does for a caller, the client does for it.
        Figure(
            what="processor time of an approval, Placet's processes to bare's worker and client",
            stated=3.30,
            margin=0.20,
            found=_own(ours) / (_own(bare) + bare.milliseconds(CLIENT)),
        ),
        Figure(
            what="processor time of the engine for it, to bare's",
            stated=1.60,
            margin=0.20,
            found=_engine(ours) / _engine(bare),
        ),
        Figure(what="history events of an approval", stated=15, margin=0.0, found=events),
        Figure(
            what=f"lateness of {TASKS} escalations at the median, to bare's",
            stated=4.0,
            margin=0.40,
            found=late.at(0.5) / floor.at(0.5),
        ),
    ]


def _own(sample: Sample) -> float:
    return sample.milliseconds(*(set(sample.used) - set(approvals.SHARED)))


def _engine(sample: Sample) -> float:
    return sample.milliseconds(*(name for name, whose in approvals.SHARED.items() if whose == "engine"))


def main() -> int:
    """Measure, print the figures, and return 1 where one is exceeded."""
    with tempfile.TemporaryDirectory(prefix="placet-bench-", ignore_cleanup_errors=True) as home:
        figures = asyncio.run(measure(Path(home)))
    lines = ["| figure | stated | limit | found | |", "|---|---:|---:|---:|---|", *map(str, figures)]
    sys.stdout.write("\n".join(lines) + "\n")
    exceeded = [figure for figure in figures if not figure.kept]
    if exceeded:
        sys.stdout.write("Slower than stated. Measure again on a quiet machine; then mend it, or state why.\n")
    return 1 if exceeded else 0

# ruff: noqa: T201 - a command prints
"""Play schedules from the command line: `python -m tests.faults --seed 7`, `--seconds 60`, `--plant gaps`."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from tests.faults.plants import PLANTS
from tests.faults.schedule import Outcome, play
from tests.faults.search import Search
from tests.faults.shrink import shrink


def main() -> int:
    """Play, shrink what is found, and return 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this schedule and print it")
    parser.add_argument("--first", type=int, default=0, help="the first seed, where there is a time or a number")
    parser.add_argument("--seconds", type=float, default=60, help="how long to play one schedule after the other")
    parser.add_argument("--schedules", type=int, help="how many at most")
    parser.add_argument("--processes", type=int, default=1, help="how many play at the same time, one for each core")
    parser.add_argument("--report", type=Path, help="add JSON lines to this file, and go on after a violation")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="with this bug")
    parser.add_argument("--whole", action="store_true", help="print the schedule of the seed without shrinking it")
    given = parser.parse_args()
    with PLANTS[given.plant].planted() if given.plant else nullcontext():
        if given.seed is not None:
            outcome = play(given.seed, traced=True)
            if given.whole or outcome.violation is None:
                return _print(given.seed, outcome)
            return _print(given.seed, _shrunk(given.seed, outcome))
        search = Search(
            first=given.first, most=given.schedules, processes=given.processes, plant=given.plant, report=given.report
        )
        violations = search.run(given.seconds).violations
        if violations and given.report is None:
            seed = violations[0][0]
            return _print(seed, _shrunk(seed, play(seed)))
        return int(bool(violations))


def _shrunk(seed: int, outcome: Outcome) -> Outcome:
    print(f"seed {seed}: {outcome.violation}\n{outcome.faults} faults, {outcome.steps} steps; shrinking …", flush=True)
    simplest = shrink(seed, outcome)
    return play(seed, played=simplest.made, traced=True)


def _print(seed: int, outcome: Outcome) -> int:
    print("\n".join(outcome.trace))
    print(f"seed {seed}: {outcome.violation or 'everything held'} ({outcome.faults} faults, {outcome.steps} steps)")
    return int(outcome.violation is not None)


if __name__ == "__main__":
    sys.exit(main())

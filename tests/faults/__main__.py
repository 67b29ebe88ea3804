# ruff: noqa: T201 - a command prints
"""Play schedules from the command line: `python -m tests.faults --seed 7`, `--seconds 60`, `--plant gaps`."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from contextlib import nullcontext

from tests.faults.plants import PLANTS
from tests.faults.schedule import Outcome, play
from tests.faults.shrink import shrink


def main() -> int:
    """Play, shrink what is found, and return 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this schedule and print it")
    parser.add_argument("--first", type=int, default=0, help="the first seed, where there is a time or a number")
    parser.add_argument("--seconds", type=float, default=60, help="how long to play one schedule after the other")
    parser.add_argument("--schedules", type=int, help="how many at most")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="with this bug")
    parser.add_argument("--whole", action="store_true", help="print the schedule of the seed without shrinking it")
    given = parser.parse_args()
    with PLANTS[given.plant].planted() if given.plant else nullcontext():
        if given.seed is not None:
            outcome = play(given.seed, traced=True)
            if given.whole or outcome.violation is None:
                return _print(given.seed, outcome)
            return _print(given.seed, _shrunk(given.seed, outcome))
        return _search(given.first, given.seconds, given.schedules)


def _search(first: int, seconds: float, schedules: int | None) -> int:
    end, began = time.monotonic() + seconds, time.process_time()
    played = faults = steps = 0
    for seed in itertools.count(first):
        if time.monotonic() > end or (schedules is not None and played >= schedules):
            break
        outcome = play(seed)
        played, faults, steps = played + 1, faults + outcome.faults, steps + outcome.steps
        if outcome.violation is not None:
            return _print(seed, _shrunk(seed, outcome))
    spent = time.process_time() - began
    print(
        f"{played} schedules from seed {first}, {steps} steps, {faults} faults: everything held; "
        f"{played / spent:.1f} schedules for a second of processor time"
    )
    return 0


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

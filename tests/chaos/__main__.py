# ruff: noqa: T201 - a command prints
"""Run chaos from the command line: `python -m tests.chaos --seed 7 --seconds 120 --requests 500`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import EVERY, plan_of
from tests.chaos.run import AT_ONCE, Work, run
from tests.faults.plants import PLANTS


def main() -> int:
    """Run once, print the report, and return 1 where something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the plan of faults, and of what people do")
    parser.add_argument("--seconds", type=float, default=120, help="for how long things go wrong")
    parser.add_argument("--every", type=float, default=EVERY, help="seconds from one fault to the next, on average")
    parser.add_argument("--requests", type=int, default=300, help="how many are asked for meanwhile")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many are under way at the same time")
    parser.add_argument("--plan", action="store_true", help="print the plan of faults, and run nothing")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="with this bug in workers and notifier")
    parser.add_argument("--folder", type=Path, help="where logs are kept; default: a new temporary folder")
    given = parser.parse_args()
    if given.plan:
        print("\n".join(map(str, plan_of(given.seed, given.seconds, given.every))))
        return 0
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # of the mail server, whose connections are cut
    folder = given.folder or Path(tempfile.mkdtemp(prefix="placet-chaos-logs-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"logs: {folder}", flush=True)
    work = Work(
        seed=given.seed,
        seconds=given.seconds,
        requests=given.requests,
        every=given.every,
        at_once=given.at_once,
    )
    report = run(folder, work, plant=given.plant)
    (folder / "report.txt").write_text(f"{report}\n")
    print(report)
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())

# ruff: noqa: T201 - a command prints
"""Reports of runs, one JSON line for seeds that were played one after the other: `python -m tests.faults.report FILE`.

The command adds the lines of several runs up. It refuses lines of one revision that hold the same seed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = ("placet", "workflows", "activities", "storage", "service", "languages", "tests/faults")
"""Where the code is that a schedule runs."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What was seen of the seeds from `first` on."""

    revision: str  # of the product's and the simulator's sources
    first: int
    schedules: int
    steps: int
    faults: int
    calls: int
    seconds: float  # of processor time
    violations: tuple[tuple[int, str], ...] = ()  # seed, and what it violated
    plant: str | None = None

    @property
    def seeds(self) -> range:
        """The seeds that were played."""
        return range(self.first, self.first + self.schedules)

    def line(self) -> str:
        """Return the part as a line of a report."""
        return json.dumps(asdict(self))


def revision() -> str:
    """Return a hash of all sources that a schedule may run, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def read(lines: Iterable[str]) -> list[Part]:
    """Parse the lines of a report."""
    parts = []
    for line in lines:
        values: dict[str, Any] = json.loads(line)
        parts.append(Part(**values | {"violations": tuple((seed, said) for seed, said in values["violations"])}))
    return parts


def added(parts: Sequence[Part]) -> list[Part]:
    """Add up parts of the same revision and bug; raises ValueError where two of them hold the same seed."""
    groups: dict[tuple[str, str | None], list[Part]] = defaultdict(list)
    for part in parts:
        groups[part.revision, part.plant].append(part)
    sums = []
    for (of_revision, plant), group in groups.items():
        group.sort(key=lambda part: part.first)
        for before, after in pairwise(group):
            if after.first < before.seeds.stop:
                raise ValueError(f"seed {after.first} is in two lines of revision {of_revision}")
        sums.append(
            Part(
                revision=of_revision,
                first=group[0].first,
                schedules=sum(part.schedules for part in group),
                steps=sum(part.steps for part in group),
                faults=sum(part.faults for part in group),
                calls=sum(part.calls for part in group),
                seconds=sum(part.seconds for part in group),
                violations=tuple(one for part in group for one in part.violations),
                plant=plant,
            )
        )
    return sums


def told(part: Part) -> str:
    """Say in a line what was played and seen."""
    seen = f"{len(part.violations)} violations" if part.violations else "everything held"
    planted = f" with the bug {part.plant}" if part.plant else ""
    rate = f"{part.schedules / part.seconds:.1f}" if part.seconds else "?"
    return (
        f"{part.schedules:,} schedules from seed {part.first}{planted}, {part.steps:,} steps, {part.faults:,} faults, "
        f"{part.calls:,} calls: {seen}; {rate} schedules for a second of processor time"
    )


def main() -> int:
    """Add reports up, and return 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="what runs with --report have written")
    files: list[Path] = parser.parse_args().files
    sums = added([part for file in files for part in read(file.read_text().splitlines())])
    for part in sums:
        print(f"revision {part.revision}: {told(part)}")
        for seed, said in part.violations:
            print(f"  seed {seed}: {said}")
    if len(sums) > 1:
        print(f"all revisions: {sum(part.schedules for part in sums):,} schedules")
    return int(any(part.violations for part in sums))


if __name__ == "__main__":
    sys.exit(main())

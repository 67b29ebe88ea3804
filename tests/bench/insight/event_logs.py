"""Event logs: a million events read, sorted into cases and made into a blueprint, each in a process of its own."""

from __future__ import annotations

import gzip
import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any

from insight.event_logs.column_map import parse_map, resolved
from insight.event_logs.importing import assemble, parts_in, seen_of
from insight.event_logs.reading import EventReader, head_of
from insight.event_logs.suggesting import suggest
from tests.event_logs import CSV_MAP, XES_MAP

EVENTS = 1_000_000
MEGABYTES = 300  # that reading them may take


async def measure(home: Path) -> str:
    """Measure both formats and return the figures as Markdown."""
    rows = [
        f"A made-up log of {EVENTS:,} events in some 317,000 cases: processor time, and the most memory of a process.",
        "",
        "| file | size, MB | read, s | MB | read and assembled, s | MB | blueprint and fit, s | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in ("csv", "xes.gz"):
        file = home / f"log.{kind}"
        write(file, kind)
        figures = [_alone(what, kind, file, home) for what in ("read", "assemble", "suggest")]
        cells = [f"{one['seconds']:.1f} | {one['megabytes']:.0f}" for one in figures]
        if figures[1]["megabytes"] > MEGABYTES:
            raise SystemExit(f"{kind} took {figures[1]['megabytes']:.0f} MB, and {MEGABYTES} is the goal")
        rows.append(f"| {kind} | {file.stat().st_size / 1e6:.0f} | {' | '.join(cells)} |")
        file.unlink()
    return "\n".join(rows)


def write(file: Path, kind: str) -> None:
    """Write the log."""
    lines = _csv() if kind == "csv" else _xes()
    with file.open("wb") if kind == "csv" else gzip.open(file, "wb", compresslevel=1) as out:
        for line in lines:
            out.write(line.encode())


def carry_out(what: str, kind: str, file: Path, home: Path) -> dict[str, float]:
    """Do one of the three, and return what it took; the parts of `assemble` stay for `suggest`."""
    mapped: dict[str, Any] = (CSV_MAP if kind == "csv" else XES_MAP) | {"attributes": ["amount", "department"]}
    parts, facts = home / "parts", home / "facts.json"
    begin = process_time()
    if what == "read":
        count = sum(1 for _ in EventReader(file, resolved(parse_map(mapped), head_of(file).columns)))
        assert count >= EVENTS
    elif what == "assemble":
        log = assemble(str(file), mapped, str(parts))
        facts.write_text(json.dumps({"seen": log.seen, "cases": log.cases, "columns": log.columns}))
    else:
        known = json.loads(facts.read_text())
        found = suggest(
            [part.content for part in parts_in(parts)],
            seen_of(known["seen"]),
            known["columns"],
            name="Log",
            owner=None,
            min_occurrences=10,
            cases=known["cases"],
        )
        assert found["fit"]["reproduced"] == found["fit"]["cases"]
    seconds = process_time() - begin
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _alone(what: str, kind: str, file: Path, home: Path) -> dict[str, float]:
    """Do it in a process of its own, whose largest memory is that of nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.insight.event_logs", what, kind, str(file), str(home)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def _cases() -> Iterator[tuple[str, list[tuple[str, str, str]], str, str]]:
    """Yield cases: name, events (activity, time, person), amount and department."""
    chance = random.Random(1)
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    written = number = 0
    while written < EVENTS:
        number += 1
        at = begin + timedelta(minutes=3 * number)
        amount = round(chance.lognormvariate(7.5, 1), 2)
        stages = ["Approved by Manager", *(["Approved by CFO"] if amount > 5_000 else [])]
        events = []
        for activity in ("Submitted", *stages, "Paid"):
            at += timedelta(hours=chance.expovariate(1 / 20))
            events.append((activity, at.isoformat(), f"u{chance.randrange(300)}"))
        written += len(events)
        yield f"c{number}", events, str(amount), chance.choice(("sales", "it"))


def _csv() -> Iterator[str]:
    yield "case,activity,at,user,amount,department\n"
    for case, events, amount, department in _cases():
        for activity, at, user in events:
            yield f"{case},{activity},{at},{user},{amount},{department}\n"


def _xes() -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<log xmlns="http://www.xes-standard.org/">\n'
    for case, events, amount, department in _cases():
        yield f'<trace><string key="concept:name" value="{case}"/>\n'
        for activity, at, user in events:
            yield (
                f'<event><string key="concept:name" value="{activity}"/><date key="time:timestamp" value="{at}"/>'
                f'<string key="org:resource" value="{user}"/><float key="amount" value="{amount}"/>'
                f'<string key="department" value="{department}"/></event>\n'
            )
        yield "</trace>\n"
    yield "</log>\n"


if __name__ == "__main__":
    name, form, log, folder = sys.argv[1:]
    sys.stdout.write(json.dumps(carry_out(name, form, Path(log), Path(folder))))

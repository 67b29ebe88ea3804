"""Lint and render charts with Helm's own code, in a process of its own: its runtime stays in the one that loads it.

`python -m tests.helm` reads a list of jobs from standard input as JSON, and writes what Helm says of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

_SECONDS = 120.0
_WARNING = 2  # of Helm's severities


@dataclass(frozen=True, kw_only=True)
class Job:
    """A chart, and the values to render it with."""

    chart: str
    values: dict[str, Any]
    release: str = "placet"
    namespace: str = "approvals"


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What Helm says: findings of its linter from warnings on, why it refuses, and the manifests."""

    findings: list[str]
    refused: str | None
    manifests: list[dict[str, Any]]
    notes: str = ""


def rendered(jobs: Sequence[Job]) -> list[Rendered]:
    """Lint and render each job; AssertionError with what the program says where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helm"],
        cwd=Path(__file__).parents[1],
        input=json.dumps([asdict(job) for job in jobs]),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Rendered(**each) for each in json.loads(done.stdout)]


def _carried_out(job: Job) -> Rendered:
    import helm_python as helm

    found = helm.lint(job.chart, job.values, strict=True, namespace=job.namespace)
    findings = [message["error"] for message in found["messages"] if message["severity"] >= _WARNING]
    try:
        chart = helm.Chart.load(job.chart)
        chart.validate_schema(job.values)
        texts = chart.render(job.values, name=job.release, namespace=job.namespace, is_install=True)
    except helm.HelmError as error:
        return Rendered(findings=findings, refused=str(error), manifests=[])
    manifests = [
        document
        for path, text in sorted(texts.items())
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]
    notes = next((text for path, text in texts.items() if path.endswith("NOTES.txt")), "")
    return Rendered(findings=findings, refused=None, manifests=manifests, notes=notes)


if __name__ == "__main__":
    json.dump([asdict(_carried_out(Job(**each))) for each in json.load(sys.stdin)], sys.stdout)

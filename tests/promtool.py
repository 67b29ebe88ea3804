"""Run promtool, the official checker of Prometheus rules and queries (Debian's package `prometheus`)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml


def promtool(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool and return what it said; a machine without it is not set up for the tests (tests/machine.sh)."""
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: install Debian's package prometheus (sh tests/machine.sh)"
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def refused(queries: Iterable[str]) -> str | None:
    """Return what promtool has against these PromQL queries, or None where all of them are valid."""
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    document: Mapping[str, object] = {"groups": [{"name": "queries", "rules": rules}]}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.yml"
        file.write_text(yaml.safe_dump(document))
        found = promtool("check", "rules", str(file))
    return None if found.returncode == 0 else found.stdout + found.stderr

"""Wheels and sdists: built twice they are the same, and they hold what they must and nothing of the tests."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

EPOCH = "1767225600"  # the first second of 2026; any, as long as it is the same one
MUST = (
    "placet/shipped/engine/go.mod",
    "placet/shipped/engine/go.sum",
    "placet/shipped/deploy/temporal/dynamicconfig.yaml",
    "placet/shipped/deploy/temporal/server.env",
    "placet/shipped/blueprints/people.json",
    "placet/shipped/blueprints/expense.json",
    "placet/shipped/blueprints/tests/expense.test.yaml",
    "placet/py.typed",
    "cli/new_folder/templates/workflow.yml",
    "cli/new_folder/agent_action/agent-action.json",
    "engine_host/guard.py",
    "languages/locales/de/LC_MESSAGES/messages.po",
    "web/locales/de/LC_MESSAGES/placet.po",
    "web/templates/base.html",
    "storage/migrations/env.py",
)


def build(root: Path, to: Path, kind: str) -> Path:
    """Build a `wheel` or an `sdist` of a checkout, with the builder of this environment, and return its file."""
    to.mkdir(parents=True, exist_ok=True)
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(to)]
    subprocess.run(command, cwd=root, env=environ, check=True, stdout=subprocess.DEVNULL)
    (made,) = to.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def faults_of_wheel(wheel: Path, root: Path) -> list[str]:
    """Return what a wheel lacks or should not have."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    packages = set(
        tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    )
    top = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    faults = [f"{name} is missing" for name in MUST if name not in names]
    faults += [f"{name} should not be in it" for name in sorted(top - packages)]
    faults += [
        f"{name} should not be in it" for name in names if "__pycache__" in name or name.endswith((".pyc", ".orig"))
    ]
    faults += [f"the package {name} is missing" for name in sorted(packages - top)]
    there = {str(path.relative_to(root)) for one in packages for path in (root / one).rglob("*.py")}
    faults += [f"{name} is missing" for name in sorted(there - set(names))]
    wanted = (
        "Requires-Python: >=3.11",
        "License-Expression: ",
        "License-File: LICENSE",
        "Description-Content-Type: text/markdown",
    )
    faults += [f"the metadata have no `{line}`" for line in wanted if line not in metadata]
    return faults


def unpacked(sdist: Path, to: Path) -> Path:
    """Unpack an sdist and return its folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(to, filter="data")
    (folder,) = to.iterdir()
    return folder

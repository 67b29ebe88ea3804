"""The version of a release: pyproject.toml has it, CHANGELOG.md tells of it first, and a tag is exactly it."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

_HEADING = re.compile(r"^## (\S+) \((unreleased|\d{4}-\d{2}-\d{2})\)$", re.MULTILINE)


def version_of(root: Path) -> str:
    """Return the version of a checkout."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def faults_of_version(version: str, changelog: str, tags: list[str]) -> list[str]:
    """Return what is wrong with a version; `tags` are those of the commit, none where it is no release."""
    headings = _HEADING.findall(changelog)
    if not headings:
        return ["CHANGELOG.md has no heading such as `## 1.2.0 (2026-01-31)`"]
    told, date = headings[0]
    faults = [f"CHANGELOG.md tells of {told} first, and pyproject.toml has {version}"] if told != version else []
    if [one for one, _ in headings] != list(dict.fromkeys(one for one, _ in headings)):
        faults.append("CHANGELOG.md tells of a version twice")
    releases = [tag for tag in tags if re.match(r"v?\d", tag)]
    faults += [f"the tag {tag} is not v{version}" for tag in releases if tag != f"v{version}"]
    if releases and date == "unreleased":
        faults.append(f"the commit is tagged, and CHANGELOG.md calls {told} unreleased: write its date")
    return faults


def tags_here(root: Path) -> list[str]:
    """Return the tags of the commit that is checked out; none where there is no Git."""
    told = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return told.stdout.split() if told.returncode == 0 else []

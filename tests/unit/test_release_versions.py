"""A release has one version: that of the project, of the changelog's first heading, and of its tag."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.release.versions import faults_of_version, version_of

ROOT = Path(__file__).parents[2]
DATED, OPEN = (
    "# Changelog\n\n## 1.2.0 (2026-01-31)\n\n## 1.1.0 (2026-01-01)\n",
    "# Changelog\n\n## 1.2.0 (unreleased)\n",
)


def test_this_checkout_can_become_a_release() -> None:
    assert faults_of_version(version_of(ROOT), (ROOT / "CHANGELOG.md").read_text(), []) == []


def test_the_command_tells_the_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"placet {version_of(ROOT)}\n"


@pytest.mark.parametrize(
    ("version", "changelog", "tags", "fault"),
    [
        ("1.2.0", DATED, ["v1.2.0"], None),
        ("1.2.0", DATED, ["v1.2.0", "nightly"], None),  # a tag that names no version
        ("1.2.0", OPEN, [], None),  # a clone without tags
        ("1.2.0", DATED, ["v1.2.1"], "the tag v1.2.1 is not v1.2.0"),
        ("1.2.0", DATED, ["1.2.0"], "the tag 1.2.0 is not v1.2.0"),
        ("1.2.0", OPEN, ["v1.2.0"], "write its date"),
        ("1.3.0", DATED, [], "tells of 1.2.0 first"),
        ("1.2.0", DATED + "\n## 1.2.0 (2026-01-02)\n", [], "twice"),
        ("1.2.0", "# Changelog\n", [], "no heading"),
    ],
)
def test_a_wrong_tag_or_a_changelog_that_does_not_tell_is_refused(
    version: str, changelog: str, tags: list[str], fault: str | None
) -> None:
    found = faults_of_version(version, changelog, tags)
    assert bool(found) == (fault is not None)
    assert fault is None or fault in found[0]

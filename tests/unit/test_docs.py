"""What people can set, call or read is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from activities.notify.settings import NotifySettings
from api.app import describe
from placet.audit import KINDS
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
AUDIT = (ROOT / "docs" / "audit.md").read_text()


@pytest.mark.parametrize("name", sorted({*Settings.model_fields, *NotifySettings.model_fields}))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`PLACET_{name.upper()}`" in OPERATIONS


def test_every_kind_of_entry_is_documented() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "placet").glob("*.py"))
    recorded = set(re.findall(r"\.record\(\s*\"([a-z_]+)\"", source))
    assert len(recorded) > 10
    assert {kind for kind in recorded if f"`{kind}`" not in AUDIT} == set()


def test_the_kinds_that_webhooks_may_name_are_those_of_the_audit_chain() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", AUDIT, re.MULTILINE)
    assert {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)} == KINDS


def test_every_call_says_what_it_does() -> None:
    silent = [
        f"{method} {path}"
        for path, calls in describe()["paths"].items()
        for method, call in calls.items()
        if not call.get("description")
    ]
    assert silent == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {link}"
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []

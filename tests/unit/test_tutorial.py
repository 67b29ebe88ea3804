"""The tutorial: what it says about the check of its process is what the check says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from placet.directory import Directory, Person
from placet.proofs import Report, check
from tests.doc_blocks import ROOT, blocks_of

PAGE = ROOT / "docs/tutorial.md"
PEOPLE_TEXT, PROCESS = (
    block.text for block in [*blocks_of(PAGE)] if block.language == "json" and block.mark.startswith("checked as")
)


def checked(text: str) -> Report:
    told: list[dict[str, Any]] = json.loads(PEOPLE_TEXT)
    people = {
        one["id"]: Person(id=one["id"], manager=one.get("manager"), approver="approver" in one["access"])
        for one in told
    }
    return check(json.loads(text), directory=Directory(people=people))


def test_the_process_has_the_three_remarks_that_the_tutorial_explains() -> None:
    report = checked(PROCESS)
    assert report.ok
    assert sorted(one.code for one in report.findings) == ["quorum_not_met", "unused_variable", "unused_variable"]
    (short,) = (one for one in report.findings if one.code == "quorum_not_met")
    assert short.witness == {"requester": "nina"}
    assert "'nina' owns the process, and nobody decides their own request" in short.message


@pytest.mark.parametrize("name", ["sla_hours", "manager_of"])
def test_a_word_that_is_misspelt_as_the_tutorial_says_is_a_fault(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text()
    report = checked(PROCESS.replace(name, name[:-1]))
    assert [one.severity for one in report.findings][:1] == ["error"]
    assert not report.ok

"""Every planted fault is found at its place, with an input that shows it where one can."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from placet.check import check
from placet.variables import Variable, normalise_input

BROKEN = sorted((Path(__file__).parents[1] / "broken").glob("*.json"))
CATALOGUE = Path(__file__).parents[2] / "docs" / "checks.md"
# Faults that bring another with them, whoever looks: what else may be said.
COMPANIONS = {
    "branch-taken-by-an-earlier-one": {"overlap"},
    "decision-edge-without-condition": {"gap"},
    "node-id-twice": {"dangling_id"},
    "trigger-without-edges": {"unreachable_node"},
}
SHOWN = {"gap", "overlap", "evaluation_fails", "unbounded_loop"}


def planted(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text())
    return case


def test_there_are_at_least_forty_broken_blueprints() -> None:
    assert len(BROKEN) >= 40


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_planted_fault_is_found_at_its_place(path: Path) -> None:
    case = planted(path)
    report = check(case["blueprint"])
    errors = [f for f in report.findings if f.severity == "error"]
    found = [f for f in errors if (f.code, f.pointer) == (case["code"], case["pointer"])]
    assert found, [(f.code, f.pointer) for f in errors]
    assert not report.ok
    assert report.certificate is None
    others = {f.code for f in errors} - {case["code"]}
    assert others <= COMPANIONS.get(path.stem, set())
    assert all(len(f.message) > 15 for f in report.findings)


@pytest.mark.parametrize("path", [p for p in BROKEN if planted(p)["code"] in SHOWN], ids=lambda path: path.stem)
def test_a_fault_of_a_way_comes_with_a_valid_input(path: Path) -> None:
    case = planted(path)
    variables = [Variable.model_validate(v) for v in case["blueprint"]["variables"]]
    for finding in check(case["blueprint"]).findings:
        if finding.code in SHOWN and finding.severity == "error":
            assert finding.witness is not None
            assert normalise_input(variables, finding.witness) == finding.witness


@pytest.mark.parametrize(
    ("stem", "witness"),
    [
        ("gap-at-the-bound", {"amount": "5000"}),  # the one input that neither > nor < takes
        ("gap-between-cents", {"amount": "5000.01"}),
        ("overlap-at-the-bound", {"amount": "5000"}),
        ("division-by-zero", {"amount": "0"}),
    ],
)
def test_the_witness_is_the_input_that_matters(stem: str, witness: dict[str, Any]) -> None:
    case = planted(next(p for p in BROKEN if p.stem == stem))
    found = next(f for f in check(case["blueprint"]).findings if f.code == case["code"])
    assert found.witness is not None
    assert witness.items() <= found.witness.items()


def test_a_gap_that_only_changes_open_says_with_what_the_request_begins() -> None:
    case = planted(next(p for p in BROKEN if p.stem == "gap-that-changes-open"))
    gap = next(f for f in check(case["blueprint"]).findings if f.code == "gap")
    assert gap.opening is not None
    assert gap.witness is not None
    assert float(gap.opening["amount"]) > 5000 >= float(gap.witness["amount"])
    assert "resubmitted" in gap.message


def test_every_code_that_the_package_gives_is_in_the_catalogue() -> None:
    source = "".join(p.read_text() for p in (Path(__file__).parents[2] / "placet" / "check").glob("*.py"))
    codes = set(re.findall(r'(?:error|warning|level)\(\s*"([a-z_]+)"', source))
    codes |= set(re.findall(r'\), "([a-z_]+)"\)', source)) | set(
        re.findall(r'code(?:, message)? = "([a-z_]+)"', source)
    )
    assert len(codes) >= 35
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", CATALOGUE.read_text(), re.MULTILINE))
    assert codes <= documented, codes - documented
    assert documented <= codes, documented - codes

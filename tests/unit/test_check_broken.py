"""Every planted fault is found at its place, with an input that shows it where one can."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from placet.definition.variables import Variable, normalise_input
from placet.nodes.registry import NODE_TYPES
from placet.proofs import Report, check
from tests.dependencies import ACTIONS, children

BROKEN = sorted((Path(__file__).parents[1] / "broken").glob("*.json"))
CATALOGUE = Path(__file__).parents[2] / "docs" / "checks.md"
# Faults that bring another with them, whoever looks: what else may be said.
COMPANIONS = {
    "branch-taken-by-an-earlier-one": {"overlap"},
    "decision-edge-without-condition": {"gap"},
    "node-id-twice": {"dangling_id"},
    "trigger-without-edges": {"unreachable_node"},
}
SHOWN = {"gap", "overlap", "evaluation_fails", "unbounded_loop", "unset_variable"}


def planted(path: Path) -> dict[str, Any]:
    case: dict[str, Any] = json.loads(path.read_text())
    return case


def checked(case: dict[str, Any]) -> Report:
    return check(case["blueprint"], actions=ACTIONS, children=children())


def test_every_kind_of_node_has_faults_among_more_than_a_hundred_broken_blueprints() -> None:
    assert len(BROKEN) >= 100
    spoiled: set[str] = set()
    for case in map(planted, BROKEN):
        match = re.match("/graph_spec/nodes/([0-9]+)", case["pointer"])
        if match:
            node = case["blueprint"]["graph_spec"]["nodes"][int(match[1])]
            spoiled.add(node["type"])
    assert spoiled >= NODE_TYPES.keys() - {"trigger", "terminator"}


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_planted_fault_is_found_at_its_place(path: Path) -> None:
    case = planted(path)
    report = checked(case)
    errors = [f for f in report.findings if f.severity == "error"]
    severity = case.get("severity", "error")
    found = [f for f in report.findings if (f.code, f.pointer, f.severity) == (case["code"], case["pointer"], severity)]
    assert found, [(f.code, f.pointer) for f in report.findings]
    assert report.ok == (severity == "warning")
    assert (report.certificate is not None) == report.ok
    others = {f.code for f in errors} - {case["code"]}
    assert others <= COMPANIONS.get(path.stem, set())
    assert all(len(f.message) > 15 for f in report.findings)


@pytest.mark.parametrize("path", [p for p in BROKEN if planted(p)["code"] in SHOWN], ids=lambda path: path.stem)
def test_a_fault_of_a_way_comes_with_a_valid_input(path: Path) -> None:
    case = planted(path)
    variables = [Variable.model_validate(v) for v in case["blueprint"].get("variables", ())]
    for finding in checked(case).findings:
        if finding.code == case["code"]:
            assert finding.witness is not None
            assert normalise_input(variables, finding.witness) == finding.witness


@pytest.mark.parametrize(
    ("stem", "witness"),
    [
        ("gap-at-the-bound", {"amount": "5000"}),  # the one input that neither > nor < takes
        ("gap-between-cents", {"amount": "5000.01"}),
        ("overlap-at-the-bound", {"amount": "5000"}),
        ("division-by-zero", {"amount": "0"}),
        ("table-with-a-gap", {"amount": "100"}),
        ("table-unique-with-an-overlap", {"amount": "100"}),
        ("table-any-that-disagrees", {"amount": "100"}),
        ("action-input-divides-by-zero", {"amount": "0"}),
        ("gap-after-an-action", {"risk": 500}),  # what the action has to return
    ],
)
def test_the_witness_is_the_input_that_matters(stem: str, witness: dict[str, Any]) -> None:
    case = planted(next(p for p in BROKEN if p.stem == stem))
    found = next(f for f in checked(case).findings if f.code == case["code"])
    assert found.witness is not None
    assert witness.items() <= found.witness.items()


def test_a_gap_that_only_changes_open_says_with_what_the_request_begins() -> None:
    case = planted(next(p for p in BROKEN if p.stem == "gap-that-changes-open"))
    gap = next(f for f in checked(case).findings if f.code == "gap")
    assert gap.opening is not None
    assert gap.witness is not None
    assert float(gap.opening["amount"]) > 5000 >= float(gap.witness["amount"])
    assert "resubmitted" in gap.message


@pytest.mark.parametrize(
    ("stem", "setter"),
    [
        ("used-before-the-action-that-sets-it", "'a'"),
        ("used-where-one-way-does-not-set-it", "'a'"),
        ("action-needs-what-a-later-one-sets", "'t'"),
    ],
)
def test_what_is_used_before_it_is_set_names_who_sets_it(stem: str, setter: str) -> None:
    case = planted(next(p for p in BROKEN if p.stem == stem))
    found = next(f for f in checked(case).findings if f.code == "unset_variable")
    assert f"is set by {setter}" in found.message
    assert found.witness is not None
    assert not {"risk", "total"} & set(found.witness)


def test_what_every_way_sets_before_needs_no_test_for_absence() -> None:
    raw = planted(next(p for p in BROKEN if p.stem == "used-where-one-way-does-not-set-it"))["blueprint"]
    raw["graph_spec"]["edges"][2] = {"from": "big", "to": "b", "default": True}
    constant = {"type": "action", "action": "set_variables", "input": {"risk": 0}, "output": {"risk": "risk"}}
    raw["graph_spec"]["nodes"].append({"id": "b", **constant})
    raw["graph_spec"]["edges"].append({"from": "b", "to": "d"})
    report = check(raw, actions=ACTIONS, children=children())
    assert report.ok
    assert "unset_variable" not in {f.code for f in report.findings}


def test_every_code_that_the_package_gives_is_in_the_catalogue() -> None:
    source = "".join(p.read_text() for p in (Path(__file__).parents[2] / "placet" / "proofs").rglob("*.py"))
    codes = set(re.findall(r'(?:error|warning|level)\(\s*"([a-z_]+)"', source))
    codes |= set(re.findall(r'\), "([a-z_]+)"\)', source)) | set(
        re.findall(r'code(?:, message)? = "([a-z_]+)"', source)
    )
    assert len(codes) >= 35
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", CATALOGUE.read_text(), re.MULTILINE))
    assert codes <= documented, codes - documented
    assert documented <= codes, documented - codes

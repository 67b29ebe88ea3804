"""Patches of miners apply to real blueprints, change nothing else, and leave no fault that was not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from insight.mining.patches import Patch, applied, around_stage, set_value, side_by_side, without_stage
from insight.mining.process import Process
from placet.definition.model import parse_or_none
from placet.proofs import check

ROOT = Path(__file__).parents[2]
GALLERY = {
    path.stem: raw
    for path in sorted((ROOT / "blueprints").glob("*.json"))
    if isinstance(raw := json.loads(path.read_text()), dict) and parse_or_none(raw) is not None
}
CHAIN: dict[str, Any] = {
    "name": "Chain",
    "version": "1.0.0",
    "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal", "required": True}],
    "process_steps": [{"stage_name": name, "approvers": [f"role:{name}"]} for name in ("one", "two", "three")],
}


def errors(raw: Mapping[str, Any]) -> set[str]:
    return {one.code for one in check(raw).findings if one.severity == "error"}


def changed(raw: dict[str, Any], patch: Patch | None) -> dict[str, Any]:
    assert patch is not None
    before = json.dumps(raw)
    after = applied(raw, patch)
    assert json.dumps(raw) == before, "the document itself stays as it is"
    return after


def stages(raw: Mapping[str, Any]) -> list[str]:
    return [step["stage_name"] for step in raw["process_steps"]]


@pytest.mark.parametrize("name", GALLERY)
def test_patches_of_the_gallery_bring_no_fault(name: str) -> None:
    raw = GALLERY[name]
    process, before = Process.of(raw), errors(raw)
    assert len(GALLERY) >= 8
    for stage in stages(raw):
        if process.asks_for_more_than_a_decision(stage):
            continue
        for patch in (without_stage(process, stage), around_stage(process, stage, '1 < 2 && requester.id != ""')):
            if patch is not None:
                assert errors(applied(raw, patch)) - {"dead_branch"} <= before, (stage, patch)
    for first, second in permutations(stages(raw), 2):
        if not process.asks_for_more_than_a_decision(first) and (patch := side_by_side(process, first, second)):
            assert errors(applied(raw, patch)) <= before, (first, second)


def test_a_stage_of_a_chain_is_left_out_by_one_change() -> None:
    patch = without_stage(Process.of(CHAIN), "two")
    assert patch == ({"op": "remove", "path": "/process_steps/1"},)
    assert stages(changed(CHAIN, patch)) == ["one", "three"]


def test_the_only_stage_of_a_chain_leaves_a_graph_that_goes_straight_to_its_end() -> None:
    raw = CHAIN | {"process_steps": CHAIN["process_steps"][:1]}
    after = changed(raw, without_stage(Process.of(raw), "one"))
    assert errors(after) == set()
    assert [node["id"] for node in after["graph_spec"]["nodes"]] == ["start", "approved"]


def test_the_expense_goes_around_the_manager_where_a_rule_holds() -> None:
    raw = GALLERY["expense"]
    patch = around_stage(Process.of(raw), "Manager Approval", "amount <= 500")
    after = changed(raw, patch)
    assert errors(after) == set()
    edges = [(edge["from"], edge["to"]) for edge in after["graph_spec"]["edges"]]
    assert edges[:2] == [("start", "manager-rule"), ("manager", "large")]
    assert edges[-2:] == [("manager-rule", "large"), ("manager-rule", "manager")]
    assert patch is not None
    assert len(patch) == 4


def test_what_only_led_from_a_stage_goes_with_it() -> None:
    raw = GALLERY["expense"]
    after = changed(raw, without_stage(Process.of(raw), "Manager Approval"))
    assert errors(after) == set()
    assert stages(after) == ["CFO Approval"]


def test_two_stages_of_a_chain_are_asked_at_the_same_time() -> None:
    after = changed(CHAIN, side_by_side(Process.of(CHAIN), "one", "two"))
    assert errors(after) == set()
    edges = {(edge["from"], edge["to"]) for edge in after["graph_spec"]["edges"]}
    fork, join = "step-1-step-2-fork", "step-1-step-2-join"
    assert {("start", fork), (fork, "step-1"), (fork, "step-2"), ("step-1", join), ("step-2", join)} < edges
    assert (join, "step-3") in edges
    assert ("step-1", "step-2") not in edges


@pytest.mark.parametrize(("first", "second"), [("two", "one"), ("one", "three"), ("one", "one")])
def test_stages_that_do_not_follow_each_other_are_left_as_they_are(first: str, second: str) -> None:
    assert side_by_side(Process.of(CHAIN), first, second) is None


def test_a_stage_that_a_decision_table_names_is_left_as_it_is() -> None:
    named = [
        (raw, node["step"])
        for raw in GALLERY.values()
        for table in (one["table"] for one in raw.get("graph_spec", {}).get("nodes", ()) if "table" in one)
        for node in raw["graph_spec"]["nodes"]
        if "step" in node and node["id"] in {rule["to"] for rule in table["rules"]} | {table.get("default")}
    ]
    assert named
    for raw, stage in named:
        assert without_stage(Process.of(raw), stage) is None
        assert around_stage(Process.of(raw), stage, "amount <= 500") is None


def test_a_value_is_added_or_replaced_as_the_document_has_it() -> None:
    first = ["process_steps", 0]
    assert set_value(CHAIN, [*first, "sla_hours"], 8)["op"] == "add"
    assert set_value(CHAIN, [*first, "approvers"], ["role:x"])["op"] == "replace"
    assert set_value(CHAIN, [*first, "a/b"], 1)["path"] == "/process_steps/0/a~1b"

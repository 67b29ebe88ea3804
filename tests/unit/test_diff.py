"""What a version changes, and how much its number has to rise."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings

from api.routes.examples import EXPENSE_APPROVAL
from placet.definition.diff import baseline, check_bump, classify, export_bytes, least_version
from placet.definition.model import canonical, parse_definition
from placet.errors import BlueprintInvalid
from tests.unit.test_machine_properties import blueprints

VARIABLE = {"name": "amount", "type": "decimal", "required": True, "minimum": 0, "maximum": 100}


def changed(path: str, value: Any, *, base: dict[str, Any] = EXPENSE_APPROVAL) -> dict[str, Any]:
    """Return a blueprint with one place set, or taken out where `value` is ..., or appended to for `-`."""
    raw = deepcopy(base)
    *parents, last = path.strip("/").split("/")
    place: Any = raw
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    if value is ...:
        del place[int(last) if isinstance(place, list) else last]
    elif last == "-":
        place.append(value)
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return raw


def level(old: dict[str, Any], new: dict[str, Any]) -> str:
    return classify(parse_definition(old), parse_definition(new)).level


def with_variable(**facts: Any) -> dict[str, Any]:
    return {**EXPENSE_APPROVAL, "variables": [{**VARIABLE, **facts}, *EXPENSE_APPROVAL["variables"][1:]]}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("/version", "9.9.9", "none"),
        # saying a default is no other process
        ("/settings/max_rounds", 5, "patch"),
        ("/description", "More words", "patch"),
        ("/graph_spec/nodes/1/x", 500, "patch"),
        ("/graph_spec/nodes/1/name", "The manager", "patch"),
        ("/process_steps/0/description", "Look at the receipts", "patch"),
        ("/owner", "user:dora", "minor"),
        ("/process_steps/0/sla_hours", 12, "minor"),
        ("/process_steps/0/approvers", ["role:cfo"], "minor"),
        ("/settings/timezone", "UTC", "minor"),
        ("/graph_spec/edges/3/condition", "amount > 9000", "minor"),
        ("/graph_spec/nodes/-", {"id": "maybe", "type": "terminator", "outcome": "deferred"}, "minor"),
        ("/variables/-", {"name": "note", "type": "string"}, "minor"),
        ("/variables/-", {"name": "note", "type": "string", "required": True, "default": "-"}, "minor"),
        ("/variables/-", {"name": "note", "type": "string", "required": True}, "major"),
        ("/variables/0/name", "sum", "major"),
        ("/variables/0/type", "integer", "major"),
        ("/template_type", "other", "major"),
        ("/graph_spec/nodes/5/outcome", "refused", "major"),
    ],
)
def test_change_weighs_what_it_means_for_others(path: str, value: Any, expected: str) -> None:
    if path == "/variables/0/name":
        new = json.loads(json.dumps(EXPENSE_APPROVAL).replace('"amount', '"sum').replace("amount >", "sum >"))
    else:
        new = changed(path, value)
    assert level(EXPENSE_APPROVAL, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"minimum": 5}, "major"),
        ({"minimum": 5}, {}, "minor"),
        ({}, {"maximum": 200}, "minor"),
        ({"maximum": "1000.5"}, {"maximum": 999}, "major"),  # numbers as text are numbers
        ({"maximum": 9}, {"maximum": "10"}, "minor"),
        ({}, {"maximum": None}, "minor"),
        ({"maximum": None}, {}, "major"),
        ({}, {"required": False}, "minor"),
        ({"required": False}, {}, "major"),
        ({}, {"default": 7}, "minor"),
        ({"default": 7}, {"default": 8}, "minor"),
        ({}, {"title": "Amount"}, "patch"),
        ({}, {"scale": 2}, "major"),
        ({}, {"enum": [10, 20]}, "major"),
        ({"enum": [10, 20]}, {"enum": [10, 20, 30]}, "minor"),
        ({"enum": [10, 20]}, {"enum": [20]}, "major"),
        ({"enum": [10, 20]}, {"enum": [20, 10]}, "patch"),
        ({"enum": [10, 20]}, {}, "minor"),
    ],
)
def test_variable_that_takes_less_is_a_major_change(old: dict[str, Any], new: dict[str, Any], expected: str) -> None:
    assert level(with_variable(**old), with_variable(**new)) == expected


def test_members_of_objects_and_items_of_lists_count_like_variables() -> None:
    inner = {"type": "list", "items": {"type": "object", "properties": {"a": {"type": "string", "max_length": 9}}}}
    tighter = deepcopy(inner)
    tighter["items"]["properties"]["a"]["max_length"] = 5
    gone = deepcopy(inner)
    gone["items"]["properties"] = {"b": {"type": "string"}}
    base = changed("/variables/-", {"name": "rows", **inner})
    for other in (tighter, gone):
        assert level(base, changed("/variables/-", {"name": "rows", **other})) == "major"


def test_stage_that_is_gone_is_a_major_change_and_form_that_demands_more_too() -> None:
    chain = {key: value for key, value in EXPENSE_APPROVAL.items() if key != "graph_spec"}
    assert level(chain, changed("/process_steps/1", ..., base=chain)) == "major"
    assert level(changed("/process_steps/1", ..., base=chain), chain) == "minor"
    form = {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    with_form = changed("/process_steps/0/form", form, base=chain)
    assert level(chain, with_form) == "minor"
    assert level(with_form, changed("/process_steps/0/form", {**form, "required": ["ok"]}, base=chain)) == "major"
    assert level(with_form, chain) == "major"
    swapped = {**chain, "process_steps": chain["process_steps"][::-1]}
    assert level(chain, swapped) == "minor"


def test_order_of_edges_counts_where_they_begin_together() -> None:
    edges = EXPENSE_APPROVAL["graph_spec"]["edges"]
    assert level(EXPENSE_APPROVAL, changed("/graph_spec/edges", edges[::-1])) == "minor"
    moved = [edges[-1], *edges[:-1]]
    apart = [edge["from"] for edge in moved]
    assert level(EXPENSE_APPROVAL, changed("/graph_spec/edges", moved)) == (
        "patch" if apart.count(apart[0]) == 1 else "minor"
    )


@pytest.mark.parametrize(
    ("old", "change", "least"),
    [
        ("1.2.3", "major", "2.0.0"),
        ("1.2.3", "minor", "1.3.0"),
        ("1.2.3", "patch", "1.2.4"),
        ("1.2.3", "none", "1.2.4"),
        # below 1.0.0 nothing is promised but within 0.y
        ("0.2.3", "major", "0.3.0"),
        ("0.2.3", "minor", "0.2.4"),
        ("2.0.0-rc.1", "major", "2.0.0"),
    ],
)
def test_least_version_follows_the_change(old: str, change: Any, least: str) -> None:
    assert least_version(old, change) == least


@pytest.mark.parametrize(
    ("version", "published", "expected"),
    [
        ("1.0.0", [], None),
        ("1.1.0", ["1.0.0"], "1.0.0"),
        ("1.0.1", ["1.0.0", "2.0.0"], "1.0.0"),  # the old line is still cared for
        ("2.0.0", ["1.9.0", "1.10.0", "2.0.0-rc.1"], "1.10.0"),  # a pre-release is no way around
        ("0.9.0", ["1.0.0", "2.0.0"], "2.0.0"),
        ("1.0.0", ["1.0.0-rc.1"], None),
    ],
)
def test_version_follows_the_highest_release_below_it(version: str, published: list[str], expected: str | None) -> None:
    assert baseline(version, published) == expected


@pytest.mark.parametrize(("version", "least"), [("1.0.1", "2.0.0"), ("1.9.9", "2.0.0"), ("0.9.0", "2.0.0")])
def test_number_that_rises_too_little_is_refused_with_the_least(version: str, least: str) -> None:
    new = {**changed("/variables/0/type", "integer"), "version": version}
    with pytest.raises(BlueprintInvalid) as raised:
        check_bump(parse_definition(EXPENSE_APPROVAL), parse_definition(new))
    (problem,) = raised.value.problems
    assert problem.pointer == "/version"
    assert least in problem.message
    assert "'amount'" in problem.message


@pytest.mark.parametrize("version", ["2.0.0", "2.0.0-rc.1", "3.1.4"])
def test_number_that_rises_enough_is_taken(version: str) -> None:
    new = {**changed("/variables/0/type", "integer"), "version": version}
    assert check_bump(parse_definition(EXPENSE_APPROVAL), parse_definition(new)).level == "major"


@settings(max_examples=40)
@given(blueprints(), blueprints())
def test_patch_leads_from_one_to_the_other_and_export_is_stable(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = parse_definition(one), parse_definition(other)
    change = classify(old, new)
    assert jsonpatch.apply_patch(canonical(old), list(change.patch)) == canonical(new)
    assert bool(change.reasons) == bool(change.patch)
    assert classify(old, old).level == "none"
    exported = export_bytes(canonical(old))
    again = parse_definition(json.loads(exported))
    assert export_bytes(canonical(again)) == exported
    assert classify(old, again).level == "none"


EDGES = EXPENSE_APPROVAL["graph_spec"]["edges"]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("/process_steps/0/sla_hours", 12, ["sla_hours of stage 'Manager Approval' is 12.0, and was 24.0"]),
        (
            "/graph_spec/edges/3/condition",
            "amount > 9000",
            ["condition of the edge from 'large' to 'cfo' is amount > 9000, and was amount > 5000"],
        ),
        ("/settings/timezone", "UTC", ["timezone of the settings is UTC, and was Europe/Berlin"]),
        ("/owner", ..., ["owner is none, and was user:olivia"]),
        ("/graph_spec/edges", EDGES[:-1], ["the edge from 'cfo' to 'no' on rejected is gone"]),
        (
            "/graph_spec/edges/-",
            {"from": "large", "to": "no", "condition": "amount > 1000000"},
            ["the edge from 'large' to 'no' is new, where amount > 1000000"],
        ),
        (
            "/graph_spec/edges",
            [*EDGES[:3], EDGES[4], EDGES[3], *EDGES[5:]],
            ["the edges from 'large' are in another order"],
        ),
        (
            "/graph_spec/nodes/3/step",
            "Manager Approval",
            ["step of approval node 'cfo' is Manager Approval, and was CFO Approval"],
        ),
        # what nobody would read: the patch has it
        (
            "/graph_spec/edges/3/condition",
            "amount > 5000 || department in [" + '"it", ' * 30 + '"it"]',
            ["condition of the edge from 'large' to 'cfo' has changed"],
        ),
    ],
)
def test_a_change_is_told_with_what_is_and_what_was(path: str, value: Any, told: list[str]) -> None:
    reasons = classify(parse_definition(EXPENSE_APPROVAL), parse_definition(changed(path, value))).reasons
    assert [reason.message for reason in reasons] == told

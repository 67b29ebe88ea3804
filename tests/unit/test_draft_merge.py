"""The three-way merge of two people's changes: nothing of either side is lost or made twice, and conflicts are told."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from api.routes.examples import EXPENSE_APPROVAL
from placet.errors import InputInvalid
from placet.json_pointer import value_at
from service.drafts.merge import ABSENT, changes, merge, same
from service.drafts.work import compare, fitting, prepare

BASE: dict[str, Any] = {
    "name": "Expense",
    "version": "1.0.0",
    "settings": {"calendar": "24x7", "timezone": "UTC"},
    "variables": [{"name": "amount", "type": "decimal"}, {"name": "why", "type": "string"}],
    "process_steps": [
        {"stage_name": "Manager", "approvers": ["manager_of(requester)"], "sla_hours": 24},
        {"stage_name": "CFO", "approvers": ["role:cfo"]},
    ],
    "graph_spec": {
        "nodes": [{"id": "a", "type": "approval", "x": 1}, {"id": "b", "type": "end"}, {"id": "c", "type": "end"}],
        "edges": [{"from": "a", "to": "b", "on": "approved"}, {"from": "a", "to": "c", "on": "rejected"}],
    },
}


def edited(*edits: Any) -> dict[str, Any]:
    """Return the base after these edits, functions that change it in place."""
    made = deepcopy(BASE)
    for edit in edits:
        edit(made)
    return made


def _hours(content: dict[str, Any]) -> None:
    content["process_steps"][0]["sla_hours"] = 48


def _approvers(content: dict[str, Any]) -> None:
    content["process_steps"][0]["approvers"] = ["user:ann"]


def _variable(content: dict[str, Any]) -> None:
    content["variables"].insert(0, {"name": "urgent", "type": "boolean"})


def _another_variable(content: dict[str, Any]) -> None:
    content["variables"].append({"name": "site", "type": "string"})


def _without_cfo(content: dict[str, Any]) -> None:
    del content["process_steps"][1]


def _cfo_named(content: dict[str, Any]) -> None:
    content["process_steps"][1]["title"] = "The CFO"


def _moved(content: dict[str, Any]) -> None:
    content["graph_spec"]["nodes"][0]["x"] = 500


def _turned(content: dict[str, Any]) -> None:
    content["process_steps"].reverse()


def _legal(content: dict[str, Any]) -> None:
    content["process_steps"].append({"stage_name": "Legal", "approvers": ["role:legal"]})


def _audit(content: dict[str, Any]) -> None:
    content["process_steps"].append({"stage_name": "Audit", "approvers": ["role:audit"]})


def _edge(content: dict[str, Any]) -> None:
    content["graph_spec"]["edges"].append({"from": "a", "to": "a", "on": "changes_requested"})


def _other_edge(content: dict[str, Any]) -> None:
    content["graph_spec"]["edges"].append({"from": "a", "to": "b", "on": "option:later"})


def _edge_elsewhere(content: dict[str, Any]) -> None:
    content["graph_spec"]["edges"].append({"from": "z", "to": "b"})


def _nodes(*order: int) -> Any:
    def put(content: dict[str, Any]) -> None:
        nodes = content["graph_spec"]["nodes"]
        content["graph_spec"]["nodes"] = [nodes[number] for number in order]

    return put


SAFE = [
    (_hours, _approvers),
    (_hours, _variable),
    (_variable, _another_variable),
    (_without_cfo, _hours),
    (_moved, _edge),
    (_turned, _hours),
    (_edge, _edge_elsewhere),
    (_legal, _cfo_named),
    (_turned, _variable),
]


@pytest.mark.parametrize(("one", "other"), [*SAFE, *((b, a) for a, b in SAFE)])
def test_changes_of_different_places_are_both_there(one: Any, other: Any) -> None:
    merged = merge(BASE, edited(one), edited(other))
    assert merged.conflicts == ()
    by_place = {"variables": "name", "nodes": "id"}
    for wanted in (edited(one, other), edited(other, one)):
        if same(_sorted(merged.content, by_place), _sorted(wanted, by_place)):
            return
    pytest.fail(json.dumps(merged.content))


def _sorted(content: dict[str, Any], keys: dict[str, str]) -> dict[str, Any]:
    """Return the content with those lists sorted in which two people may add at the same place."""
    made = deepcopy(content)
    made["variables"].sort(key=lambda item: item[keys["variables"]])
    made["graph_spec"]["nodes"].sort(key=lambda item: item[keys["nodes"]])
    made["graph_spec"]["edges"].sort(key=lambda item: item["from"])
    return made


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        (_hours, lambda c: c["process_steps"][0].update(sla_hours=12), "/process_steps/0/sla_hours"),
        (_without_cfo, _cfo_named, "/process_steps/1"),
        (_legal, _audit, "/process_steps"),
        (_turned, _legal, "/process_steps"),
        (_edge, _other_edge, "/graph_spec/edges"),
        (_nodes(2, 0, 1), _nodes(1, 2, 0), "/graph_spec/nodes"),
        (lambda c: c.pop("settings"), lambda c: c["settings"].update(timezone="CET"), "/settings"),
        (lambda c: c.update(name="A"), lambda c: c.update(name="B"), "/name"),
        (lambda c: c.update(owner=None), lambda c: c.update(owner="user:ann"), "/owner"),
        (lambda c: c.update(owner=1), lambda c: c.update(owner=True), "/owner"),
    ],
)
def test_changes_of_the_same_place_are_a_conflict_that_goes_to_the_side_that_is_asked_for(
    one: Any, other: Any, place: str
) -> None:
    theirs, mine = edited(one), edited(other)
    merged = merge(BASE, theirs, mine)
    assert [conflict.pointer for conflict in merged.conflicts] == [place]
    assert same(merged.content, theirs)
    assert same(merge(BASE, theirs, mine, conflicts_to="mine").content, mine)


def test_a_value_that_is_gone_from_one_side_is_told_from_null() -> None:
    (conflict,) = merge({"a": 1}, {}, {"a": None}).conflicts
    assert (conflict.base, conflict.theirs, conflict.mine) == (1, ABSENT, None)


def test_an_order_that_one_side_chose_is_kept_with_what_the_other_added() -> None:
    def added(content: dict[str, Any]) -> None:
        content["graph_spec"]["nodes"].append({"id": "d", "type": "end"})

    for theirs, mine in ((_nodes(2, 0, 1), added), (added, _nodes(2, 0, 1))):
        merged = merge(BASE, edited(theirs), edited(mine))
        kept = [node["id"] for node in merged.content["graph_spec"]["nodes"] if node["id"] != "d"]
        assert (merged.conflicts, kept, len(merged.content["graph_spec"]["nodes"])) == ((), ["c", "a", "b"], 4)


@pytest.mark.parametrize(
    "items",
    [
        [{"name": "a"}, {"name": "a"}],
        [{"name": 1}],
        [{"type": "x"}],
        ["a"],
        {"name": "a"},
        None,
    ],
)
def test_a_list_whose_items_cannot_be_told_apart_is_one_value(items: Any) -> None:
    theirs, mine = {"variables": items}, {"variables": [{"name": "b"}]}
    assert [c.pointer for c in merge({"variables": [{"name": "c"}]}, theirs, mine).conflicts] == ["/variables"]


# Documents of a few names, so that changes of two sides meet, with lists whose items have names and others.
_SCALARS = st.sampled_from([None, True, False, 0, 1, "x", "y"])
_NAMES = st.sampled_from(["p", "q", "r", "s"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=6,
)


def _named_lists(key: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    item = st.fixed_dictionaries({key: _NAMES}, optional={"v": _VALUES, "w": _SCALARS})
    return st.lists(item, max_size=4, unique_by=lambda one: one[key])


_EDGES = st.lists(
    st.fixed_dictionaries({"from": _NAMES, "to": _NAMES}, optional={"on": st.sampled_from(["u", "v"]), "v": _SCALARS}),
    max_size=4,
    unique_by=lambda one: (one["from"], one["to"], one.get("on")),
)
_GRAPHS = st.fixed_dictionaries({}, optional={"nodes": _named_lists("id"), "edges": _EDGES, "v": _VALUES})
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "variables": _named_lists("name") | _VALUES,
        "process_steps": _named_lists("stage_name"),
        "graph_spec": _GRAPHS,
        "settings": _VALUES,
        "other": _VALUES,
    },
)


def _leaves(content: Any, place: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    """Return every scalar by its place, in which the items of named lists stand under their names."""
    keys = {("variables",): "name", ("process_steps",): "stage_name", ("graph_spec", "nodes"): "id"}
    if isinstance(content, dict):
        found = {place: "{}"}
        for key, inner in content.items():
            found |= _leaves(inner, (*place, key))
        return found
    if isinstance(content, list) and (place in keys or place == ("graph_spec", "edges")):
        key = keys.get(place)
        names = [
            (one[key] if key else (one["from"], one["to"], one.get("on"))) if isinstance(one, dict) else None
            for one in content
            if not isinstance(one, dict) or key is None or key in one
        ]
        if len(names) == len(content) and None not in names and len({*map(str, names)}) == len(names):
            found = {place: "[]"}
            for name, inner in zip(names, content, strict=True):
                found |= _leaves(inner, (*place, f"named {name}"))
            return found
    return {place: json.dumps(content, sort_keys=True)}


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_no_change_of_either_side_is_lost_or_made_twice(base: Any, theirs: Any, mine: Any) -> None:
    merged = merge(base, theirs, mine)
    assume(not merged.conflicts)
    was, their, my, both = map(_leaves, (base, theirs, mine, merged.content))
    for place in {*was, *their, *my, *both}:
        sides = {their.get(place), my.get(place)} - {was.get(place)}
        assert len(sides) <= 1 or both.get(place) in sides, place
        if len(sides) == 1:
            assert both.get(place) in sides, place
        elif not sides:
            assert both.get(place) == was.get(place), place


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_two_different_changes_of_one_scalar_are_always_told(base: Any, theirs: Any, mine: Any) -> None:
    merged = merge(base, theirs, mine)
    places = [conflict.pointer for conflict in merged.conflicts]
    for key in {*base} | {*theirs} | {*mine}:
        sides = [one.get(key, ABSENT) for one in (base, theirs, mine)]
        plain = not any(isinstance(one, dict | list) for one in sides)
        if plain and len({repr(one) for one in sides}) == 3:
            assert f"/{key}" in places
    assert [c.pointer for c in merge(base, mine, theirs).conflicts] or not places, "both ways round"


def test_a_choice_stands_where_it_was_made_however_the_lists_around_it_have_grown() -> None:
    def variables(*given: tuple[str, str]) -> dict[str, Any]:
        return {"variables": [{"name": name, "description": text} for name, text in given]}

    base, theirs = variables(("a", ""), ("b", "")), variables(("a", ""), ("b", "theirs"))
    mine = variables(("c", ""), ("a", ""), ("b", "mine"))
    (conflict,) = merge(base, theirs, mine).conflicts
    assert same(merge(base, theirs, mine, mine_at={conflict.pointer}).content, mine)


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_choosing_each_of_ones_own_values_is_choosing_ones_own_side(base: Any, theirs: Any, mine: Any) -> None:
    wanted = merge(base, theirs, mine, conflicts_to="mine")
    chosen = merge(base, theirs, mine, mine_at={conflict.pointer for conflict in wanted.conflicts})
    assert same(chosen.content, wanted.content)


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_conflicts_are_the_same_whichever_side_they_go_to(base: Any, theirs: Any, mine: Any) -> None:
    one, other = (merge(base, theirs, mine, conflicts_to=side) for side in ("theirs", "mine"))
    assert one.conflicts == other.conflicts
    for conflict in one.conflicts:
        if conflict.theirs is not ABSENT:
            assert same(value_at(theirs, conflict.pointer), conflict.theirs)


@given(base=DOCUMENTS, mine=DOCUMENTS)
def test_where_one_side_changed_nothing_the_other_is_the_result(base: Any, mine: Any) -> None:
    for merged in (merge(base, base, mine), merge(base, mine, base), merge(base, mine, mine)):
        assert same(merged.content, mine)
        assert merged.conflicts == ()


@given(base=DOCUMENTS, mine=DOCUMENTS)
def test_there_are_changes_exactly_where_contents_differ(base: Any, mine: Any) -> None:
    assert (changes(base, mine) == ()) is same(base, mine)
    for change in changes(base, mine):
        if change.kind in {"added", "changed"}:
            assert same(value_at(mine, change.pointer), change.after)


@given(base=DOCUMENTS, theirs=DOCUMENTS, mine=DOCUMENTS)
def test_nothing_that_was_sent_is_changed_by_a_merge(base: Any, theirs: Any, mine: Any) -> None:
    before = deepcopy((base, theirs, mine))
    merge(base, theirs, mine)
    assert before == (base, theirs, mine)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ([], ""),
        ("text", ""),
        (None, ""),
        ({"a": "\0"}, "/a"),
        ({"a": float("nan")}, "/a"),
        ({"a": 2**60}, "/a"),
        ({"x" * 600: 1}, ""),
        ({"a": "y" * 2_000_001}, ""),
        ({"a": list(range(100_001))}, ""),
    ],
)
def test_a_content_that_cannot_be_stored_is_refused_at_its_place(content: Any, place: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        fitting(content, "/content")
    assert refused.value.problems[0].pointer == f"/content{place}"


def test_a_content_that_is_too_deep_is_refused() -> None:
    deep: Any = {}
    for _ in range(70):
        deep = {"a": deep}
    with pytest.raises(InputInvalid, match="nested deeper"):
        fitting(deep)


def test_a_patch_is_applied_to_the_revision_that_was_read() -> None:
    patch = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 48}]
    made = prepare(BASE, edited(_variable), None, patch)
    assert same(made.content, edited(_variable, _hours))
    assert [change.pointer for change in made.others] == ["/variables/0", *()]


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({}, "/patch"),
        ([{"op": "reverse", "path": "/a"}], "/patch/0/op"),
        ([{"op": "copy", "from": "/nothing", "path": "/a"}], "/patch/0"),
        ([{"op": "remove", "path": "/nothing"}], "/patch/0"),
        ([{"op": "replace", "path": "", "value": []}], "/content"),
        ([{"op": "add", "path": "/a"}] * 1001, "/patch"),
    ],
)
def test_a_patch_that_cannot_be_applied_is_refused_at_its_place(patch: Any, place: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        prepare(BASE, BASE, None, patch)
    assert refused.value.problems[0].pointer == place


def test_a_revision_that_is_not_kept_is_one_conflict() -> None:
    made = prepare(None, BASE, edited(_hours), None)
    assert [conflict.pointer for conflict in made.conflicts] == [""]
    assert made.content == BASE
    assert prepare(None, BASE, deepcopy(BASE), None).conflicts == ()


def test_a_comparison_says_what_differs_also_where_the_content_cannot_be_read() -> None:
    broken = {**deepcopy(EXPENSE_APPROVAL), "colour": "red"}
    compared = compare(EXPENSE_APPROVAL, broken)
    assert ([change.pointer for change in compared.fields], compared.change) == (["/colour"], None)
    longer = {**deepcopy(EXPENSE_APPROVAL), "owner": "user:dora"}
    compared = compare(EXPENSE_APPROVAL, longer)
    assert compared.change is not None
    assert compared.too_low is not None
    assert compared.too_low.pointer == "/version"

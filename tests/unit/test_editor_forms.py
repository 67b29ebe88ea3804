"""The forms of drafts: what they show is what they give back, for every part of every process of the gallery."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from placet.definition.model import definition_schema, parse_definition
from placet.errors import BlueprintInvalid, InputInvalid
from placet.proofs import check
from placet.proofs.findings import Finding
from web.editor import edits, parts
from web.editor.findings import line_of
from web.editor.operations import changed, patch_between, undone
from web.editor.page import EditorView, Surroundings, read_parts, view_of
from web.editor.schema_fields import Former
from web.editor.sketch import sketch_of
from web.forms.fields import Field
from web.forms.reading import Entries
from web.graph.drawing import places_of
from web.languages import Wording

WORDING = Wording(language="en", zone=ZoneInfo("UTC"), now=datetime(2026, 1, 1, tzinfo=UTC))
AROUND = Surroundings(actions=(), processes=(), named=str)
ROOT = Path(__file__).parents[2]
GALLERY = [file for file in sorted((ROOT / "blueprints").glob("*.json")) if file.stem != "people"]
BROKEN = sorted((ROOT / "tests/broken").glob("*.json"))


def content_of(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def everything(content: dict[str, Any]) -> list[str]:
    """Return the names of all parts."""
    found = [entry.at for _, group in view(content, "process").outline for entry in group]
    assert found[:2] == ["process", "settings"]
    return found


def view(content: dict[str, Any], at: str) -> EditorView:
    return view_of(content, at, "/drafts/1", AROUND, WORDING)


def flat(fields: tuple[Field, ...]) -> Iterator[Field]:
    for one in fields:
        yield one
        yield from flat(one.fields)
        for row in one.rows:
            yield from flat(row)


def sent(shown: EditorView) -> Entries:
    """Return what a browser sends of the forms that are shown, as they are."""
    items: list[tuple[str, str]] = []
    for section in shown.sections:
        for one in flat(section.fields):
            if one.widget == "choices":
                items += [(one.name, value) for value in one.values]
            elif one.widget not in {"group", "rows"}:
                items.append((one.name, one.value))
    if shown.table is not None:
        items += [("table", "1"), ("t.hit_policy", shown.table.hit_policy), ("t.default", shown.table.default)]
        items += [(f"t.input.{n}", text) for n, text in enumerate(shown.table.inputs)]
        for number, row in enumerate(shown.table.rows):
            items += [(f"t.rule.{number}.{n}", cell) for n, cell in enumerate(row.cells)]
            items.append((f"t.rule.{number}.to", row.to))
    return Entries.of(items, WORDING.zone)


def saved(content: dict[str, Any], at: str, **changes: str) -> dict[str, Any]:
    shown = view(content, at)
    entries = sent(shown)
    entries.values.update({name.replace("__", "."): [value] for name, value in changes.items()})
    after = edits.copied(content)
    pointers = [(number, section.pointer) for number, section in enumerate(shown.sections)]
    read_parts(after, pointers, at, entries, WORDING)
    return after


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_a_form_that_is_sent_as_it_is_changes_nothing(file: Path) -> None:
    content = content_of(file)
    for at in everything(content):
        after = saved(content, at)
        if at.startswith("node:") and "table" in (parts.node_at(after, at) or (0, {}))[1]:
            table = edits.table_of(after, at)
            before = edits.table_of(edits.copied(content), at)
            assert table is not None
            assert before is not None
            before.setdefault("hit_policy", "first")
            table.setdefault("hit_policy", "first")
            assert table == before
            continue
        assert after == content, at


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_an_unsound_draft_is_shown_whatever_is_wrong_with_it(file: Path) -> None:
    try:
        content = json.loads(file.read_text())
    except ValueError:
        return
    if isinstance(content, dict):
        for at in everything(content):
            assert view(content, at).sections


def test_a_new_property_of_a_node_appears_by_itself() -> None:
    schema = {"properties": {"colour_of_paper": {"type": "string", "maxLength": 20}}, "required": []}
    former = Former(defs={}, wording=WORDING)
    (field,) = former.fields(schema, {}, "p0", "")
    assert (field.label, field.widget, field.longest) == ("Colour of paper", "text", 20)
    entries = Entries.of([("p0.colour_of_paper", "blue")], WORDING.zone)
    assert former.read(schema, entries, "p0", {"kept": 1}) == {"kept": 1, "colour_of_paper": "blue"}


def test_every_property_of_every_part_has_a_field() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    defs = definition_schema()["$defs"]
    for at in everything(content):
        shown = view(content, at)
        for part, section in zip(parts.parts_of(content, at), shown.sections, strict=True):
            schema = defs[part.shape] if part.shape else definition_schema()
            names = {name for name, one in schema["properties"].items() if "const" not in one} - part.hidden
            assert {one.name.split(".")[1] for one in section.fields} == names


def test_values_of_several_shapes_are_chosen_by_their_kind() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    step = content["process_steps"][0]
    at = next(f"node:{one['id']}" for _, one in parts.nodes(content) if one.get("step") == step["stage_name"])
    after = saved(content, at, **{"p1.quorum.~": "~0"})
    assert after["process_steps"][0]["quorum"] == {}
    after = saved(after, at, **{"p1.quorum.0.at_least": "2"})
    assert after["process_steps"][0]["quorum"] == {"at_least": 2}
    after = saved(after, at, **{"p1.quorum.~": "all"})
    assert after["process_steps"][0]["quorum"] == "all"


def test_what_names_a_node_or_a_stage_follows_when_it_is_renamed() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    _, node = parts.nodes(content)[1]
    after = saved(content, f"node:{node['id']}", p0__id="renamed")
    edits.rename(after, content)
    names = {edge["from"] for _, edge in parts.edges(after)} | {edge["to"] for _, edge in parts.edges(after)}
    assert "renamed" in names
    assert node["id"] not in names


def test_a_removed_node_takes_its_edges_and_its_stage_along() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    _, node = next(one for one in parts.nodes(content) if one[1]["type"] == "approval")
    after = copy.deepcopy(content)
    edits.remove(after, f"node:{node['id']}")
    assert all(node["id"] not in {edge["from"], edge["to"]} for _, edge in parts.edges(after))
    assert node["step"] not in {step["stage_name"] for _, step in parts.steps(after)}
    assert len(parts.nodes(after)) == len(parts.nodes(content)) - 1


def test_a_node_is_added_with_all_that_it_needs_to_be_read() -> None:
    for kind, _ in view(content_of(ROOT / "blueprints/expense.json"), "process").kinds:
        content = content_of(ROOT / "blueprints/expense.json")
        name = edits.add_node(content, kind, None, "Stage")
        assert view(content, f"node:{name}").node == name


def test_the_rows_of_a_table_can_be_added_moved_and_removed() -> None:
    table: dict[str, Any] = {"inputs": ["amount"], "rules": [{"when": ["> 1"], "to": "a"}, {"when": [None], "to": "b"}]}
    edits.TABLE["rule-down"](table, 0)
    assert [rule["to"] for rule in table["rules"]] == ["b", "a"]
    edits.TABLE["rule-add"](table, 0)
    edits.TABLE["input-add"](table, 0)
    assert [len(rule["when"]) for rule in table["rules"]] == [2, 2, 2]
    edits.TABLE["input-remove"](table, 0)
    edits.TABLE["rule-remove"](table, 0)
    assert table == {"inputs": ["true"], "rules": [{"when": [None], "to": "a"}, {"when": [None], "to": "a"}]}


def test_an_edge_moves_among_those_of_its_node_whatever_stands_between() -> None:
    edges: list[Any] = [{"from": "a", "to": "x"}, 7, {"from": "b", "to": "x"}, {"from": "a", "to": "y"}]
    content = {"graph_spec": {"edges": list(edges)}}
    edits.move(content, "/graph_spec/edges/0", 1)
    assert content["graph_spec"]["edges"] == [edges[3], 7, edges[2], edges[0]]
    edits.drop(content, "/graph_spec/edges/1")
    edits.drop(content, "/graph_spec/nodes/1")
    assert content["graph_spec"]["edges"] == [edges[3], edges[2], edges[0]]


def asked(content: dict[str, Any], at: str, op: str, **more: str) -> tuple[dict[str, Any], str]:
    entries = Entries.of([("at", at), ("op", op), *more.items()], WORDING.zone)
    return changed(content, entries, WORDING)


def test_a_moved_node_stands_elsewhere_and_the_others_where_they_were_drawn() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    for _, node in parts.nodes(content):
        del node["x"], node["y"]  # type: ignore[attr-defined] # of a copy
    drawn = places_of(sketch_of(content, WORDING.say, str))
    name = str(parts.nodes(content)[1][1]["id"])
    after, _ = asked(content, f"node:{name}", "place", node=name, dx="400", dy="0")
    placed = {str(one["id"]): (one["x"], one["y"]) for _, one in parts.nodes(after)}
    for one, (x, y) in drawn.items():
        moved = 400 if one == name else 0
        assert placed[one] == (round(x + moved), round(y))


def test_a_change_can_be_taken_back() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    after, at = asked(content, "process", "add-node", kind="wait")
    assert at == "node:wait"
    assert undone(after, json.dumps(patch_between(after, content)), WORDING) == content
    with pytest.raises(InputInvalid):
        undone(content, '[{"op": "remove", "path": "/there/is/none"}]', WORDING)


def test_a_chain_of_stages_can_be_drawn_as_a_graph() -> None:
    content = {"name": "Chain", "version": "1.0.0", "process_steps": [{"stage_name": "One", "approvers": ["user:a"]}]}
    assert not view(content, "process").is_graph
    after, _ = asked(content, "process", "make-graph")
    assert view(after, "process").is_graph
    assert after["process_steps"] == content["process_steps"]
    assert {one["type"] for _, one in parts.nodes(after)} == {"trigger", "approval", "terminator"}


def test_a_decision_by_conditions_becomes_one_by_a_table() -> None:
    content = content_of(ROOT / "blueprints/expense.json")
    name = next(str(one["id"]) for _, one in parts.nodes(content) if one["type"] == "decision")
    after, _ = asked(content, f"node:{name}", "make-table")
    table = edits.table_of(after, f"node:{name}")
    assert table is not None
    assert check(after).ok


APPROVERS: list[Any] = [
    "user:max",
    {"who": "role:cfo", "weight": 3},
    {"who": "group:jury"},  # as good as the bare text, and kept as it was written
    {"expr": 'amount > 100 ? ["user:ann"] : []', "weight": 2},
    {"who": "user:ben", "since": 2020},  # nothing that a row has a field for
    7,
]
FORM: dict[str, Any] = {
    "additionalProperties": False,
    "type": "object",
    "required": ["note", "cost_centre"],
    "properties": {
        "cost_centre": {"enum": ["100", "200"], "type": "string", "title": "Cost centre"},
        "note": {"type": "string", "maxLength": 200},
        "day": {"type": "string", "format": "date", "description": "Of the delivery"},
        "score": {"type": "integer", "enum": [1, 2, 3], "minimum": 1},
        "several": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
        "either": {"type": ["string", "null"], "enum": ["x", None]},
        "odd": {"type": "string", "enum": ["a ", "a"]},
    },
}


def process(**step: Any) -> dict[str, Any]:
    return {"name": "P", "version": "1.0.0", "process_steps": [{"stage_name": "One", "approvers": ["user:a"], **step}]}


def step_of(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["process_steps"][0]
    return found


@pytest.mark.parametrize(
    "step",
    [
        {"approvers": APPROVERS},
        {"approvers": "user:max"},
        {"form": FORM},
        {"form": {}},
        {"form": {"type": "object", "properties": {}, "required": []}},
        {"form": {"anyOf": [{"required": ["a"]}]}},
        {"form": {"properties": {"a": True}}},
        {"form": {"properties": {"a": {}}, "required": ["b"]}},
        {"form": {"type": ["object", "null"]}},
        {"form": "nothing"},
        {"comment_required": "approve"},
        {"comment_required": ["approve", "weigh"]},
        {"escalation": ["user:a", {"to": "role:cfo", "after_hours": 2}]},
        {"sla": 5},
        {"quorum": 3},
        {"description": ["of", "two"]},
        {"sla_hours": {"hours": 2}},
    ],
    ids=str,
)
def test_values_of_any_shape_are_given_back_as_they_are(step: dict[str, Any]) -> None:
    content = process(**step)
    assert saved(content, "stage:One") == content


def test_approvers_are_rows_of_a_person_or_rule_and_a_weight() -> None:
    content = process(approvers=APPROVERS)
    after = saved(
        content,
        "stage:One",
        **{"p0.approvers.0.weight": "2", "p0.approvers.1.who": "", "p0.approvers.6.who": "user:zoe"},
    )
    assert step_of(after)["approvers"] == [{"who": "user:max", "weight": 2}, *APPROVERS[2:], "user:zoe"]
    after = saved(process(), "stage:One", **{"p0.approvers.0.who": "[]", "p0.approvers.0.kind": "expression"})
    assert step_of(after)["approvers"] == [{"expr": "[]"}]
    after = saved(process(), "stage:One", **{"p0.approvers.0.weight": "heavy"})
    assert step_of(after)["approvers"] == [{"who": "user:a", "weight": "heavy"}]  # the check says what is wrong


def test_the_fields_of_a_decision_are_rows() -> None:
    rows = {"name": "cost_centre", "title": "Cost centre", "required": "true", "enum": "100\n200"}
    after = saved(process(), "stage:One", **{f"p0.form.0.{key}": value for key, value in rows.items()})
    assert step_of(after)["form"] == {
        "type": "object",
        "properties": {"cost_centre": {"title": "Cost centre", "type": "string", "enum": ["100", "200"]}},
        "required": ["cost_centre"],
    }
    after = saved(after, "stage:One", **{"p0.form.0.enum": "", "p0.form.0.type": "date", "p0.form.0.required": "false"})
    assert step_of(after)["form"] == {
        "type": "object",
        "properties": {"cost_centre": {"title": "Cost centre", "type": "string", "format": "date"}},
    }
    after = saved(after, "stage:One", **{"p0.form.0.name": ""})
    assert "form" not in step_of(after)
    rows = {"name": "risks", "type": "several", "enum": "fire\nwater"}
    after = saved(process(), "stage:One", **{f"p0.form.0.{key}": value for key, value in rows.items()})
    risks = step_of(after)["form"]["properties"]["risks"]
    assert risks == {"type": "array", "items": {"type": "string", "enum": ["fire", "water"]}}


def test_what_a_row_has_no_field_for_stays_when_others_change() -> None:
    content = process(form=FORM)
    changes = {
        "p0.form.1.name": "remark",
        "p0.form.3.enum": "1\n2",
        "p0.form.4.enum": "a\nb\nc",
        "p0.form.8.name": "note",
    }
    form = step_of(saved(content, "stage:One", **changes))["form"]
    properties = FORM["properties"]
    assert form == {
        "type": "object",
        "additionalProperties": False,
        "required": ["remark", "cost_centre"],
        "properties": {
            **{name: one for name, one in properties.items() if name not in {"note", "score", "several"}},
            "remark": properties["note"],
            "score": {"type": "integer", "enum": [1, 2], "minimum": 1},
            "several": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": True},
            "note": {"type": "string"},
        },
    }


def test_a_row_whose_json_is_not_complete_keeps_what_was_typed_and_is_found() -> None:
    typing = {"p0.form.1.more": '{"maxLength": 20'}
    after = saved(process(form=FORM), "stage:One", **typing)
    assert step_of(after)["form"]["properties"]["note"] == {"type": "string", "$defs": '{"maxLength": 20'}
    assert any(finding.pointer.startswith("/process_steps/0/form") for finding in check(after).findings)
    assert saved(after, "stage:One") == after
    done = saved(after, "stage:One", **{"p0.form.1.more": '{"maxLength": 20}'})
    assert step_of(done)["form"]["properties"]["note"] == {"type": "string", "maxLength": 20}


def test_two_rows_of_one_name_are_two_fields() -> None:
    after = saved(process(form=FORM), "stage:One", **{"p0.form.1.name": "cost_centre"})
    assert list(step_of(after)["form"]["properties"])[:2] == ["cost_centre", "cost_centre_2"]


@pytest.mark.parametrize(
    ("faulty", "at", "title", "place"),
    [
        ({"process_steps": [{"stage_name": "Manager", "approvers": ["user:max"], "sla_hour": 24}]}, 0, "M", "sla_hour"),
        # A property of the format is called as its field in the form is.
        ({"process_steps": [{"stage_name": "Manager", "approvers": ["user:max"], "sla_hours": "x"}]}, 0, "M", "Hours"),
        ({"settings": {"calendar": {"weekdays": {"monday": 1}}}}, 0, "Settings", "Working hours"),
        ({"name": ""}, 0, "Process", "Name"),
    ],
)
def test_a_finding_names_the_field_that_it_is_about(faulty: dict[str, Any], at: int, title: str, place: str) -> None:
    content = {"format": 1, "name": "Pens", "version": "1.0.0"} | (
        {"process_steps": [{"stage_name": "Manager", "approvers": ["user:max"]}]} | faulty
    )
    with pytest.raises(BlueprintInvalid) as refused:
        parse_definition(content)
    problem = refused.value.problems[at]
    found = Finding(code="shape", severity="error", pointer=problem.pointer, message=problem.message)
    line = line_of(content, found, "/drafts/1", WORDING)
    assert line.title.startswith(title)
    assert line.place.startswith(place)


def test_a_field_that_the_format_does_not_have_is_listed_with_its_part_and_can_be_removed() -> None:
    step = {"stage_name": "Manager", "approvers": ["user:max"], "sla_hour": 24, "a/b": {"c": 1}}
    content = {"format": 1, "name": "Pens", "version": "1.0.0", "hello": 1, "process_steps": [step]}
    shown = view(content, "stage:Manager")
    assert [(one.place, one.value) for one in shown.unknown] == [("sla_hour", "24"), ("a/b", '{"c":1}')]
    assert [one.place for one in view(content, "process").unknown] == ["hello"]
    for one in (*shown.unknown, *view(content, "process").unknown):
        edits.drop(content, one.pointer)
    assert content == {
        "format": 1,
        "name": "Pens",
        "version": "1.0.0",
        "process_steps": [{"stage_name": "Manager", "approvers": ["user:max"]}],
    }
    assert (view(content, "process").unknown, view(content, "process").empty) == ((), False)


def test_the_separation_of_duties_is_shown_where_it_is_said_and_stages_show_what_holds_for_them() -> None:
    content = content_of(ROOT / "blueprints/purchase-order.json")
    shown = {at: [*flat(view(content, at).sections[0].fields)] for at in ("process", "settings")}
    assert [one.name for one in shown["process"] if "separation_of_duties" in one.name] == []
    assert [one.value for one in shown["settings"] if one.name.endswith(".repeat")] == ["carry"]
    stage = view(content, "node:manager").sections[1]
    (repeat,) = (one for one in flat(stage.fields) if one.name.endswith(".repeat"))
    assert (repeat.value, repeat.help) == ("", "If nothing is said: their first decision counts for both")
    content["separation_of_duties"] = {"repeat": "forbid"}  # said twice, which is mended in either place
    for at in ("process", "settings"):
        assert [one.name for one in flat(view(content, at).sections[0].fields) if one.name.endswith(".repeat")]
    del content["settings"]["separation_of_duties"]
    assert not [one for one in flat(view(content, "settings").sections[0].fields) if one.name.endswith(".repeat")]

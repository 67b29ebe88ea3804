"""What a form of the editor asks for: the fields as they were entered, and one act besides."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch

from placet.definition.model import parse_or_none
from placet.errors import InputInvalid
from placet.plan.compiler import chain
from web.editor import edits, parts
from web.editor.page import read_parts
from web.editor.parts import Content
from web.editor.sketch import sketch_of
from web.forms.reading import Entries, whole
from web.graph.drawing import places_of
from web.languages import Wording

_PATCH_ERRORS = (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException)
_FARTHEST = 20_000.0  # points that a node may be moved by at once


def changed(content: Content, entries: Entries, wording: Wording) -> tuple[dict[str, Any], str]:
    """Return the content after what a form asks for, and the part that is chosen then.

    `content` is what the form was made from. Raises InputInvalid for what cannot be done.
    """
    at, op = entries.text("at"), entries.text("op") or "save"
    after = edits.copied(content)
    pointers = [
        (number, entries.text(name))
        for name in entries.values
        if name.startswith("part.") and (number := whole(name[5:])) is not None
    ]
    if pointers:
        read_parts(after, pointers, at, entries, wording)
        edits.rename(after, content)
        at = _renamed(content, after, at)
    at = _act(after, at, op, entries, wording)
    return after, at


def undone(content: Content, patch: str, wording: Wording) -> dict[str, Any]:
    """Return the content with a JSON Patch applied that takes a change back; raises InputInvalid."""
    try:
        operations = json.loads(patch)
        found = jsonpatch.apply_patch(dict(content), operations)
    except (ValueError, TypeError, KeyError, RecursionError, *_PATCH_ERRORS) as error:
        raise InputInvalid(wording.say("This change cannot be undone any more.")) from error
    if not isinstance(found, dict):
        raise InputInvalid(wording.say("This change cannot be undone any more."))
    return found


def patch_between(before: Content, after: Content) -> list[dict[str, Any]]:
    """Return the JSON Patch that makes one content out of the other."""
    found: list[dict[str, Any]] = jsonpatch.make_patch(before, after).patch
    return found


def _act(content: dict[str, Any], at: str, op: str, entries: Entries, wording: Wording) -> str:
    name, _, what = op.partition(":")
    table = edits.table_of(content, at)
    if name in edits.TABLE and table is not None:
        edits.TABLE[name](table, whole(what) or 0)
        return at
    node = at.removeprefix("node:") if at.startswith("node:") else None
    match name:
        case "add-node":
            return f"node:{edits.add_node(content, entries.text('kind'), node, wording.say('Stage'))}"
        case "add-edge" if node is not None:
            edits.add_edge(content, node, entries.text("target"))
        case "add-variable":
            return f"variable:{edits.add_variable(content, 'variable')}"
        case "add-stage":
            return f"stage:{edits.add_stage(content, wording.say('Stage'))}"
        case "remove":
            edits.remove(content, at)
            return "process"
        case "up" | "down":
            edits.move(content, what, -1 if name == "up" else 1)
        case "drop":
            edits.drop(content, what)
        case "make-table":
            edits.make_table(content, at)
        case "make-graph":
            _draw(content, wording)
        case "place":
            _place(content, entries, wording)
    return at


def _draw(content: dict[str, Any], wording: Wording) -> None:
    definition = parse_or_none(content)
    if definition is None:
        raise InputInvalid(wording.say("Mend what is wrong with the stages first, then draw the process as a graph."))
    content["graph_spec"] = chain(definition).model_dump(mode="json", by_alias=True, exclude_unset=True)


def _place(content: dict[str, Any], entries: Entries, wording: Wording) -> None:
    """Move one node; where the places of the others were not the author's yet, they are from now on."""
    graph = sketch_of(content, wording.say, str)
    places = dict(places_of(graph))
    name = entries.text("node")
    if name not in places:
        return
    try:
        by = [min(_FARTHEST, max(-_FARTHEST, float(entries.text(key)))) for key in ("dx", "dy")]
    except ValueError:
        return
    (x, y), step = places[name], 0
    while step < _STEPS:
        step += 1
        moved = {**places, name: (x + by[0] * step, y + by[1] * step)}
        after = edits.copied(content)
        edits.place(after, moved)
        shown = places_of(sketch_of(after, wording.say, str))
        if _same(shown, moved):  # else it would cover another one, and all would be placed anew
            edits.place(content, moved)
            return


_STEPS = 12  # of a move, until there is room


def _same(one: Any, other: Any) -> bool:
    """Whether two drawings have all nodes at the same distances from each other."""
    names = list(one)
    (x, y), (a, b) = one[names[0]], other[names[0]]
    return all(abs(one[n][0] - x - other[n][0] + a) < 1.5 and abs(one[n][1] - y - other[n][1] + b) < 1.5 for n in names)


def _renamed(before: Content, after: Content, at: str) -> str:
    """Return how the chosen part is called after its form was read."""
    kind, _, _name = at.partition(":")
    key = {"node": "id", "variable": "name", "stage": "stage_name"}.get(kind)
    read = {"node": parts.nodes, "variable": parts.variables, "stage": parts.steps}.get(kind)
    if key is None or read is None:
        return at
    number = next((n for n, one in read(before) if one.get(key) == _name), None)
    return next((f"{kind}:{one[key]}" for n, one in read(after) if n == number and one.get(key)), at)

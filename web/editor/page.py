"""What the page of a draft shows: its outline, its drawing, and the forms of the part that is chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from placet.definition.model import definition_schema, unknown_fields
from placet.json_pointer import value_at
from placet.nodes.registry import NODE_TYPES
from web.editor import parts
from web.editor.labels import label_of, place_of
from web.editor.parts import Content, Part
from web.editor.schema_fields import Former
from web.editor.sketch import sketch_of
from web.forms.fields import Field, entered
from web.forms.reading import Entries
from web.graph.drawing import draw
from web.graph.page import KINDS
from web.graph.process_graph import ProcessGraph
from web.languages import Wording
from web.views import words
from web.views.words import Named

_NUMBERS = {"decimal", "integer"}
_LONGEST_SHOWN = 200  # characters of a value that no form shows
_MOST_LISTED = 200  # actions or processes that are listed to choose from; of more, the name is typed


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a draft may name that stands outside of it: actions, processes, and what people are called."""

    actions: tuple[str, ...]
    processes: tuple[str, ...]
    named: Named


@dataclass(frozen=True, kw_only=True)
class OutlineEntry:
    """One part of a draft in the list beside the drawing; `at` names it."""

    at: str
    title: str
    kind: str
    address: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Section:
    """The form of one part. `moves` and `goes`: it is one of a list, in which it can be moved, or removed from it."""

    pointer: str
    title: str
    fields: tuple[Field, ...]
    moves: bool = False


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A rule of a decision table: the texts of its tests, one for each input, and where it leads."""

    cells: tuple[str, ...]
    to: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A decision table as it is edited."""

    inputs: tuple[str, ...]
    rows: tuple[TableRow, ...]
    default: str
    hit_policy: str


@dataclass(frozen=True, kw_only=True)
class UnknownField:
    """A field of the chosen part that the format does not have, so that no form shows it."""

    pointer: str
    place: str
    value: str


@dataclass(frozen=True, kw_only=True)
class EditorView:
    """A draft with one part of it chosen."""

    at: str
    title: str
    outline: tuple[tuple[str, tuple[OutlineEntry, ...]], ...]
    drawing: Markup | None
    empty: bool  # whether there is nothing to draw; what cannot be drawn for its faults is not empty
    sections: tuple[Section, ...]
    unknown: tuple[UnknownField, ...]
    node: str | None  # the chosen node
    node_kind: str | None
    leads: bool  # whether edges may leave it
    table: Table | None
    can_have_table: bool
    removable: bool
    is_graph: bool
    nodes: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...]
    variables: str


def view_of(content: Content, at: str, base: str, around: Surroundings, wording: Wording) -> EditorView:
    """Return what the page shows; `base` is its address."""
    say = wording.say
    graph = sketch_of(content, say, around.named)
    chosen = parts.node_at(content, at)
    found = parts.parts_of(content, at)
    if found[0].shape == "":
        at = "process"
    name = None if chosen is None else str(chosen[1].get("id"))
    links = {node.id: address(base, f"node:{node.id}") for node in graph.nodes}
    drawing, order = None, [node.id for node in graph.nodes]
    if graph.nodes:
        title = say("The process {name}").format(name=content.get("name") or "…")
        drawn = draw(graph, None, name=title, links=links if parts.graph(content) else None, chosen=name)
        drawing, order = Markup(drawn.svg), list(drawn.order)  # noqa: S704 - web.graph.drawing escapes every text
    kind = None if chosen is None else str(chosen[1].get("type"))
    node_type = NODE_TYPES.get(kind or "")
    table = None if chosen is None else _table(chosen[1])
    outline = _outline(content, graph, order, at, base, wording)
    return EditorView(
        at=at,
        title=next((one.title for _, group in outline for one in group if one.chosen), ""),
        outline=outline,
        drawing=drawing,
        empty=not parts.steps(content) and not parts.nodes(content),
        unknown=tuple(_unknown(content, at, wording)),
        sections=tuple(_section(content, number, part, around, wording) for number, part in enumerate(found)),
        node=name,
        node_kind=kind,
        leads=node_type is not None and not node_type.ends and table is None,
        table=table,
        can_have_table=node_type is not None and node_type.has_conditions and table is None,
        removable=at.partition(":")[0] in {"node", "variable", "stage"},
        is_graph=bool(parts.graph(content)),
        nodes=tuple((node.id, _named(node.title, node.id)) for node in graph.nodes),
        kinds=tuple((one, say(KINDS[one])) for one in NODE_TYPES if one in KINDS),
        variables=", ".join(
            f"{one.get('name')} ({label_of('=' + str(one.get('type')), say)})" for _, one in parts.variables(content)
        ),
    )


def read_parts(
    content: dict[str, Any], pointers: Sequence[tuple[int, str]], at: str, entries: Entries, wording: Wording
) -> None:
    """Put what a form holds into the content that the form was made from, at the pointers of its parts."""
    known = {part.pointer: part for part in parts.parts_of(content, at)}
    nobody = Surroundings(actions=(), processes=(), named=str)
    for number, pointer in pointers:
        part = known.get(pointer)
        if part is None:
            continue
        former = _former(content, part, nobody, wording)
        before = value_at(content, pointer) if pointer else content
        value = former.read(_schema(part), entries, f"p{number}", before)
        if part.shape.endswith("Node") and not value.get("id"):
            value["id"] = before["id"]
        _put(content, pointer, value)
    table = parts.node_at(content, at)
    if entries.text("table") and table is not None and isinstance(table[1].get("table"), dict):
        _read_table(table[1]["table"], entries)


def address(base: str, at: str) -> str:
    """Return the address of the page with a part chosen."""
    return f"{base}?{urlencode({'at': at}, quote_via=quote)}#edit"


def _named(title: str, ident: str) -> str:
    return title if title == ident else f"{title} ({ident})"


def _schema(part: Part) -> Mapping[str, Any]:
    schema = definition_schema()
    found: Mapping[str, Any] = schema["$defs"][part.shape] if part.shape else schema
    return found


def _former(content: Content, part: Part, around: Surroundings, wording: Wording) -> Former:
    say = wording.say
    variables = [str(one.get("name")) for _, one in parts.variables(content)]
    choices: dict[str, Sequence[tuple[str, str]]] = {}
    if part.shape == "EdgeDefinition":
        choices["to"] = [
            (str(one.get("id")), _named(str(one.get("name") or one.get("step") or one.get("id")), str(one.get("id"))))
            for _, one in parts.nodes(content)
        ]
        source = next(
            (one for _, one in parts.nodes(content) if one.get("id") == value_at(content, f"{part.pointer}/from")), {}
        )
        results = _results(str(source.get("type")))
        if results:
            choices["on"] = [(one, words.result(say, one)) for one in results]
    elif part.shape == "ApprovalNode":
        choices["step"] = [(str(one.get("stage_name")),) * 2 for _, one in parts.steps(content)]
    elif part.shape == "ActionNode" and 0 < len(around.actions) <= _MOST_LISTED:
        choices["action"] = [(one, one) for one in around.actions]
    elif part.shape == "SubprocessNode" and 0 < len(around.processes) <= _MOST_LISTED:
        choices["template"] = [(one, one) for one in around.processes]
    elif part.shape == "ProcessSettings":
        choices["amount"] = [
            (str(one.get("name")),) * 2 for _, one in parts.variables(content) if one.get("type") in _NUMBERS
        ]
        choices["immaterial[]"] = choices["summary[]"] = [(one, one) for one in variables]
    of_all = part.shape == "Step" and not (value_at(content, part.pointer) or {}).get(parts.DUTIES)
    return Former(
        defs=definition_schema()["$defs"],
        wording=wording,
        options=choices.get,
        hidden=part.hidden,
        in_force=parts.duties(content) if of_all else {},
    )


def _results(kind: str) -> list[str]:
    node_type = NODE_TYPES.get(kind)
    if node_type is None or not node_type.has_results:
        return []
    known = node_type.plain | node_type.faults | node_type.in_vain
    return sorted(known | (set() if node_type.waits_outside else {"approved", "rejected", "expired"}))


def _section(content: Content, number: int, part: Part, around: Surroundings, wording: Wording) -> Section:
    value = value_at(content, part.pointer) if part.pointer else content
    say = wording.say
    shape = part.shape
    if shape == "EdgeDefinition":
        title = say("Leads to {target}").format(target=(value or {}).get("to", "…"))
    elif shape == "Step":
        title = say("Stage {name}").format(name=(value or {}).get("stage_name", "…"))
    elif shape == "ProcessSettings":
        title = say("Settings")
    elif shape == "Variable":
        title = say("Variable")
    else:
        title = say(KINDS[str(value["type"])]) if shape and value else say("Process")
    fields = _former(content, part, around, wording).fields(_schema(part), value, f"p{number}", part.pointer)
    return Section(pointer=part.pointer, title=title, fields=fields, moves=shape == "EdgeDefinition")


def _unknown(content: Content, at: str, wording: Wording) -> Iterator[UnknownField]:
    for pointer in unknown_fields(content):
        if parts.part_of_pointer(content, pointer) == at:
            value = value_at(content, pointer)
            text = as_text(value) if isinstance(value, dict | list) else entered(value)
            place = place_of(parts.place_within(content, pointer), wording.say)
            yield UnknownField(pointer=pointer, place=place, value=text[:_LONGEST_SHOWN])


def _outline(  # noqa: PLR0917 - what an outline is made of
    content: Content, graph: ProcessGraph, order: Sequence[str], at: str, base: str, wording: Wording
) -> tuple[tuple[str, tuple[OutlineEntry, ...]], ...]:
    say = wording.say

    def entry(name: str, title: str, kind: str) -> OutlineEntry:
        return OutlineEntry(at=name, title=title, kind=kind, address=address(base, name), chosen=name == at)

    whole = (entry("process", str(content.get("name") or say("Process")), ""), entry("settings", say("Settings"), ""))
    variables = tuple(
        entry(
            f"variable:{one.get('name')}",
            str(one.get("title") or one.get("name")),
            label_of(f"={one.get('type')}", say),
        )
        for _, one in parts.variables(content)
    )
    drawn = parts.graph(content)
    asked = {str(one.get("step")) for _, one in parts.nodes(content)}
    nodes = tuple(
        entry(f"node:{name}", graph.node[name].title, say(KINDS[graph.node[name].kind])) for name in order if drawn
    )
    stages = tuple(
        entry(f"stage:{one.get('stage_name')}", str(one.get("stage_name")), say("Stage"))
        for _, one in parts.steps(content)
        if str(one.get("stage_name")) not in asked
    )
    groups = ((say("Process"), whole), (say("Variables"), variables), (say("Steps"), nodes), (say("Stages"), stages))
    return tuple((title, group) for title, group in groups if group)


def _table(node: Mapping[str, Any]) -> Table | None:
    table = node.get("table")
    if not isinstance(table, Mapping):
        return None
    inputs = [str(one) for one in table.get("inputs") or ()]
    return Table(
        inputs=tuple(inputs),
        rows=tuple(
            TableRow(
                cells=tuple(_cell(one) for one in [*(rule.get("when") or ()), *[None] * len(inputs)][: len(inputs)]),
                to=str(rule.get("to") or ""),
            )
            for _, rule in parts.objects(table.get("rules"))
        ),
        default=str(table.get("default") or ""),
        hit_policy=str(table.get("hit_policy") or "first"),
    )


def _cell(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)


def _read_table(table: dict[str, Any], entries: Entries) -> None:
    table["inputs"] = [entries.text(f"t.input.{n}") or "true" for n in range(len(table.get("inputs", [])))]
    for number, rule in enumerate(table.get("rules", [])):
        if not isinstance(rule, dict):
            continue
        cells = [entries.text(f"t.rule.{number}.{n}").splitlines() for n in range(len(table["inputs"]))]
        rule["when"] = [None if not cell else cell[0] if len(cell) == 1 else cell for cell in cells]
        rule["to"] = entries.text(f"t.rule.{number}.to") or rule.get("to", "")
    for key in ("default", "hit_policy"):
        if text := entries.text(f"t.{key}"):
            table[key] = text
        else:
            table.pop(key, None)


def _put(content: dict[str, Any], pointer: str, value: Any) -> None:
    if not pointer:
        content.clear()
        content.update(value)
        return
    *path, last = pointer.split("/")[1:]
    there: Any = content
    for key in path:
        there = there[int(key)] if isinstance(there, list) else there.setdefault(key, {})
    if isinstance(there, list):
        there[int(last)] = value
    elif value:
        there[last] = value
    else:
        there.pop(last, None)


as_text = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))

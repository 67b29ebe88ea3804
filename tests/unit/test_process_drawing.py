"""The drawing of a process: nothing lies on anything else, and what it says of a request is what the core says."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placet.definition.model import parse_definition
from placet.directory import Directory
from placet.engine.state import State
from tests import gallery
from tests.unit.core import Case, office, plan_of
from tests.unit.test_machine_properties import CHILD, blueprints, drawings, organisations
from tests.unit.test_revisions_properties import formless, play
from web.graph.drawing import draw
from web.graph.layout import GAP, Box, Layout, arrange, crossings
from web.graph.process_graph import ProcessGraph, graph_of
from web.graph.progress import progress_of
from web.graph.text_width import Font, shortened, text_width, wrapped

NAME = Font(size=13, bold=True)
SIZES = st.sampled_from([(190.0, 60.0), (110.0, 36.0), (130.0, 40.0)])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[tuple[str, str]]]:
    """Draw any graph, with loops, links to oneself and several alike."""
    names = [f"n{n}" for n in range(draw(st.integers(1, 14)))]
    boxes = [Box(id=name, width=(size := draw(SIZES))[0], height=size[1]) for name in names]
    ends = st.tuples(st.sampled_from(names), st.sampled_from(names))
    return boxes, draw(st.lists(ends, max_size=30))


def read(raw: dict[str, Any]) -> ProcessGraph:
    return graph_of(parse_definition(raw), str, str)


def overlap(boxes: list[Box], layout: Layout) -> list[tuple[str, str]]:
    found = []
    for one, two in combinations(boxes, 2):
        (x, y), (other_x, other_y) = layout.places[one.id], layout.places[two.id]
        if (
            x < other_x + two.width
            and other_x < x + one.width
            and y < other_y + two.height
            and other_y < y + one.height
        ):
            found.append((one.id, two.id))
    return found


@given(graphs())
def test_no_box_lies_on_another_and_all_lie_in_the_drawing(graph: tuple[list[Box], list[tuple[str, str]]]) -> None:
    boxes, links = graph
    layout = arrange(boxes, links)
    assert overlap(boxes, layout) == []
    for box in boxes:
        x, y = layout.places[box.id]
        assert x >= 0
        assert y >= 0
        assert x + box.width <= layout.width
        assert y + box.height <= layout.height


@given(graphs())
def test_a_link_begins_and_ends_at_the_borders_of_its_boxes(graph: tuple[list[Box], list[tuple[str, str]]]) -> None:
    boxes, links = graph
    size = {box.id: box for box in boxes}
    layout = arrange(boxes, links)
    for (source, target), route in zip(links, layout.routes, strict=True):
        for name, (at_x, at_y) in ((source, route[0]), (target, route[-1])):
            x, y = layout.places[name]
            assert x - 0.1 <= at_x <= x + size[name].width + 0.1
            assert y - 0.1 <= at_y <= y + size[name].height + 0.1


@given(graphs())
def test_the_same_graph_is_always_drawn_alike(graph: tuple[list[Box], list[tuple[str, str]]]) -> None:
    assert arrange(*graph) == arrange(*graph)


def test_what_leads_on_stands_below() -> None:
    boxes = [Box(id=name, width=100, height=40) for name in "abcd"]
    layout = arrange(boxes, [("a", "b"), ("b", "c"), ("a", "c"), ("c", "a"), ("c", "d")])
    tops = [layout.places[name][1] for name in "abcd"]
    assert all(upper < lower for upper, lower in pairwise(tops))
    assert layout.rows == (("a",), ("b",), ("c",), ("d",))


def test_links_cross_only_where_they_have_to() -> None:
    boxes = [Box(id=name, width=100, height=40) for name in ("top", "a", "b", "c", "x", "y", "z")]
    links = [("top", "a"), ("top", "b"), ("top", "c"), ("a", "z"), ("b", "y"), ("c", "x")]
    assert crossings(arrange(boxes, links)) == 0
    both = [("top", "a"), ("top", "b"), ("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert crossings(arrange(boxes, both)) == 1


def test_the_authors_places_are_kept_unless_boxes_would_cover_each_other() -> None:
    apart = [Box(id="a", width=100, height=40, x=10, y=10), Box(id="b", width=100, height=40, x=300, y=500)]
    layout = arrange(apart, [("a", "b")])
    assert not layout.automatic
    (x, y), (other_x, other_y) = layout.places["a"], layout.places["b"]
    assert (other_x - x, other_y - y) == (290, 490)
    covering = [apart[0], Box(id="b", width=100, height=40, x=60, y=20)]
    assert arrange(covering, [("a", "b")]).automatic


def test_neighbours_keep_their_distance() -> None:
    boxes = [Box(id=name, width=100, height=40) for name in ("a", *"bcdefg")]
    layout = arrange(boxes, [("a", name) for name in "bcdefg"])
    places = sorted(layout.places[name][0] for name in "bcdefg")
    assert all(right - left >= 100 + GAP - 0.01 for left, right in pairwise(places))


@pytest.mark.parametrize("file", gallery.FILES, ids=lambda file: file.stem)
def test_every_process_of_the_gallery_is_drawn_with_all_its_nodes_and_edges(file: Any) -> None:
    graph = read(gallery.raw(file.stem))
    drawn = draw(graph, None, name="A process")
    drawing = ET.fromstring(drawn.svg)
    space = "{http://www.w3.org/2000/svg}"
    nodes = [g.get("data-node") for g in drawing.iter(f"{space}g")]
    assert sorted(str(name) for name in nodes) == sorted(graph.node)
    assert len([p for p in drawing.iter(f"{space}path") if "edge" in (p.get("class") or "")]) == len(graph.edges)
    assert sorted(drawn.order) == sorted(graph.node)


def test_what_a_blueprint_says_is_written_as_text() -> None:
    name = '<script>alert("x")</script>&'
    raw = {
        "name": "P",
        "version": "1.0.0",
        "process_steps": [{"stage_name": name, "approvers": ["user:max"]}],
    }
    drawn = draw(read(raw), None, name=name).svg
    assert "<script>" not in drawn
    assert ET.fromstring(drawn).get("aria-label") == name


def going_on(state: State) -> set[str]:
    """Return where the core says that a request is."""
    places = (state.stages, state.waits, state.actions, state.children, state.joins)
    return {one.node for some in places for one in some}


@settings(max_examples=200)
@given(
    data=st.data(),
    raw=st.one_of(blueprints(), drawings()),
    org=st.one_of(st.just(office()), organisations()),
    amount=st.sampled_from(["1", "500", "9000"]),
    rule=st.sampled_from(["restart", "stage"]),
)
def test_a_request_goes_on_where_the_drawing_says(
    data: st.DataObject, raw: dict[str, Any], org: Directory, amount: str, rule: str
) -> None:
    raw = formless(raw, on_change=rule)
    case = Case(plan=plan_of(raw, {"Child": CHILD}), org=org, input={"amount": amount})
    play(case, data.draw, [])
    graph = read(raw)
    progress = progress_of(graph, case.entries)
    drawn = {name for name in graph.node if progress.standing(name) == "now"}
    assert drawn == going_on(case.state)
    led_to = {graph.edges[number].target for number in progress.taken}
    assert {name for name in progress.visits if graph.node[name].kind != "trigger"} == led_to
    if case.state.status == "completed":
        ends = {n.id for n in graph.nodes if n.kind == "terminator" and progress.standing(n.id) == "done"}
        outcomes = {node.id for node in case.plan.nodes.values() if node.outcome == case.state.outcome}
        assert not ends or ends & outcomes


def test_links_to_one_end_share_a_line_however_many_they_are() -> None:
    boxes = [Box(id=f"n{n}", width=190, height=60) for n in range(60)] + [Box(id="no", width=130, height=40)]
    links = [*((f"n{n}", f"n{n + 1}") for n in range(59)), *((f"n{n}", "no") for n in range(60))]
    layout = arrange(boxes, links)
    passed = {y: set[float]() for route in layout.routes for _, y in route}
    for route in layout.routes[59:]:
        for x, y in route[2:-1]:
            passed[y].add(x)
    assert max(map(len, passed.values())) == 1


@given(st.text(max_size=70))
def test_lines_of_a_box_fit_it_whatever_they_say(text: str) -> None:
    lines = wrapped(text, NAME, 176, 2)
    assert 1 <= len(lines) <= 2
    assert all(text_width(line, NAME) <= 176 for line in lines)
    assert text_width(shortened(text, NAME, 60), NAME) <= 60

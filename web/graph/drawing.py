"""The drawing of a process as SVG: no script and nothing loaded; what a state looks like is said by classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from web.graph.layout import ROW_GAP, Box, Layout, Place, arrange
from web.graph.process_graph import ProcessEdge, ProcessGraph, ProcessNode
from web.graph.progress import Progress
from web.graph.text_width import Font, shortened, text_width, wrapped

_WIDTH, _HEIGHT = 190.0, 60.0
_SMALL = {"trigger": (110.0, 36.0), "terminator": (130.0, 40.0), "fork": (130.0, 32.0), "join": (130.0, 32.0)}
_MARK = 16.0  # the room for a line with a moment
_FINE = Font(size=11.5)
_FONTS = {"name": Font(size=13, bold=True), "note": _FINE, "mark": _FINE, "label": _FINE}  # as in the style sheets
_PADDING = {"decision": 24.0, "subprocess": 14.0}  # on each side of a line in a box; what is cut stands in the title
_USUAL_PADDING = 7.0
_LABEL = 210.0  # the room for an edge's label
_TINY = 1.0  # what two lengths may differ by and count as one
_NAMESPACE = "http://www.w3.org/2000/svg"
_STYLE = Path(__file__).with_name("export.css")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The SVG of a process, and its nodes in the order in which that shows them, from top to bottom."""

    svg: str
    order: tuple[str, ...]


def draw(
    graph: ProcessGraph,
    progress: Progress | None,
    *,
    name: str,
    marks: Mapping[str, str] | None = None,
    ahead: Mapping[str, str] | None = None,
    standalone: bool = False,
    links: Mapping[str, str] | None = None,
    chosen: str | None = None,
) -> Drawing:
    """Draw a process; `name` is read out for it, `marks` are short texts in nodes, such as when they were passed, and
    `ahead` classes of nodes that were not reached.

    A `standalone` drawing carries its style along, for a file. Nodes with `links` lead there when they are clicked on;
    the `chosen` one is marked.
    """
    boxes = [_box(node, marked=progress is not None) for node in graph.nodes]
    layout = _layout(graph, boxes)
    size = {box.id: box for box in boxes}
    width, height = round(layout.width), round(layout.height)
    role = "group" if links else "img"  # what is read out as one picture can hold no links
    size_of_all = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg xmlns="{_NAMESPACE}" class="process" role="{role}" aria-label="{escape(name)}" {size_of_all}>']
    if standalone:
        parts.append(f"<style>{_STYLE.read_text()}</style>")
    taken = progress.taken if progress is not None else set()
    parts.append(_arrows())
    order = sorted(range(len(graph.edges)), key=lambda n: n in taken)  # those that were taken lie on top
    parts += [_edge(graph.edges[n], layout.routes[n], taken=n in taken) for n in order]
    lower = _lower(graph, layout)
    parts += [_label(graph.edges[n], layout, n, lower=n in lower) for n in order if graph.edges[n].label]
    for node in graph.nodes:
        standing = _standing(node, progress, ahead or {})
        drawn = _node(node, layout.places[node.id], size[node.id], standing, (marks or {}).get(node.id))
        parts.append(_link(node, drawn, links[node.id], chosen=chosen) if links and node.id in links else drawn)
    return Drawing(svg="".join([*parts, "</svg>"]), order=tuple(name for row in layout.rows for name in row))


def places_of(graph: ProcessGraph) -> Mapping[str, Place]:
    """Return where a process without progress has its nodes: the corner of each that is left and above."""
    return _layout(graph, [_box(node, marked=False) for node in graph.nodes]).places


def _layout(graph: ProcessGraph, boxes: Sequence[Box]) -> Layout:
    return arrange(boxes, [(edge.source, edge.target) for edge in graph.edges])


def _link(node: ProcessNode, drawn: str, address: str, *, chosen: str | None) -> str:
    current = ' aria-current="true"' if node.id == chosen else ""
    name = escape(", ".join(text for text in (node.title, node.note) if text))
    return f'<a href="{escape(address)}" aria-label="{name}" data-choose="{escape(node.id)}"{current}>{drawn}</a>'


def _box(node: ProcessNode, *, marked: bool) -> Box:
    width, height = _SMALL.get(node.kind, (_WIDTH, _HEIGHT))
    height += _MARK if marked else 0  # all alike, so that nothing moves while a request goes on
    if node.kind in _SMALL:
        needed = text_width(node.title, _FONTS["name"]) + 2 * _USUAL_PADDING
        width = max(width, 140.0 if marked else 0.0, min(_WIDTH, needed))
    return Box(id=node.id, width=width, height=height, x=node.x, y=node.y)


def _arrows() -> str:
    size = 'viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="11" markerHeight="11" markerUnits="userSpaceOnUse"'
    heads = [
        f'<marker id="arrow-{name}" {size} orient="auto"><path class="head {name}" d="M0 0L8 4L0 8z"/></marker>'
        for name in ("plain", "taken")
    ]
    return f"<defs>{''.join(heads)}</defs>"


def _edge(edge: ProcessEdge, route: Sequence[Place], *, taken: bool) -> str:
    kind = "taken" if taken else "plain"
    title = escape(edge.label) if edge.label else ""
    inner = f"<title>{title}</title>" if title else ""
    return f'<path class="edge {kind}" d="{_path(route)}" marker-end="url(#arrow-{kind})">{inner}</path>'


def _path(route: Sequence[Place]) -> str:
    """Write a route as a path: straight where it is straight, else curves that begin and end upright."""
    (x, y), *rest = route
    written = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        if abs(to_x - x) < _TINY or abs(to_y - y) < ROW_GAP / 2:
            written.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            bend = (to_y - y) / 2
            written.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(written)


def _lower(graph: ProcessGraph, layout: Layout) -> set[int]:
    """Return every second of the edges that leave one node, whose labels stand lower than their neighbours'."""
    found: set[int] = set()
    for numbers in graph.leaving.values():
        found.update(sorted(numbers, key=lambda n: layout.routes[n][0][0])[1::2])
    return found


def _label(edge: ProcessEdge, layout: Layout, number: int, *, lower: bool) -> str:
    (x, y), (to_x, to_y) = layout.routes[number][:2]
    text = shortened(edge.label, _FONTS["label"], min(_LABEL, layout.width))
    share = 0.62 if lower else 0.3
    bent = share * share * (3 - 2 * share)  # as far across as the curve is at that height
    half = text_width(text, _FONTS["label"]) / 2
    at_x = max(half, min(layout.width - half, x + (to_x - x) * bent))  # whole within the drawing
    at_y = y + (to_y - y) * share
    return (
        f'<text class="label" x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="middle">{escape(text)}'
        f"<title>{escape(edge.label)}</title></text>"
    )


def _standing(node: ProcessNode, progress: Progress | None, ahead: Mapping[str, str]) -> str:
    """Return the classes that say how things stand at a node."""
    if progress is None:
        return ""
    standing = progress.standing(node.id)
    return f" {standing} {ahead[node.id]}" if standing == "ahead" and node.id in ahead else f" {standing}"


def _node(node: ProcessNode, place: Place, box: Box, standing: str, mark: str | None) -> str:
    x, y = place
    lines = _lines(node, box, mark)
    middle = x + box.width / 2
    whole = escape(", ".join(text for text in (node.title, node.note, mark) if text))
    first = y + box.height / 2 + 4.5 - (len(lines) - 1) * 8.5
    texts = [_text(kind, middle, first + n * 17, line) for n, (kind, line) in enumerate(lines)]
    inner = f"<title>{whole}</title>{_outline(node, x, y, box)}{''.join(texts)}"
    return f'<g class="node {escape(node.kind)}{standing}" data-node="{escape(node.id)}">{inner}</g>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>'


def _outline(node: ProcessNode, x: float, y: float, box: Box) -> str:
    width, height = box.width, box.height
    if node.kind == "decision":
        cut = 18
        points = [
            (x + cut, y),
            (x + width - cut, y),
            (x + width, y + height / 2),
            (x + width - cut, y + height),
            (x + cut, y + height),
            (x, y + height / 2),
        ]
        return f'<polygon class="box" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>'
    round_by = (
        height / 2 if node.kind in {"trigger", "terminator"} else 3 if node.kind in {"action", "subprocess"} else 10
    )
    shape = f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_by:.1f}"/>'
    if node.kind == "subprocess":
        shape += f'<path class="inner" d="M{x + 7:.1f} {y:.1f}v{height:.1f}M{x + width - 7:.1f} {y:.1f}v{height:.1f}"/>'
    return shape


def _lines(node: ProcessNode, box: Box, mark: str | None) -> list[tuple[str, str]]:
    """Return up to four lines that fit the box: the title in up to three, the note in one of them, and the mark."""
    room = box.width - 2 * _PADDING.get(node.kind, _USUAL_PADDING)
    small = node.kind in _SMALL
    lines = [
        ("name", line) for line in wrapped(node.title, _FONTS["name"], room, 1 if small else 2 if node.note else 3)
    ]
    below = (("note", "" if small else node.note), ("mark", mark or ""))
    return [*lines, *((kind, shortened(text, _FONTS[kind], room)) for kind, text in below if text)]

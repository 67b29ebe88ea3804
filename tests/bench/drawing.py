"""How long the drawing of a process takes, by its size: the graph, its layout, the SVG and the outline.

`measure` is a section of `python -m tests.bench`.
"""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from time import process_time

from placet.definition.model import parse_definition
from tests.bench.check import process
from web.graph.drawing import draw
from web.graph.process_graph import graph_of

_TIMES = 9


def drawing(count: int) -> tuple[float, int]:
    """Draw a process of so many nodes; the median seconds of processor time, and the bytes of the SVG."""
    definition = parse_definition(process(count))
    took, size = [], 0
    for _ in range(_TIMES):
        begun = process_time()
        size = len(draw(graph_of(definition, str, str), None, name="Process").svg.encode())
        took.append(process_time() - begun)
    return statistics.median(took), size


def _figures() -> str:
    lines = ["| nodes | drawing | SVG |", "| ---: | ---: | ---: |"]
    for count in (12, 50, 200):
        seconds, size = drawing(count)
        lines.append(f"| {count} | {seconds * 1000:.0f} ms | {size / 1000:.0f} kB |")
    return "\n".join(lines)


async def measure(home: Path) -> str:
    """Measure everything and return the figures as Markdown."""
    return await asyncio.to_thread(_figures)

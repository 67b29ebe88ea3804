"""What stands in the boxes of a drawing, by the geometry of a real browser: on the page, printed, and in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser import AMOUNT, Visitors
from tests.contract import Placet

NAMES = {
    "wide": "W" * 60,
    "words": "Finance committee of the Donaudampfschifffahrtsgesellschaft"[:60],
    "capitals": "GROUP MANAGEMENT MEETING FOR MERGERS AND WORKING MEMORANDUMS",
    "cyrillic": "Комитет по финансам Щ" + "Ж" * 39,
    "ideographs": "財務委員会" * 12,
    "narrow": "illicit filling " * 4,
    "pictures": "🎉" * 30,
    "accents": "E\u0301\u0302A\u0308Ö" * 12,
}
# The texts of each box that lie outside of it by more than half a unit, and the labels outside of the drawing.
OUTSIDE = """() => {
  const svg = document.querySelector("svg.process"), out = [];
  const within = (text, box, what) => {
    if (text.x < box.x - .5 || text.x + text.width > box.x + box.width + .5
        || text.y < box.y - .5 || text.y + text.height > box.y + box.height + .5)
      out.push(`${what}: ${text.x} + ${text.width} in ${box.x} + ${box.width}`);
  };
  for (const node of svg.querySelectorAll(".node"))
    for (const text of node.querySelectorAll("text"))
      within(text.getBBox(), node.querySelector(".box").getBBox(), text.textContent);
  const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  for (const label of svg.querySelectorAll(".label"))
    within(label.getBBox(), { x, y, width, height }, label.textContent);
  return out;
}"""
SHOWN = """id => [...document.querySelectorAll(`[data-node="${id}"] .name`)].map(one => one.textContent)"""


def process(placet: Placet) -> dict[str, Any]:
    steps = [{"stage_name": name[:80], "approvers": ["user:max"], "sla_hours": 8} for name in NAMES.values()]
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "trigger", "name": NAMES["wide"]}]
    edges: list[dict[str, Any]] = []
    last = "start"
    for number, (name, step) in enumerate(zip(NAMES, steps, strict=True)):
        nodes += [
            {"id": name, "type": "approval", "step": step["stage_name"]},
            {"id": f"{name}-way", "type": "decision", "name": step["stage_name"]},
        ]
        edges += [
            {"from": last, "to": name, **({"default": True} if last != "start" else {})},
            {"from": name, "to": f"{name}-way", "on": "approved"},
            {"from": name, "to": "no", "on": "rejected"},
            {"from": f"{name}-way", "to": "yes", "condition": f"amount > {9000 - number} && reason == '{'W' * 40}'"},
        ]
        last = f"{name}-way"
    nodes += [
        {"id": "yes", "type": "terminator", "outcome": "approved", "name": NAMES["wide"]},
        {"id": "no", "type": "terminator", "outcome": "rejected", "name": NAMES["words"]},
    ]
    edges.append({"from": last, "to": "no", "default": True})
    return placet.process(*steps, variables=AMOUNT, graph_spec={"nodes": nodes, "edges": edges})


def checked(page: Page, where: str) -> list[str]:
    return [f"{where}: {one}" for one in page.evaluate(OUTSIDE)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_text_sticks_out_of_its_box_on_the_page_printed_or_in_the_file(
    placet: Placet, visit: Visitors, tmp_path: Path, scheme: Any
) -> None:
    request = placet.start(placet.publish(process(placet)), given={"amount": "120"}, title="Long names")
    max_ = visit("max", color_scheme=scheme)
    page = max_.go(f"/requests/{request['id']}/process")
    found = checked(page, "page")
    max_.picture(f"long names in the drawing {scheme}")
    page.set_viewport_size({"width": 360, "height": 800})
    found += checked(page, "phone")
    page.emulate_media(media="print")
    found += checked(page, "print")
    page.emulate_media(media="screen")
    names = {name: page.evaluate(SHOWN, name) for name in NAMES}
    title = page.locator('[data-node="wide"] > title').text_content()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as SVG").click()
    drawing = tmp_path / "process.svg"
    download.value.save_as(drawing)
    alone = max_.page.context.new_page()
    alone.goto(drawing.as_uri())
    found += checked(alone, "file")
    alone.close()
    assert found == []
    assert NAMES["wide"] in (title or "")  # the whole name is in the title
    assert names["wide"][-1].endswith("…")
    assert names["words"][0] in {"Finance committee", "Finance committee of"}  # broken between words
    assert len(names["narrow"][0]) > len(names["capitals"][1])  # what is narrow takes less room
    marks = page.locator('[data-node="wide"] .mark').all_text_contents()
    assert all("…" not in mark for mark in marks), marks  # a moment is whole

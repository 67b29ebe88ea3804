"""The chart of how well a process fits cases, as SVG: one bar for each way, longest where most cases go it.

What a bar means is written beside it and told by its pattern, so that nobody needs its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from web.charts import HATCHED, begun
from web.graph.text_width import Font, wrapped
from web.languages import Wording

_WIDTH, _ROW, _BAR = 640.0, 36.0, 18.0
_NAMES, _NUMBERS = 260.0, 70.0  # room at the left and at the right
_FONT: Final = Font(size=12)  # as in the style sheet
_LINE = 14.0
_CLASSES: Final = {"rule": "kept", "allowed": "allowed", "deviation": "missed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """So many cases that go one way."""

    label: str
    count: int
    kind: Literal["rule", "allowed", "deviation"]


def bars_of(bars: Sequence[Bar], of: int, wording: Wording, *, name: str) -> str:
    """Return the chart of these bars, which is read out as `name`; `of` is how many cases there are."""
    height = _ROW * len(bars) + 6
    out = [
        begun(_WIDTH, height, name),
    ]
    room = _WIDTH - _NAMES - _NUMBERS
    for number, bar in enumerate(bars):
        y = _ROW * number + 6
        length = room * bar.count / of if of else 0.0
        fill = f" {HATCHED}" if bar.kind == "deviation" else ""
        middle = y + _BAR / 2 + 4
        lines = wrapped(bar.label, _FONT, _NAMES - 12, 2)
        for place, line in enumerate(lines):
            at = middle + _LINE * (place - (len(lines) - 1) / 2)
            out.append(f'<text x="{_NAMES - 10:g}" y="{at:g}" text-anchor="end">{escape(line)}</text>')
        out.append(f'<path class="rule" d="M{_NAMES:g} {y - 4:g}V{y + _BAR + 4:g}"/>')
        if bar.count:
            out.append(
                f'<rect class="{_CLASSES[bar.kind]}"{fill} x="{_NAMES:g}" y="{y:g}" width="{max(length, 2):.1f}" '
                f'height="{_BAR:g}"/>'
            )
        out.append(f'<text x="{_NAMES + length + 8:.1f}" y="{middle:g}">{escape(wording.number(bar.count))}</text>')
    return "".join([*out, "</svg>"])

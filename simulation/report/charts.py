"""Charts as SVG text: no script, nothing loaded, readable in light and dark. Colours are CSS classes of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH = 860
_ROW = 24
_PAIR = 58
_SHORT, _WHOLE = 40, 120  # characters of a name beside its bar, and above it
_LABEL = 290  # of a row's name
_PLOT = WIDTH - _LABEL - 60
_BINS = 24
_MINUTE = 60_000


def bars(rows: Sequence[tuple[str, float]], *, unit: str = "") -> str:
    """Draw one bar for each (name, value)."""
    if not rows:
        return "<p>No data.</p>"
    most = max(value for _, value in rows) or 1
    lines = [_bar(n, name, value / most, _number(value) + unit) for n, (name, value) in enumerate(rows)]
    return _svg(len(rows) * _ROW + 6, lines, "bar chart")


def paired(rows: Sequence[tuple[str, float, float]], names: tuple[str, str]) -> str:
    """Draw two bars for each (name, before, after)."""
    if not rows:
        return "<p>No data.</p>"
    most = max(max(one, other) for _, one, other in rows) or 1
    lines = []
    for n, (name, one, other) in enumerate(rows):
        top = n * _PAIR
        lines += [_text(0, top + 15, name, most=_WHOLE)]
        for offset, kind, value in ((20, "before", one), (34, "after", other)):
            lines += [
                _rect(f"bar {kind}", 0, top + offset, value / most * (WIDTH - 60), 12),
                _text(6 + value / most * (WIDTH - 60), top + offset + 10, _number(value), small=True),
            ]
    legend = f'<p class="legend"><i class="before"></i>{escape(names[0])} <i class="after"></i>{escape(names[1])}</p>'
    return legend + _svg(len(rows) * _PAIR, lines, "bar chart of two")


def histogram(values: Sequence[float], *, marks: Sequence[tuple[str, float]] = (), kind: str = "") -> str:
    """Draw the distribution of durations, in milliseconds; `marks` are named values on the axis."""
    if not values:
        return "<p>No data.</p>"
    low, high = min(values), max(values)
    if high <= low:
        return f"<p>All of them take {duration_text(low)} ({len(values)}).</p>"
    width = (high - low) / _BINS
    counts = Counter(min(int((v - low) / width), _BINS - 1) for v in values)
    most = max(counts.values())
    left, plot, height, top = 40, WIDTH - 80, 150, 26
    step = plot / _BINS
    lines = [
        _rect(f"bar {kind}", left + n * step + 1, top + height - count / most * height, step - 2, count / most * height)
        for n, count in sorted(counts.items())
    ]
    lines.append(_text(left - 8, top + 10, str(most), anchor="end", small=True))
    lines.append(f'<path class="axis" d="M{left} {top + height}h{plot}"/>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        tick = duration_text(low + share * (high - low))
        lines += [_text(left + share * plot, top + height + 16, tick, anchor="middle", small=True)]
    for name, value in marks:
        if low <= value <= high:
            x = left + (value - low) / (high - low) * plot
            lines.append(f'<path class="mark" d="M{x:.1f} {top - 8}V{top + height}"/>')
            lines.append(_text(x, top - 12, f"{name} {duration_text(value)}", anchor="middle", small=True))
    return _svg(top + height + 24, lines, "distribution of durations")


def schedule(chain: Sequence[dict[str, Any]]) -> str:
    """Draw the tasks of an approval chain over time: one bar each from opening to decision, with the deadline."""
    tasks = [link for link in chain if link.get("opened_ms") is not None][:40]
    ends = [link["decided_ms"] or link["opened_ms"] for link in tasks]
    end = max([*ends, *(link["due_ms"] or 0 for link in tasks)], default=0)
    if not tasks or not end:
        return ""
    lines = []
    for n, link in enumerate(tasks):
        top = n * _ROW
        start = _LABEL + link["opened_ms"] / end * _PLOT
        until = link["decided_ms"] if link["decided_ms"] is not None else end
        who = str(link["assignee"] or "queue").removeprefix("user:")
        lines.append(_text(0, top + 16, f"{link['stage']}: {who}"))
        kind = {"breached": "breached", "warning": "warned"}.get(str(link["sla_state"]), "")
        lines.append(_rect(f"bar {kind}", start, top + 5, max((until - link["opened_ms"]) / end * _PLOT, 2), 14))
        if link["due_ms"] is not None:
            x = _LABEL + min(link["due_ms"] / end, 1) * _PLOT
            lines.append(f'<path class="mark" d="M{x:.1f} {top + 2}v20"/>')
        label = link["decision"] or link["status"]
        lines.append(_text(WIDTH, top + 16, str(label), anchor="end", small=True))
    foot = len(tasks) * _ROW
    lines.append(_text(_LABEL, foot + 14, "start", small=True))
    lines.append(_text(_LABEL + _PLOT, foot + 14, duration_text(end), anchor="end", small=True))
    note = '<p class="legend"><i></i>task <i class="breached"></i>breached <b class="mark">|</b> its deadline</p>'
    return note + _svg(foot + 20, lines, "tasks over time")


def duration_text(milliseconds: Any) -> str:
    """Return a duration as text, in its two largest units."""
    if milliseconds is None:
        return ""
    minutes = int(milliseconds) // _MINUTE
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    parts_shown = [f"{n} {unit}" for n, unit in parts if n][:2]
    return " ".join(parts_shown) or f"{milliseconds / 1000:.3g} s"


def _bar(n: int, name: str, share: float, label: str) -> str:
    top = n * _ROW
    return (
        _text(0, top + 16, name)
        + _rect("bar", _LABEL, top + 5, share * _PLOT, 14)
        + _text(_LABEL + 6 + share * _PLOT, top + 16, label, small=True)
    )


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind.strip()}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", small: bool = False, most: int = _SHORT) -> str:
    size = ' class="small"' if small else ""
    shown = text if len(text) <= most else text[: most - 1] + "…"
    return f'<text{size} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(shown)}</text>'


def _svg(height: float, lines: Sequence[str], what: str) -> str:
    return f'<svg role="img" aria-label="{what}" viewBox="0 0 {WIDTH} {height:.0f}">{"".join(lines)}</svg>'


def _number(value: float) -> str:
    return f"{value:g}" if float(value).is_integer() else f"{value:.2f}"

"""What charts share: how their SVG begins, with the hatching of what is late or deviates."""

from __future__ import annotations

from html import escape

HATCHED = 'fill="url(#late)"'
"""The attribute of what is hatched; a style sheet cannot name a pattern of the page."""
_PATTERN = (
    '<defs><pattern id="late" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect class="late-ground" width="6" height="6"/><path class="late-line" d="M0 0V6"/></pattern></defs>'
)


def begun(width: float, height: float, name: str) -> str:
    """Return the beginning of a chart that is read out as `name`; `</svg>` ends it."""
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" aria-label="{escape(name)}" {size}>'
    return head + _PATTERN

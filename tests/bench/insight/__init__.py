"""Quality and speed of what is learned from the past. `measure` is a section of `python -m tests.bench`."""

from __future__ import annotations

from pathlib import Path

from tests.bench.insight import event_logs, forecasts, mining

PARTS = (mining, forecasts, event_logs)


async def measure(home: Path) -> str:
    """Measure each part and return the figures as Markdown."""
    return "\n\n".join([await part.measure(home) for part in PARTS])

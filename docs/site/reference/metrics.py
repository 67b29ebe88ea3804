"""The business metrics, from their declarations."""

from __future__ import annotations

from typing import Final

from docs.site.reference.markdown import code, table
from storage.recording.metric_families import FAMILIES

_INTRO: Final = (
    "The business metrics that `GET /api/v1/metrics/prometheus` returns. They are counted in the transaction "
    "that records the event. [Metrics, traces, alerts](../metrics.md) says who may read them and how to ask "
    "for them, and the [runbook](../runbook.md) what to do about each alert."
)


def page() -> str:
    """Return the page of metrics."""
    rows = [
        [
            code(each.name),
            each.kind,
            ", ".join(code(label) for label in each.labels),
            ", ".join(code(" ".join(values)) for values in each.known if values),
            each.help,
        ]
        for each in FAMILIES
    ]
    buckets = [
        f"- {code(each.name)}: {', '.join(f'{bound:,g}' for bound in each.buckets)}"
        for each in FAMILIES
        if each.buckets
    ]
    return "\n\n".join(
        [
            "# Metrics",
            _INTRO,
            table(["name", "type", "labels", "exist with the value 0 from the start", "what it counts"], rows),
            "## Upper bounds of the buckets",
            "\n".join(buckets),
            "",
        ]
    )

"""What the tests' blueprints refer to: the catalog with an action of our own, and the gallery's processes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from placet.definition.action_spec import ActionSpec
from placet.plan.plan import Child
from tests import gallery

SCORE = ActionSpec(
    name="score",
    executor="http",
    is_idempotent=True,
    latency_class="fast",
    input_schema={
        "type": "object",
        "properties": {"amount": {"type": ["string", "number"]}},
        "required": ["amount"],
        "additionalProperties": False,
    },
    output_schema={
        "type": "object",
        "properties": {"risk": {"type": "integer"}, "label": {"type": "string"}},
        "required": ["risk", "label"],
        "additionalProperties": False,
    },
)
ACTIONS: dict[str, ActionSpec] = {**gallery.ACTIONS, SCORE.name: SCORE}


@lru_cache(maxsize=1)
def children() -> dict[str, Child]:
    """Return the processes that a sub-process can name: those of the gallery."""
    return gallery.children(datetime(2026, 1, 1, tzinfo=UTC))

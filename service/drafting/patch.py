"""The JSON Patch between two blueprints."""

from __future__ import annotations

from typing import Any

import jsonpatch

from service.drafts.merge import same
from service.drafts.work import MOST_OPERATIONS


def patch_between(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operations that make one document of the other; whole fields where single places are too many."""
    after = _as_before(before, after)
    operations: list[dict[str, Any]] = list(jsonpatch.make_patch(before, after))
    if len(operations) <= MOST_OPERATIONS:
        return operations
    removed = [{"op": "remove", "path": f"/{name}"} for name in before if name not in after]
    return removed + [
        {"op": "add", "path": f"/{name}", "value": value}
        for name, value in after.items()
        if name not in before or before[name] != value
    ]


def _as_before(before: Any, after: Any) -> Any:
    """Return a value with what is the same as before as it was before: 2 stays 2.0 where that is how it is stored."""
    if same(before, after):
        return before
    if isinstance(before, dict) and isinstance(after, dict):
        return {name: _as_before(before[name], value) if name in before else value for name, value in after.items()}
    if isinstance(before, list) and isinstance(after, list):
        return [_as_before(*pair) for pair in zip(before, after, strict=False)] + after[len(before) :]
    return after

"""Mine: run every miner over a history, and keep what is significant once it is known how much was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from insight.mining.history import History
from insight.mining.suggestion import Finding


def mine(blueprint: Mapping[str, Any], history: History, min_occurrences: int) -> list[Finding]:  # noqa: ARG001  # the miners follow
    """Return what the past of a process suggests to change in it, the most certain first.

    Only cases of the template that the blueprint is called are looked at. `min_occurrences` is the least number of
    occurrences that anything is concluded from; a test may need more.
    """
    return []

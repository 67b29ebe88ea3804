"""Past tasks: who was asked, and when it was decided, as the store or an imported log has it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from placet.engine.state import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTask:
    """A task as the past has it. `closed_at` is None while it is open, `decision` where nobody decided it."""

    stage: str
    person: str | None
    opened_at: datetime
    closed_at: datetime | None
    decision: Decision | None

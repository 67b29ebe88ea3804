"""The past of a process, all its versions together, as response times are learned from it."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import Connection

from insight.forecast.past_task import PastTask
from insight.forecast.response_times import PastTasks
from placet.engine.state import Decision
from storage.queries.requests.past import tasks_of


def past_of_process(connection: Connection, template: str, now: datetime) -> PastTasks:
    """Read the latest tasks of a process, those that are open among them; `template` is its name."""
    return PastTasks(
        tasks=tuple(
            PastTask(
                stage=row.stage,
                person=row.decided_by or row.assignee,
                opened_at=row.opened_at,
                closed_at=row.decided_at,
                decision=cast(Decision, row.decision),
            )
            for row in tasks_of(connection, template)
        ),
        moment=now,
    )

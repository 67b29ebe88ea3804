"""Count how often tasks change hands, so that what was signed for one pair of hands dies with the next

Requests that run compute the count from their history. So the tasks that are open get it here, from their entries: one
for each that names another assignee after it than before.

Revision: 0014, after 0013
"""

from __future__ import annotations

import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_HANDS = ("reassigned", "delegated", "claimed", "released", "escalated", "approver_missing")


def upgrade() -> None:
    """Apply this step."""
    op.add_column("approval_task", sa.Column("hand_overs", sa.Integer(), nullable=False, server_default="0"))
    task = sa.table(
        "approval_task", sa.column("id", sa.String), sa.column("status", sa.String), sa.column("hand_overs", sa.Integer)
    )
    entry = sa.table(
        "audit_entry", sa.column("task_id", sa.String), sa.column("kind", sa.String), sa.column("detail", sa.Text)
    )
    connection = op.get_bind()
    query = (
        sa.select(entry.c.task_id, entry.c.detail)
        .join(task, task.c.id == entry.c.task_id)
        .where(task.c.status == "open", entry.c.kind.in_(_HANDS))
    )
    counted = Counter(row.task_id for row in connection.execute(query) if _changes_hands(row.detail))
    for task_id, count in counted.items():
        connection.execute(sa.update(task).where(task.c.id == task_id).values(hand_overs=count))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("approval_task", "hand_overs")


def _changes_hands(detail: str) -> bool:
    told = json.loads(detail)
    before, after = ((told.get(side) or {}).get("assignee") for side in ("before", "after"))
    return bool(before != after)

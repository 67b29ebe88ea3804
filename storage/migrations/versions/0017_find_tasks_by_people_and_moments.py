"""Find tasks by the people they wait for and by when they were opened, and requests by their amount

Revision: 0017, after 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("approval_request", sa.Column("amount", sa.Float(), nullable=True))
    op.create_index("ix_approval_task_opened", "approval_task", ["opened_at", "id"])
    op.create_table(
        "task_candidate",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("person", "task_id"),
    )
    op.create_index("ix_task_candidate_task_id", "task_candidate", ["task_id"])
    _fill(op.get_bind())


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("task_candidate")
    op.drop_index("ix_approval_task_opened", "approval_task")
    op.drop_column("approval_request", "amount")


def _fill(connection: sa.Connection) -> None:
    lists = ("candidates", "delegates")
    task = sa.table(
        "approval_task",
        *(sa.column(name, sa.String) for name in ("id", "assignee", "queue")),
        *(sa.column(name, sa.JSON) for name in lists),
    )
    filled = sa.or_(*(sa.cast(task.c[name], sa.String) != "[]" for name in lists))
    rows = [
        {"person": person, "task_id": row.id}
        for row in connection.execute(sa.select(task).where(filled))
        for person in {*row.delegates, *(row.candidates if row.assignee is None and row.queue is None else ())}
    ]
    into = sa.table("task_candidate", sa.column("person"), sa.column("task_id"))
    if rows:
        connection.execute(sa.insert(into), rows)

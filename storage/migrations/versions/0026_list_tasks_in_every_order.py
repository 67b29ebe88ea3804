"""Read lists of tasks and requests in the order of an index, so that a page costs the same however many there are

Revision: 0026, after 0025
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_UNCLAIMED = sa.text("status = 'open' AND assignee IS NULL AND queue IS NOT NULL")
_DECIDED = sa.text("decided_by IS NOT NULL")
_OF_REQUESTS = {
    "ix_approval_request_asked": ["requester", "started_at", "id"],
    "ix_approval_request_status": ["status", "started_at", "id"],
    "ix_approval_request_ended": ["status", "ended_at", "id"],
    "ix_approval_request_amount": ["status", "amount", "id"],
}
_OF_TASKS = {
    "ix_approval_task_assignee_due": (["assignee", "status", "due_at", "id"], None),
    "ix_approval_task_assignee_amount": (["assignee", "status", "amount", "id"], None),
    "ix_approval_task_queue_opened": (["queue", "opened_at", "id"], _UNCLAIMED),
    "ix_approval_task_queue_due": (["queue", "due_at", "id"], _UNCLAIMED),
    "ix_approval_task_queue_amount": (["queue", "amount", "id"], _UNCLAIMED),
    "ix_approval_task_opened": (["status", "opened_at", "id"], None),
    "ix_approval_task_due": (["status", "due_at", "id"], None),
    "ix_approval_task_amount": (["status", "amount", "id"], None),
    "ix_approval_task_decided": (["decided_by", "decided_at", "id"], _DECIDED),
}


def upgrade() -> None:
    """Apply this step."""
    op.add_column("approval_task", sa.Column("amount", sa.Float(), nullable=True))
    op.execute(
        "UPDATE approval_task SET amount = "
        "(SELECT amount FROM approval_request WHERE approval_request.id = approval_task.request_id)"
    )
    op.drop_index("ix_approval_request_requester", "approval_request")
    op.drop_index("ix_approval_request_status", "approval_request")
    op.drop_index("ix_approval_task_opened", "approval_task")
    for name, columns in _OF_REQUESTS.items():
        op.create_index(name, "approval_request", columns)
    for name, (columns, where) in _OF_TASKS.items():
        op.create_index(name, "approval_task", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Take this step back."""
    for name in _OF_TASKS:
        op.drop_index(name, "approval_task")
    for name in _OF_REQUESTS:
        op.drop_index(name, "approval_request")
    op.create_index("ix_approval_task_opened", "approval_task", ["opened_at", "id"])
    op.create_index("ix_approval_request_status", "approval_request", ["status"])
    op.create_index("ix_approval_request_requester", "approval_request", ["requester"])
    op.drop_column("approval_task", "amount")

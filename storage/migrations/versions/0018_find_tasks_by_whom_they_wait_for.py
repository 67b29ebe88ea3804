"""Find tasks by whom they wait for before what they are, so that a list costs what is in it

Revision: 0018, after 0017
"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.drop_index("ix_approval_task_open", "approval_task")
    op.create_index("ix_approval_task_assignee", "approval_task", ["assignee", "status", "opened_at", "id"])
    op.drop_index("ix_approval_task_queue", "approval_task")
    op.create_index("ix_approval_task_queue", "approval_task", ["queue", "status"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_approval_task_queue", "approval_task")
    op.create_index("ix_approval_task_queue", "approval_task", ["queue"])
    op.drop_index("ix_approval_task_assignee", "approval_task")
    op.create_index("ix_approval_task_open", "approval_task", ["status", "assignee", "due_at"])

"""Keep when the workflow task began that has recorded a request, so that one which is given up records no more

Revision: 0056, after 0055
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("approval_request", sa.Column("workflow_task_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take this step back: what a lost workflow task records late is told by its time alone."""
    op.drop_column("approval_request", "workflow_task_at")

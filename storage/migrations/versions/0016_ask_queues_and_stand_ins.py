"""Ask who is in a queue, and who stands in for whom, when it matters

Revision: 0016, after 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SOMETIMES = sa.text("CAST(away AS VARCHAR) != '[]'")


def upgrade() -> None:
    """Apply this step."""
    op.add_column("approval_task", sa.Column("queue", sa.String(), nullable=True))
    op.add_column("approval_task", sa.Column("on_behalf_of", sa.String(), nullable=True))
    op.create_index("ix_approval_task_queue", "approval_task", ["queue"])
    op.create_index("ix_person_away", "person", ["id"], sqlite_where=_SOMETIMES, postgresql_where=_SOMETIMES)


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_person_away", "person")
    op.drop_index("ix_approval_task_queue", "approval_task")
    op.drop_column("approval_task", "on_behalf_of")
    op.drop_column("approval_task", "queue")

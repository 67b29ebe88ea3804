"""Keep which requests people watch

Revision: 0025, after 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "watch",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", "request_id"),
    )
    op.create_index("ix_watch_request_id", "watch", ["request_id"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_watch_request_id", "watch")
    op.drop_table("watch")

"""Note which messages may have left though nobody noted so

Revision: 0013, after 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column(
        "notification_message", sa.Column("in_doubt", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("notification_message", "in_doubt")

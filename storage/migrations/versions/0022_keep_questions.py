"""Keep the questions to requesters

Revision: 0022, after 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("approval_request", sa.Column("questions", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("approval_request", sa.Column("open_questions", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("approval_request", "open_questions")
    op.drop_column("approval_request", "questions")

"""Count the keys of receipts, so that there can be a next one

Revision: 0028, after 0027
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("receipt_key", sa.Column("generation", sa.Integer(), server_default="1", nullable=False))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("receipt_key", "generation")

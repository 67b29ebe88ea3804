"""Seal what administrative acts say of a person's roles, groups and manager, so that it can be erased

Revision: 0055, after 0054
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("admin_act", sa.Column("salts", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take this step back: acts with salts no longer verify."""
    op.drop_column("admin_act", "salts")

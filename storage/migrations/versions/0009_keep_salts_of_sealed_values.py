"""Keep the salts of sealed values beside the audit entries

Revision: 0009, after 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TABLES = ("audit_entry", "audit_superseded", "delivery")


def upgrade() -> None:
    """Apply this step."""
    for table in _TABLES:
        op.add_column(table, sa.Column("salts", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take this step back; entries with sealed values can no longer be verified then."""
    for table in reversed(_TABLES):
        op.drop_column(table, "salts")

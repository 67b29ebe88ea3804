"""Note the department of people

Revision: 0015, after 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("person", sa.Column("department", sa.String(), nullable=True))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("person", "department")

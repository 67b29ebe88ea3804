"""Keep certificates with the versions of blueprints

Revision: 0008, after 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("process_template", sa.Column("certificate", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("process_template", "certificate")

"""Edit the templates of notifications in each language

Revision: 0033, after 0032
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    # What was edited before was the one text for everybody. The shipped texts were English, so it counts as that.
    language = sa.Column("language", sa.String(), nullable=False, server_default="en")
    op.add_column("notification_template", language)


def downgrade() -> None:
    """Take this step back."""
    op.execute("DELETE FROM notification_template WHERE language <> 'en'")
    op.drop_column("notification_template", "language")

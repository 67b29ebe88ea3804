"""Keep with a session what the identity provider calls it, so that either side can end the other's

Revision: 0023, after 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.add_column("session", sa.Column("id_token", sa.String(), nullable=True))
    op.add_column("session", sa.Column("provider_subject", sa.String(), nullable=True))
    op.add_column("session", sa.Column("provider_session", sa.String(), nullable=True))
    op.create_index("ix_session_provider_subject", "session", ["provider_subject"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_session_provider_subject", "session")
    op.drop_column("session", "provider_session")
    op.drop_column("session", "provider_subject")
    op.drop_column("session", "id_token")

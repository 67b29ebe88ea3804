"""Index unacknowledged breaches by their owner, and keep what sentences of event logs are made of

Revision: 0045, after 0042
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0042"
branch_labels = None
depends_on = None

_WAITS = sa.text("acknowledged_at IS NULL")


def upgrade() -> None:
    """Apply this step."""
    op.create_index(
        "ix_sla_breach_owner",
        "sla_breach",
        ["owner", "breached_at", "id"],
        sqlite_where=_WAITS,
        postgresql_where=_WAITS,
    )
    op.add_column("event_log", sa.Column("words", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("event_log", "words")
    op.drop_index("ix_sla_breach_owner", table_name="sla_breach")

"""Keep event logs of other systems

Revision: 0039, after 0038
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "event_log",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "name", "status", "file_name", "sha256")),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("map", sa.JSON(none_as_null=True), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in ("cases", "events", "people", "activities")),
        *(sa.Column(name, sa.JSON(none_as_null=True), nullable=True) for name in ("seen", "columns", "stages")),
        sa.Column("warnings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        *(sa.Column(name, moment, nullable=True) for name in ("began", "ended", "finished_at", "held_until")),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_event_log_created", "event_log", ["created_at", "id"])
    op.create_table(
        "event_log_part",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "position"),
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("event_log_part")
    op.drop_table("event_log")

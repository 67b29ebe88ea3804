"""Keep contents of requests for a time: rules of processes, what was deleted when, and what could not be

Revision: 0049, after 0048
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    moment, name = sa.DateTime(timezone=True), sqlmodel.sql.sqltypes.AutoString()
    op.create_table(
        "retention_rule",
        sa.Column("id", name, nullable=False),
        sa.Column("template", name, nullable=False),
        sa.Column("content_days", sa.Integer(), nullable=True),
        sa.Column("set_by", name, nullable=False),
        sa.Column("set_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("template"),
    )
    op.create_table(
        "retention_run",
        sa.Column("kind", name, nullable=False),
        sa.Column("ran_at", moment, nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind"),
    )
    op.create_table(
        "kept_content",
        sa.Column("request_id", name, nullable=False),
        sa.Column("template", name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tried_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_table(
        "erased_file",
        sa.Column("request_id", name, nullable=False),
        sa.Column("sha256", name, nullable=False),
        sa.Column("erased_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "sha256"),
    )
    held = sa.text("ended_at IS NOT NULL AND erased_at IS NULL")
    op.create_index(
        "ix_approval_request_content",
        "approval_request",
        ["template", "ended_at", "id"],
        sqlite_where=held,
        postgresql_where=held,
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_approval_request_content", "approval_request")
    for table in ("erased_file", "kept_content", "retention_run", "retention_rule"):
        op.drop_table(table)

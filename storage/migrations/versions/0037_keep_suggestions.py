"""Keep suggestions, and on which day they were last looked for

Revision: 0037, after 0036
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    texts = ("template", "version", "suggestion_type", "source", "subject_id", "title", "description", "status")
    op.create_table(
        "workflow_suggestion",
        sa.Column("id", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("created_by", "review_notes", "reviewed_by")),
        sa.Column("draft_id", sa.String(), nullable=True),
        *(
            sa.Column(name, sa.JSON(), nullable=False)
            for name in ("subject", "patch", "blueprint", "supporting_data", "findings")
        ),
        *(sa.Column(name, sa.JSON(), nullable=True) for name in ("words", "backtest")),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("stored_format", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("created_at", "updated_at")),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_workflow_suggestion_created", "workflow_suggestion", ["created_at", "id"])
    op.create_index("ix_workflow_suggestion_status", "workflow_suggestion", ["status", "created_at", "id"])
    op.create_index("ix_workflow_suggestion_subject", "workflow_suggestion", ["template", "subject_id", "created_at"])
    pending = sa.text("status = 'pending'")
    op.create_index(
        "ix_workflow_suggestion_pending",
        "workflow_suggestion",
        ["template", "subject_id"],
        unique=True,
        sqlite_where=pending,
        postgresql_where=pending,
    )
    op.create_table(
        "nightly_run",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ran_on", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("nightly_run")
    op.drop_table("workflow_suggestion")

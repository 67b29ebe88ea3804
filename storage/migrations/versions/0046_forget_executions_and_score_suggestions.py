"""Forget executions of SLAs, score suggestions, lease nights, and find breaches and suggestions of one process

Revision: 0046, after 0045
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_sla_breach_template", "sla_breach", ["template", "breached_at", "id"]),
    ("ix_sla_breach_owned", "sla_breach", ["owner", "breached_at", "id"]),
    ("ix_workflow_suggestion_template", "workflow_suggestion", ["template", "created_at", "id"]),
)


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.add_column("workflow_sla", sa.Column("forgotten_until", moment, nullable=True))
    op.add_column("workflow_suggestion", sa.Column("score", sa.JSON(), nullable=True))
    op.add_column("nightly_run", sa.Column("lease_until", moment, nullable=True))
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)
    op.drop_index("ix_workflow_suggestion_subject", "workflow_suggestion")
    op.create_index(
        "ix_workflow_suggestion_subject", "workflow_suggestion", ["template", "subject_id", "created_at", "id"]
    )
    reviewed = sa.text("reviewed_at IS NOT NULL")
    op.create_index(
        "ix_workflow_suggestion_reviewed",
        "workflow_suggestion",
        ["reviewed_at", "id"],
        sqlite_where=reviewed,
        postgresql_where=reviewed,
    )


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_workflow_suggestion_reviewed", "workflow_suggestion")
    op.drop_index("ix_workflow_suggestion_subject", "workflow_suggestion")
    op.create_index("ix_workflow_suggestion_subject", "workflow_suggestion", ["template", "subject_id", "created_at"])
    for name, table, _ in _INDEXES:
        op.drop_index(name, table)
    op.drop_column("nightly_run", "lease_until")
    op.drop_column("workflow_suggestion", "score")
    op.drop_column("workflow_sla", "forgotten_until")

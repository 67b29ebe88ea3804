"""Give new versions a share of requests

Revision: 0041, after 0040
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

_RUNNING = sa.text("status = 'running'")
_UNMEASURED = sa.text("measured_at IS NULL")


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "workflow_canary",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("baseline", sa.String(), nullable=False),
        sa.Column("baseline_id", sa.String(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("people_sample", sa.Float(), nullable=False),
        sa.Column("horizon_seconds", sa.Float(), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("sla_id", sa.String(), nullable=True),
        sa.Column("duration_margin_seconds", sa.Float(), nullable=True),
        sa.Column("outcome_margin", sa.Float(), nullable=True),
        sa.Column("sla_margin", sa.Float(), nullable=True),
        sa.Column("cost_margin", sa.Float(), nullable=True),
        sa.Column("most_cost", sa.Float(), nullable=True),
        sa.Column("prices", sa.JSON(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("began_by", sa.String(), nullable=False),
        sa.Column("began_at", moment, nullable=False),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("end_notes", sa.Text(), nullable=True),
        sa.Column("harm", sa.JSON(), nullable=True),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("compared_at", moment, nullable=False),
        sa.Column("stored_format", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_workflow_canary_began", "workflow_canary", ["began_at", "id"])
    op.create_index(
        "ix_workflow_canary_running",
        "workflow_canary",
        ["template"],
        unique=True,
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    )
    op.create_table(
        "canary_request",
        sa.Column("canary_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("assigned_at", moment, nullable=False),
        sa.Column("measured_at", moment, nullable=True),
        sa.Column("duration_seconds", sa.Float(), nullable=True),
        sa.Column("outcome", sa.Float(), nullable=True),
        sa.Column("sla", sa.Float(), nullable=True),
        sa.Column("cost", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("canary_id", "request_id"),
    )
    op.create_index("ix_canary_request_assigned", "canary_request", ["canary_id", "assigned_at", "request_id"])
    op.create_index(
        "ix_canary_request_unmeasured",
        "canary_request",
        ["canary_id"],
        sqlite_where=_UNMEASURED,
        postgresql_where=_UNMEASURED,
    )
    op.create_index("ix_canary_request_request", "canary_request", ["request_id"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("canary_request")
    op.drop_table("workflow_canary")

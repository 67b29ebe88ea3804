"""Judge executions by SLAs

Revision: 0040, after 0039
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_WAITS = sa.text("acknowledged_at IS NULL")
_OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "workflow_sla",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("target_duration_seconds", sa.Float(), nullable=False),
        sa.Column("warning_threshold_seconds", sa.Float(), nullable=True),
        sa.Column("critical_threshold_seconds", sa.Float(), nullable=True),
        sa.Column("slo_window_hours", sa.Float(), nullable=False),
        sa.Column("slo_target_percentage", sa.Float(), nullable=False),
        sa.Column("business_time", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("judged_until", moment, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_workflow_sla_template", "workflow_sla", ["template"])
    op.create_index("ix_workflow_sla_created", "workflow_sla", ["created_at", "id"])
    op.create_table(
        "sla_execution",
        sa.Column("sla_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("began_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("end_seq", sa.Integer(), nullable=True),
        sa.Column("actual_seconds", sa.Float(), nullable=False),
        sa.Column("warned", sa.Boolean(), nullable=False),
        sa.Column("breached", sa.Boolean(), nullable=True),
        sa.Column("known_at", moment, nullable=True),
        sa.Column("look_at", moment, nullable=True),
        sa.Column("head", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sla_id", "request_id", "visit"),
    )
    op.create_index("ix_sla_execution_known", "sla_execution", ["sla_id", "known_at", "breached"])
    op.create_index(
        "ix_sla_execution_open", "sla_execution", ["sla_id", "look_at"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_index("ix_sla_execution_request", "sla_execution", ["request_id"])
    op.create_index("ix_sla_execution_ended", "sla_execution", ["sla_id", "ended_at"])
    op.create_table(
        "sla_breach",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sla_id", sa.String(), nullable=False),
        sa.Column("sla_name", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("target_duration_seconds", sa.Float(), nullable=False),
        sa.Column("threshold_seconds", sa.Float(), nullable=False),
        sa.Column("actual_duration_seconds", sa.Float(), nullable=False),
        sa.Column("breached_at", moment, nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledged_at", moment, nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("remind_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sla_id", "request_id", "visit", "severity"),
    )
    op.create_index("ix_sla_breach_at", "sla_breach", ["breached_at", "id"])
    op.create_index("ix_sla_breach_sla", "sla_breach", ["sla_id", "breached_at", "id"])
    op.create_index(
        "ix_sla_breach_waits", "sla_breach", ["breached_at", "id"], sqlite_where=_WAITS, postgresql_where=_WAITS
    )
    op.create_index("ix_sla_breach_remind", "sla_breach", ["remind_at"], sqlite_where=_WAITS, postgresql_where=_WAITS)
    op.create_index("ix_sla_breach_request", "sla_breach", ["request_id"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("sla_breach")
    op.drop_table("sla_execution")
    op.drop_table("workflow_sla")

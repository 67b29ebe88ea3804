"""Create the first tables

Revision: 0001, after
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "api_token",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_api_token_person"), "api_token", ["person"], unique=False)
    op.create_table(
        "approval_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("template_id", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("input", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Boolean(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_approval_request_owner"), "approval_request", ["owner"], unique=False)
    op.create_index(op.f("ix_approval_request_requester"), "approval_request", ["requester"], unique=False)
    op.create_index("ix_approval_request_started", "approval_request", ["started_at", "id"], unique=False)
    op.create_index(op.f("ix_approval_request_status"), "approval_request", ["status"], unique=False)
    op.create_index(op.f("ix_approval_request_template_id"), "approval_request", ["template_id"], unique=False)
    op.create_table(
        "approval_task",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("candidates", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("delegates", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("assigned_via", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sla_state", sa.String(), nullable=False),
        sa.Column("escalation_level", sa.Integer(), nullable=False),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.String(), nullable=True),
        sa.Column("form", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_approval_task_open", "approval_task", ["status", "assignee", "due_at"], unique=False)
    op.create_index("ix_approval_task_request", "approval_task", ["request_id", "position"], unique=False)
    op.create_index("ix_approval_task_sla", "approval_task", ["status", "sla_state"], unique=False)
    op.create_table(
        "audit_entry",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "seq"),
    )
    op.create_index("ix_audit_entry_kind", "audit_entry", ["kind", "at"], unique=False)
    op.create_table(
        "audit_superseded",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_audit_superseded_request_id"), "audit_superseded", ["request_id"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("outbox_key", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=True),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "seq"),
    )
    op.create_index(op.f("ix_delivery_outbox_key"), "delivery", ["outbox_key"], unique=False)
    op.create_table(
        "idempotent_call",
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key"),
    )
    op.create_index("ix_idempotent_call_created", "idempotent_call", ["created_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_outbox_request", "outbox", ["request_id", "seq"], unique=False)
    op.create_index("ix_outbox_status", "outbox", ["status", "next_attempt_at"], unique=False)
    op.create_table(
        "participant",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "person"),
    )
    op.create_index(op.f("ix_participant_person"), "participant", ["person"], unique=False)
    op.create_table(
        "person",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("manager", sa.String(), nullable=True),
        sa.Column("roles", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("groups", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("access", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("away", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("preferences", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "process_template",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("template_type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("blueprint", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("graph_spec", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.String(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", "version"),
    )
    op.create_index(op.f("ix_process_template_name"), "process_template", ["name"], unique=False)
    op.create_index(op.f("ix_process_template_status"), "process_template", ["status"], unique=False)
    op.create_table(
        "refusal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("task_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_refusal_request", "refusal", ["request_id", "at"], unique=False)


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_refusal_request", table_name="refusal")
    op.drop_table("refusal")
    op.drop_index(op.f("ix_process_template_status"), table_name="process_template")
    op.drop_index(op.f("ix_process_template_name"), table_name="process_template")
    op.drop_table("process_template")
    op.drop_table("person")
    op.drop_index(op.f("ix_participant_person"), table_name="participant")
    op.drop_table("participant")
    op.drop_index("ix_outbox_status", table_name="outbox")
    op.drop_index("ix_outbox_request", table_name="outbox")
    op.drop_table("outbox")
    op.drop_index("ix_idempotent_call_created", table_name="idempotent_call")
    op.drop_table("idempotent_call")
    op.drop_index(op.f("ix_delivery_outbox_key"), table_name="delivery")
    op.drop_table("delivery")
    op.drop_index(op.f("ix_audit_superseded_request_id"), table_name="audit_superseded")
    op.drop_table("audit_superseded")
    op.drop_index("ix_audit_entry_kind", table_name="audit_entry")
    op.drop_table("audit_entry")
    op.drop_index("ix_approval_task_sla", table_name="approval_task")
    op.drop_index("ix_approval_task_request", table_name="approval_task")
    op.drop_index("ix_approval_task_open", table_name="approval_task")
    op.drop_table("approval_task")
    op.drop_index(op.f("ix_approval_request_template_id"), table_name="approval_request")
    op.drop_index(op.f("ix_approval_request_status"), table_name="approval_request")
    op.drop_index("ix_approval_request_started", table_name="approval_request")
    op.drop_index(op.f("ix_approval_request_requester"), table_name="approval_request")
    op.drop_index(op.f("ix_approval_request_owner"), table_name="approval_request")
    op.drop_table("approval_request")
    op.drop_index(op.f("ix_api_token_person"), table_name="api_token")
    op.drop_table("api_token")

"""Log people in: browser sessions, one-time codes, scoped tokens, types of actors, groups from SCIM

Revision: 0019, after 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "session",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("csrf_token", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("access", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("token_digest", sa.String(), nullable=True),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_session_person", "session", ["person"])
    op.create_index("ix_session_token_digest", "session", ["token_digest"])
    op.create_table(
        "login_code",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "rate_count",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "directory_group",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.add_column("api_token", sa.Column("name", sa.String(), nullable=True))
    op.add_column("api_token", sa.Column("scopes", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("api_token", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("person", sa.Column("actor_type", sa.String(), nullable=False, server_default="person"))
    op.add_column("person", sa.Column("external_id", sa.String(), nullable=True))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("person", "external_id")
    op.drop_column("person", "actor_type")
    op.drop_column("api_token", "last_used_at")
    op.drop_column("api_token", "scopes")
    op.drop_column("api_token", "name")
    op.drop_table("directory_group")
    op.drop_table("rate_count")
    op.drop_table("login_code")
    op.drop_index("ix_session_token_digest", "session")
    op.drop_index("ix_session_person", "session")
    op.drop_table("session")

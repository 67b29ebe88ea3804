"""Keep the files that were chosen for requests which are not sent in yet

Revision: 0035, after 0034
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    texts = ("request_id", "person", "template", "form_key", "name", "media_type")
    op.create_table(
        "request_draft_file",
        sa.Column("id", sa.String(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in texts),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dropped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_request_draft_file_request", "request_draft_file", ["request_id"])
    op.create_index("ix_request_draft_file_person", "request_draft_file", ["person", "template"])
    op.create_index("ix_request_draft_file_touched", "request_draft_file", ["dropped", "touched_at"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("request_draft_file")

"""Index requests by version and end, for the past that forecasts learn from

Revision: 0038, after 0037
"""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_index("ix_approval_request_version", "approval_request", ["template_id", "ended_at", "id"])
    op.drop_index("ix_approval_request_template_id", "approval_request")


def downgrade() -> None:
    """Take this step back."""
    op.create_index("ix_approval_request_template_id", "approval_request", ["template_id"])
    op.drop_index("ix_approval_request_version", "approval_request")

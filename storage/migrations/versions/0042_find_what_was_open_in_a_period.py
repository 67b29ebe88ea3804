"""Index requests by process and end, and simulations by process, for the costs of a period

Revision: 0042, after 0041
"""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_index("ix_approval_request_process", "approval_request", ["template", "ended_at", "id"])
    op.create_index("ix_workflow_simulation_template", "workflow_simulation", ["template", "created_at", "id"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_workflow_simulation_template", "workflow_simulation")
    op.drop_index("ix_approval_request_process", "approval_request")

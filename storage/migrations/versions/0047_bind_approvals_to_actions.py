"""Bind approvals to actions, and name the person whom an agent acts for

Revision: 0047, after 0046
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

_TEXTS = ("started_by", "action_digest", "claim_status", "claimed_by", "claim_key")


def upgrade() -> None:
    """Apply this step."""
    for name in _TEXTS:
        op.add_column("approval_request", sa.Column(name, sa.String(), nullable=True))
    op.add_column("approval_request", sa.Column("action", sa.JSON(), nullable=True))
    op.add_column("approval_request", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("person", sa.Column("principal", sa.String(), nullable=True))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("person", "principal")
    for name in ("claimed_at", "action", *reversed(_TEXTS)):
        op.drop_column("approval_request", name)

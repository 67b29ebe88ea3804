"""Keep who ordered which evidence

Revision: 0029, after 0028
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    moments = ("finished_at", "expires_at", "held_until")
    op.create_table(
        "evidence_pack",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("with_files", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("ordered_by", sa.String(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=True) for name in moments),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in ("population", "sampled", "exceptions", "size")),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("sha256", "key_id", "error")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_evidence_pack_ordered", "evidence_pack", ["ordered_at", "id"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("evidence_pack")

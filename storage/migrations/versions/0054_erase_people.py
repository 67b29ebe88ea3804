"""Erase people: who was erased, and what of each is still to be erased

Revision: 0054, after 0053
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "person_erasure",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("erased_at", moment, nullable=False),
        sa.Column("erased_by", sa.String(), nullable=False),
        sa.Column("mail_digest", sa.String(), nullable=True),
        sa.Column("listed_at", moment, nullable=True),
        sa.Column("changed_at", moment, nullable=False),
        sa.Column("compacted_at", moment, nullable=True),
        sa.Column("completed_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "person_erasure_item",
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("rows_at", moment, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("tried_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("person", "name"),
    )
    op.create_index("ix_person_erasure_item_name", "person_erasure_item", ["name"])


def downgrade() -> None:
    """Take this step back."""
    op.drop_table("person_erasure_item")
    op.drop_table("person_erasure")

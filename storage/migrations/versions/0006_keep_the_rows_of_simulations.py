"""Keep the rows of simulations

Revision: 0006, after 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "workflow_simulation_row",
        sa.Column("simulation_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("row", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("simulation_id", "position"),
    )
    op.create_index(
        "ix_workflow_simulation_row_revision", "workflow_simulation_row", ["simulation_id", "revision"], unique=False
    )
    op.create_index(
        "ix_workflow_simulation_row_changed",
        "workflow_simulation_row",
        ["simulation_id", "changed", "position"],
        unique=False,
    )
    op.add_column("workflow_simulation", sa.Column("followed_by", sa.String(), nullable=True))
    op.add_column("workflow_simulation", sa.Column("followed_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Take this step back."""
    op.drop_column("workflow_simulation", "followed_until")
    op.drop_column("workflow_simulation", "followed_by")
    op.drop_table("workflow_simulation_row")

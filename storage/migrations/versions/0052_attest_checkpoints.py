"""Keep what witnesses and a timestamp authority have signed of the log's checkpoints

Revision: 0052, after 0049
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "log_attestation",
        sa.Column("checkpoint", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("verifier", sa.String(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("stored_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("checkpoint", "kind", "name"),
    )
    op.create_index("ix_log_attestation_kind", "log_attestation", ["kind", "checkpoint"])
    op.create_table(
        "log_attester",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("checkpoint", sa.Integer(), nullable=False),
        sa.Column("signed_at", moment, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("next_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    for statement in _triggers("log_attestation"):
        op.execute(statement)


def downgrade() -> None:
    """Take this step back."""
    for table in ("log_attestation", "log_attester"):
        op.drop_table(table)


def _triggers(table: str) -> tuple[str, ...]:
    if op.get_bind().dialect.name == "postgresql":
        acts = "UPDATE OR DELETE OR TRUNCATE"
        done = "FOR EACH STATEMENT EXECUTE FUNCTION placet_only_added()"  # of step 0048
        return (f"CREATE TRIGGER {table}_only_added BEFORE {acts} ON {table} {done}",)
    return tuple(
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only added'); END"
        for act in ("UPDATE", "DELETE")
    )

"""Log the heads of all audit chains, in tables that are only added to

Revision: 0048, after 0047
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_ONLY_ADDED = ("log_entry", "log_node", "log_checkpoint")


def upgrade() -> None:
    """Apply this step."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "log_entry",
        sa.Column("leaf_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("head", sa.String(), nullable=False),
        sa.Column("logged_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("leaf_index"),
        sa.UniqueConstraint("chain", "seq", "head"),
    )
    op.create_table(
        "log_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("level", "node_index"),
    )
    op.create_table(
        "log_checkpoint",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("tree_size", sa.Integer(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_log_checkpoint_tree_size", "log_checkpoint", ["tree_size"])
    op.create_table(
        "log_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("complete_until", moment, nullable=False),
        sa.Column("swept", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_delivery_at", "delivery", ["at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION placet_only_added() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME; END $$"
        )
    for table in _ONLY_ADDED:
        for statement in _triggers(table):
            op.execute(statement)


def downgrade() -> None:
    """Take this step back."""
    op.drop_index("ix_delivery_at", "delivery")
    for table in (*_ONLY_ADDED, "log_progress"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION placet_only_added()")


def _triggers(table: str) -> tuple[str, ...]:
    if op.get_bind().dialect.name == "postgresql":
        acts = "UPDATE OR DELETE OR TRUNCATE"
        done = "FOR EACH STATEMENT EXECUTE FUNCTION placet_only_added()"
        return (f"CREATE TRIGGER {table}_only_added BEFORE {acts} ON {table} {done}",)
    return tuple(
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only added'); END"
        for act in ("UPDATE", "DELETE")
    )

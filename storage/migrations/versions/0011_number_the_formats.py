"""Give what is stored the number of its format, and requests and tasks their revision

Blueprints from before there were formats are of format 1, and say so from here on: a blueprint without a number is of
the format that is current when it is read. The candidates of standing shadows likewise.

Revision: 0011, after 0010
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_CHANGED = ("approval_request", "approval_task")


def upgrade() -> None:
    """Apply this step."""
    for table in _CHANGED:
        op.add_column(table, sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        op.add_column(table, sa.Column("content_digest", sa.String(), nullable=True))
    _each_blueprint(lambda document: {"format": 1, **document})


def downgrade() -> None:
    """Take this step back."""
    _each_blueprint(lambda document: {name: value for name, value in document.items() if name != "format"})
    for table in _CHANGED:
        op.drop_column(table, "content_digest")
        op.drop_column(table, "revision")


def _each_blueprint(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    connection = op.get_bind()
    templates = sa.table("process_template", sa.column("id", sa.String), sa.column("blueprint", sa.JSON))
    for row in connection.execute(sa.select(templates)).all():
        new = change(row.blueprint)
        connection.execute(sa.update(templates).where(templates.c.id == row.id).values(blueprint=new))
    simulations = sa.table(
        "workflow_simulation",
        sa.column("id", sa.String),
        sa.column("mode", sa.String),
        sa.column("status", sa.String),
        sa.column("question", sa.JSON),
    )
    standing = sa.select(simulations).where(simulations.c.mode == "shadow", simulations.c.status == "running")
    for row in connection.execute(standing).all():
        if isinstance(row.question, dict) and isinstance(row.question.get("blueprint"), dict):
            question = {**row.question, "blueprint": change(row.question["blueprint"])}
            connection.execute(sa.update(simulations).where(simulations.c.id == row.id).values(question=question))

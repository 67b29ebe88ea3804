"""Give everybody the access that they had

Until here `access` decided nothing about asking and deciding, and whoever was stored without any could do both. From
here an empty list means nothing at all, so these people get what an absent one means.

Revision: 0010, after 0009
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_DEFAULT = ["requester", "approver"]


def upgrade() -> None:
    """Apply this step."""
    person = sa.table("person", sa.column("access", sa.JSON))
    empty = sa.cast(person.c.access, sa.String) == json.dumps([])
    op.execute(person.update().where(empty).values(access=_DEFAULT))


def downgrade() -> None:
    """Take this step back."""

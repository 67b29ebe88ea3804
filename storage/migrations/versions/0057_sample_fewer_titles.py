"""Let PostgreSQL sample fewer titles for its statistics, each of which has to be taken apart for the index

Revision: 0057, after 0056
"""

from __future__ import annotations

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

# It samples 300 rows for each unit of the largest target of a table, 30,000 by default, whenever a tenth is new: up to
# that many titles, this was more work than recording the requests.
_TARGET = 5


def upgrade() -> None:
    """Apply this step."""
    _set(_TARGET)


def downgrade() -> None:
    """Take this step back: the server's own target holds."""
    _set(-1)


def _set(target: int) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for column in ("number", "request_id", "folded"):
        op.execute(f"ALTER TABLE request_title ALTER COLUMN {column} SET STATISTICS {target}")
    op.execute(f"ALTER INDEX request_title_parts ALTER COLUMN 1 SET STATISTICS {target}")

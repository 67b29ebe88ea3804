"""Say what parts of titles cost, so that PostgreSQL reads them from their index and does not compute them for each row

Revision: 0034, after 0033
"""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    _cost(10_000)


def downgrade() -> None:
    """Take this step back."""
    _cost(100)


def _cost(of_a_call: int) -> None:
    """Set the cost that the planner counts, in units of an operator's; it took a thousand times as long as one."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER FUNCTION placet_parts(text) COST {of_a_call}")

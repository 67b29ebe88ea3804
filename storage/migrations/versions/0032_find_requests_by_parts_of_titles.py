"""Find requests by any part of their titles, by an index on both databases

Revision: 0032, after 0031
"""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_TOGETHER = 5_000  # rows of one statement
# Two line feeds end what is indexed, so that also its last one and two letters begin a trigram.
_SQLITE = (
    """CREATE VIRTUAL TABLE request_title_parts USING fts5(
    folded, content='', tokenize='trigram case_sensitive 1', detail='none')""",
    "CREATE VIRTUAL TABLE request_title_terms USING fts5vocab('request_title_parts', 'row')",
    """CREATE TRIGGER request_title_added AFTER INSERT ON request_title BEGIN
    INSERT INTO request_title_parts (rowid, folded) VALUES (new.number, new.folded || char(10, 10)); END""",
    """CREATE TRIGGER request_title_removed AFTER DELETE ON request_title BEGIN
    INSERT INTO request_title_parts (request_title_parts, rowid, folded)
    VALUES ('delete', old.number, old.folded || char(10, 10)); END""",
    """CREATE TRIGGER request_title_changed AFTER UPDATE ON request_title BEGIN
    INSERT INTO request_title_parts (request_title_parts, rowid, folded)
    VALUES ('delete', old.number, old.folded || char(10, 10));
    INSERT INTO request_title_parts (rowid, folded) VALUES (new.number, new.folded || char(10, 10)); END""",
)
_POSTGRESQL = (
    """CREATE FUNCTION placet_parts(given text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT substr(given, place, size)), '{}')
    FROM generate_series(1, length(given)) AS place, generate_series(1, 3) AS size
    WHERE place + size <= length(given) + 1 $$""",
    "CREATE INDEX request_title_parts ON request_title USING gin (placet_parts(folded))",
)


def upgrade() -> None:
    """Apply this step."""
    titles = op.create_table(
        "request_title",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("folded", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["approval_request.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("request_id"),
    )
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:  # its index takes rows as they come
        _carry_out(_SQLITE)
    # The ids first, which are small: a cursor would not outlive the rows that are written in between.
    ids = connection.scalars(sa.text("SELECT id FROM approval_request ORDER BY id")).all()
    requests = sa.table("approval_request", sa.column("id"), sa.column("title"))
    for first in range(0, len(ids), _TOGETHER):
        some = ids[first : first + _TOGETHER]
        found = sa.select(requests.c.id, requests.c.title).where(requests.c.id.between(some[0], some[-1]))
        rows = [{"request_id": row.id, "folded": _folded(row.title)} for row in connection.execute(found)]
        connection.execute(sa.insert(titles), rows)
    if not sqlite:  # is much cheaper over all of them
        _carry_out(_POSTGRESQL)


def downgrade() -> None:
    """Take this step back."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE request_title_terms")
        op.execute("DROP TABLE request_title_parts")
    op.drop_table("request_title")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION placet_parts(text)")


def _carry_out(statements: tuple[str, ...]) -> None:
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def _folded(title: str) -> str:
    return unicodedata.normalize("NFC", title.casefold())

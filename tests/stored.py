"""What tests store and read themselves: a session in one transaction, on the test's own thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from storage.database import Database


@contextmanager
def reading(database: Database) -> Iterator[Session]:
    """Open a session on one snapshot, which cannot write."""
    with database._reader.begin() as connection, Session(connection, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(database: Database) -> Iterator[Session]:
    """Open a session in a transaction that commits at the end, and rolls back on an error."""
    with database._writer.begin() as connection, Session(connection, expire_on_commit=False) as session:
        yield session
        session.flush()

"""Decisions that wait for a fresh proof of who takes them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlmodel import col

from storage.tables.identity import StepUp


def begin(connection: Connection, step_up: StepUp) -> None:
    """Keep a decision until it is signed."""
    connection.execute(insert(StepUp).values(**step_up.model_dump()))


def find(connection: Connection, step_up_id: str, now: datetime) -> StepUp | None:
    """Return a decision that waits or was taken; None where there is none, or its time is over."""
    columns = StepUp.__table__.columns  # type: ignore[attr-defined] # of SQLModel
    mine = col(StepUp.id) == step_up_id, col(StepUp.expires_at) > now
    row = connection.execute(select(*columns).where(*mine)).mappings().first()
    return None if row is None else StepUp(**row)


def prove(connection: Connection, step_up_id: str, *, method: str, at: datetime) -> None:
    """Note that its person has proven who they are."""
    mine = col(StepUp.id) == step_up_id, col(StepUp.done_at).is_(None)
    connection.execute(update(StepUp).where(*mine).values(method=method, authenticated_at=at))


def finish(connection: Connection, step_up_id: str, now: datetime) -> None:
    """Note that the decision was taken, and forget what it says."""
    said = update(StepUp).where(col(StepUp.id) == step_up_id)
    connection.execute(said.values(done_at=now, comment=None, form=None))
